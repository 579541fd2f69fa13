"""Pictures as matplotlib figures that need no display and no ``pyplot`` state.

Every function returns a :class:`matplotlib.figure.Figure`; ``figure.savefig("forecast.png")`` writes it.
"""

from seqlight.plot.decompositions import decomposition
from seqlight.plot.dependence import dependence
from seqlight.plot.forecasts import ForecastPanel, forecast
from seqlight.plot.gates import gates
from seqlight.plot.imputations import ImputationPanel, imputation
from seqlight.plot.judged import coverage, errors_by_time, errors_over_time, residuals
from seqlight.plot.lines import lines
from seqlight.plot.receptive_fields import receptive_field
from seqlight.plot.responses import layer_responses
from seqlight.plot.step_errors import errors_by_step
from seqlight.plot.strided import strided_convolution
from seqlight.plot.unrolled import unrolled

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
