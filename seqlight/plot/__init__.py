"""Pictures as matplotlib figures that need no display and no ``pyplot`` state.

Every function returns a :class:`matplotlib.figure.Figure`; ``figure.savefig("forecast.png")`` writes it.
"""

from .decompositions import decomposition
from .forecasts import ForecastPanel, forecast
from .imputations import ImputationPanel, imputation
from .receptive_fields import receptive_field
from .responses import layer_responses
from .step_errors import errors_by_step

__all__ = [
    "ForecastPanel",
    "ImputationPanel",
    "decomposition",
    "errors_by_step",
    "forecast",
    "imputation",
    "layer_responses",
    "receptive_field",
]
