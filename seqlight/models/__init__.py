"""Forecasters: LightningModules of a network, a strategy, a transform and a loss; and their baselines."""

from .baseline import BaselineForecaster, NaiveForecaster, SeasonalNaiveForecaster
from .conv_gru import ConvGRUForecaster
from .conv_lstm import ConvLSTMForecaster
from .conv_recurrent import ConvRecurrentForecaster
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
    "ConvGRUForecaster",
    "ConvLSTMForecaster",
    "ConvRecurrentForecaster",
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
