"""What a network is given: targets, what was observed, covariates, static values and categories, joined."""

from seqlight.inputs.categories import CategoryEmbeddings
from seqlight.inputs.covariate_scaler import CovariateScaler
from seqlight.inputs.cycle import LearnedCycle
from seqlight.inputs.exponential_smoothing import ExponentialSmoothing
from seqlight.inputs.future_head import FutureHead
from seqlight.inputs.network_inputs import NetworkInputs
from seqlight.inputs.schema import check_schema
from seqlight.inputs.window import Window

__all__ = [
    "CategoryEmbeddings",
    "CovariateScaler",
    "ExponentialSmoothing",
    "FutureHead",
    "LearnedCycle",
    "NetworkInputs",
    "Window",
    "check_schema",
]
