"""STL through statsmodels, which is an optional dependency."""

import importlib.util

import numpy as np
import torch
from torch import Tensor


def require_statsmodels() -> None:
    """Raise ImportError, with what to install, where statsmodels is missing."""
    if importlib.util.find_spec("statsmodels") is None:
        raise ImportError(
            "method: 'stl' needs the package statsmodels, which is not installed: "
            "pip install 'seqlight[stl]'; or take method 'classical'"
        )


def stl_components(filled: Tensor, season_length: int) -> tuple[Tensor, Tensor]:
    """Return trend and seasonal part of ``[B, T, C]`` by ``statsmodels.tsa.seasonal.STL``, at its defaults.

    Cleveland et al. 1990, "STL: A Seasonal-Trend Decomposition Procedure Based on Loess". Each series is
    computed by itself on the CPU, in float64, some milliseconds for a few hundred steps; no gradients. A
    channel with a NaN comes back all NaN.
    """
    from statsmodels.tsa.seasonal import STL

    series = filled.detach().to("cpu", torch.float64).transpose(1, 2).flatten(0, 1).numpy()
    trend, seasonal = np.full_like(series, np.nan), np.full_like(series, np.nan)
    for row, one in enumerate(series):
        if np.isfinite(one).all():
            fitted = STL(one, period=season_length).fit()
            trend[row], seasonal[row] = fitted.trend, fitted.seasonal
    shape = (filled.shape[0], filled.shape[2])

    def as_given(rows: np.ndarray) -> Tensor:
        return torch.from_numpy(rows).unflatten(0, shape).transpose(1, 2).to(filled)

    return as_given(trend), as_given(seasonal)
