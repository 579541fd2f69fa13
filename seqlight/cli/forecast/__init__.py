"""``seqlight forecast``: arguments, what there is to forecast, and the work."""
