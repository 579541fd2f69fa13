"""Forecasters: LightningModules of a network, a strategy, a transform and a loss; and their baselines."""

from .baseline import BaselineForecaster, NaiveForecaster, SeasonalNaiveForecaster
from .carried_state import CarriesState
from .forecaster import Forecaster
from .gru import GRUForecaster
from .linear import LinearForecaster
from .load import load
from .lstm import LSTMForecaster
from .network import SequenceNetwork
from .recurrent import RecurrentForecaster
from .rnn import RNNForecaster
from .tcn import TCNForecaster
from .wavenet import WaveNetForecaster

__all__ = [
    "BaselineForecaster",
    "CarriesState",
    "Forecaster",
    "GRUForecaster",
    "LSTMForecaster",
    "LinearForecaster",
    "NaiveForecaster",
    "RNNForecaster",
    "RecurrentForecaster",
    "SeasonalNaiveForecaster",
    "SequenceNetwork",
    "TCNForecaster",
    "WaveNetForecaster",
    "load",
]
