"""``seqlight impute``: arguments, what there is to fill, and the work."""
