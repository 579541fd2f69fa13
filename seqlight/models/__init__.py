"""Forecasters: LightningModules of a network, a strategy, a transform and a loss; and their baselines.

Imputers likewise, which fill missing cells.
"""

from .baseline import BaselineForecaster, NaiveForecaster, SeasonalNaiveForecaster
from .conv_imputer import ConvImputer
from .forecaster import Forecaster
from .gru import GRUForecaster
from .imputation_baseline import BaselineImputer, LastValueImputer, LinearInterpolationImputer
from .imputer import Imputer
from .linear import LinearForecaster
from .load import load
from .lstm import LSTMForecaster
from .module import SeqlightModule
from .network import SequenceNetwork
from .recurrent import RecurrentForecaster
from .rnn import RNNForecaster
from .rnn_imputer import RNNImputer
from .tcn import TCNForecaster
from .wavenet import WaveNetForecaster

__all__ = [
    "BaselineForecaster",
    "BaselineImputer",
    "ConvImputer",
    "Forecaster",
    "GRUForecaster",
    "Imputer",
    "LSTMForecaster",
    "LastValueImputer",
    "LinearForecaster",
    "LinearInterpolationImputer",
    "NaiveForecaster",
    "RNNForecaster",
    "RNNImputer",
    "RecurrentForecaster",
    "SeasonalNaiveForecaster",
    "SeqlightModule",
    "SequenceNetwork",
    "TCNForecaster",
    "WaveNetForecaster",
    "load",
]
