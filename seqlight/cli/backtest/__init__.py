"""``seqlight backtest``: arguments, and the work."""
