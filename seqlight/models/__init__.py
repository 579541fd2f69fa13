"""Forecasters: LightningModules of a network, a strategy, a transform and a loss; and their baselines."""

from .baseline import BaselineForecaster, NaiveForecaster, SeasonalNaiveForecaster
from .forecaster import Forecaster
from .linear import LinearForecaster
from .load import load
from .lstm import LSTMForecaster
from .network import SequenceNetwork

__all__ = [
    "BaselineForecaster",
    "Forecaster",
    "LSTMForecaster",
    "LinearForecaster",
    "NaiveForecaster",
    "SeasonalNaiveForecaster",
    "SequenceNetwork",
    "load",
]
