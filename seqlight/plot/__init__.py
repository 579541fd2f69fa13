"""Pictures as matplotlib figures that need no display and no ``pyplot`` state.

Every function returns a :class:`matplotlib.figure.Figure`; ``figure.savefig("forecast.png")`` writes it.
"""

from .decompositions import decomposition
from .dependence import dependence
from .forecasts import ForecastPanel, forecast
from .gates import gates
from .imputations import ImputationPanel, imputation
from .judged import coverage, errors_by_time, errors_over_time, residuals
from .lines import lines
from .receptive_fields import receptive_field
from .responses import layer_responses
from .step_errors import errors_by_step
from .strided import strided_convolution
from .unrolled import unrolled

__all__ = [
    "ForecastPanel",
    "ImputationPanel",
    "coverage",
    "decomposition",
    "dependence",
    "errors_by_step",
    "errors_by_time",
    "errors_over_time",
    "forecast",
    "gates",
    "imputation",
    "layer_responses",
    "lines",
    "receptive_field",
    "residuals",
    "strided_convolution",
    "unrolled",
]
