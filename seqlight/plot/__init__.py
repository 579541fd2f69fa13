"""Pictures as matplotlib figures that need no display and no ``pyplot`` state.

Every function returns a :class:`matplotlib.figure.Figure`; ``figure.savefig("forecast.png")`` writes it.
"""

from .decompositions import decomposition
from .forecasts import ForecastPanel, forecast
from .imputations import ImputationPanel, imputation

__all__ = ["ForecastPanel", "ImputationPanel", "decomposition", "forecast", "imputation"]
