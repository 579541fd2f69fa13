"""LightningModules: forecasters (a network, a strategy, a transform and a loss), imputers, which fill missing
cells, their baselines, and models from sequences to labels and from vectors to sequences.
"""

from .baseline import BaselineForecaster, NaiveForecaster, SeasonalNaiveForecaster
from .carried_state import CarriesState
from .conv_gru import ConvGRUForecaster
from .conv_imputer import ConvImputer
from .conv_lstm import ConvLSTMForecaster
from .conv_recurrent import ConvRecurrentForecaster
from .encoder_decoder import EncoderDecoderForecaster
from .ensemble import EnsembleForecaster
from .es_rnn import ESRNNForecaster
from .finite import NonFiniteError
from .forecaster import Forecaster
from .gru import GRUForecaster
from .imputation_baseline import BaselineImputer, LastValueImputer, LinearInterpolationImputer
from .imputer import Imputer
from .labelled import LabelledSequenceModule
from .linear import LinearForecaster
from .load import load
from .lstm import LSTMForecaster
from .module import SeqlightModule
from .network import SequenceNetwork
from .recurrent import RecurrentForecaster
from .rnn import RNNForecaster
from .rnn_imputer import RNNImputer
from .segment_rnn import SegmentRNNForecaster
from .sequence_classifier import SequenceClassifier, StepClassifier
from .sequence_generator import SequenceGenerator
from .sequence_regressor import SequenceRegressor
from .supervised import SupervisedModule
from .tcn import TCNForecaster
from .trained_until import TrainedOnTargetsError
from .wavenet import WaveNetForecaster

__all__ = [
    "BaselineForecaster",
    "BaselineImputer",
    "CarriesState",
    "ConvGRUForecaster",
    "ConvImputer",
    "ConvLSTMForecaster",
    "ConvRecurrentForecaster",
    "ESRNNForecaster",
    "EncoderDecoderForecaster",
    "EnsembleForecaster",
    "Forecaster",
    "GRUForecaster",
    "Imputer",
    "LSTMForecaster",
    "LabelledSequenceModule",
    "LastValueImputer",
    "LinearForecaster",
    "LinearInterpolationImputer",
    "NaiveForecaster",
    "NonFiniteError",
    "RNNForecaster",
    "RNNImputer",
    "RecurrentForecaster",
    "SeasonalNaiveForecaster",
    "SegmentRNNForecaster",
    "SeqlightModule",
    "SequenceClassifier",
    "SequenceGenerator",
    "SequenceNetwork",
    "SequenceRegressor",
    "StepClassifier",
    "SupervisedModule",
    "TCNForecaster",
    "TrainedOnTargetsError",
    "WaveNetForecaster",
    "load",
]
