"""LightningModules: forecasters (a network, a strategy, a transform and a loss), imputers, which fill missing
cells, their baselines, and models from sequences to labels and from vectors to sequences.
"""

from seqlight.models.forecasting.baseline import BaselineForecaster, NaiveForecaster, SeasonalNaiveForecaster
from seqlight.models.forecasting.conv_gru import ConvGRUForecaster
from seqlight.models.forecasting.conv_lstm import ConvLSTMForecaster
from seqlight.models.forecasting.conv_recurrent import ConvRecurrentForecaster
from seqlight.models.forecasting.encoder_decoder import EncoderDecoderForecaster
from seqlight.models.forecasting.ensemble import EnsembleForecaster
from seqlight.models.forecasting.es_rnn import ESRNNForecaster
from seqlight.models.forecasting.forecaster import Forecaster
from seqlight.models.forecasting.gru import GRUForecaster
from seqlight.models.forecasting.linear import LinearForecaster
from seqlight.models.forecasting.lstm import LSTMForecaster
from seqlight.models.forecasting.naive2 import Naive2Forecaster
from seqlight.models.forecasting.network import SequenceNetwork
from seqlight.models.forecasting.recurrent import RecurrentForecaster
from seqlight.models.forecasting.rnn import RNNForecaster
from seqlight.models.forecasting.segment_rnn import SegmentRNNForecaster
from seqlight.models.forecasting.statsforecast_forecaster import StatsForecastForecaster
from seqlight.models.forecasting.tcn import TCNForecaster
from seqlight.models.forecasting.wavenet import WaveNetForecaster
from seqlight.models.forecasting.window_forecaster import WindowForecaster
from seqlight.models.forecasting.window_prediction import WindowForecast
from seqlight.models.imputation.baseline import BaselineImputer, LastValueImputer, LinearInterpolationImputer
from seqlight.models.imputation.conv_imputer import ConvImputer
from seqlight.models.imputation.imputer import Imputer
from seqlight.models.imputation.rnn_imputer import RNNImputer
from seqlight.models.lightning.carried_state import CarriesState
from seqlight.models.lightning.finite import NonFiniteError
from seqlight.models.lightning.load import load
from seqlight.models.lightning.module import SeqlightModule
from seqlight.models.lightning.trained_until import TrainedOnTargetsError
from seqlight.models.sequences.labelled import LabelledSequenceModule
from seqlight.models.sequences.sequence_classifier import SequenceClassifier, StepClassifier
from seqlight.models.sequences.sequence_generator import SequenceGenerator
from seqlight.models.sequences.sequence_regressor import SequenceRegressor
from seqlight.models.sequences.supervised import SupervisedModule

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
    "Naive2Forecaster",
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
    "StatsForecastForecaster",
    "StepClassifier",
    "SupervisedModule",
    "TCNForecaster",
    "TrainedOnTargetsError",
    "WaveNetForecaster",
    "WindowForecast",
    "WindowForecaster",
    "load",
]
