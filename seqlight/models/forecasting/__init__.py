"""Forecasters: a network, its inputs, a transform, a strategy and a head; and forecasts without a network."""
