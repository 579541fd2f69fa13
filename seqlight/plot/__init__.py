"""Pictures as matplotlib figures that need no display and no ``pyplot`` state.

Every function returns a :class:`matplotlib.figure.Figure`; ``figure.savefig("forecast.png")`` writes it.
"""

from .decompositions import decomposition
from .dependence import dependence
from .forecasts import ForecastPanel, forecast
from .gates import gates
from .imputations import ImputationPanel, imputation
from .lines import lines
from .receptive_fields import receptive_field
from .responses import layer_responses
from .step_errors import errors_by_step
from .strided import strided_convolution
from .unrolled import unrolled

__all__ = [
    "ForecastPanel",
    "ImputationPanel",
    "decomposition",
    "dependence",
    "errors_by_step",
    "forecast",
    "gates",
    "imputation",
    "layer_responses",
    "lines",
    "receptive_field",
    "strided_convolution",
    "unrolled",
]
