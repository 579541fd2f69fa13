"""``seqlight compare``: arguments, and the work."""
