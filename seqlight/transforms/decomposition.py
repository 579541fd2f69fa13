"""Additive decomposition of series into trend, seasonal part and remainder."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from seqlight.transforms.missing import by_phase, interpolate_seasonal
from seqlight.transforms.stl import require_statsmodels, stl_components

METHODS = ("classical", "stl")


class Decomposition(NamedTuple):
    """The parts of a series; they add up to it.

    Attributes:
        trend: the level without the season, in every step.
        seasonal: the pattern that repeats with the season, about zero.
        remainder: what is left; NaN where the series is missing.

    """

    trend: Tensor
    seasonal: Tensor
    remainder: Tensor


def decompose(values: Tensor, season_length: int, *, method: str = "classical") -> Decomposition:
    """Split series into trend, seasonal part and remainder: y_t = T_t + S_t + R_t.

    For a season that grows with the level (multiplicative) decompose the logarithm.

    ``"classical"``, by moving averages. With the season m:

    1. T_t is the mean of the m steps around t; for even m of m + 1 steps, the outer two at half weight (the
       2 x m average), so that the window is centred. It is not defined in the first and last half season:
       there T_t goes on along the least-squares line through the first, or last, m values of T.
    2. S_t is the mean of y - T over the observed steps of the same phase, less the mean of these m means; it
       repeats exactly.
    3. R_t = y_t - T_t - S_t.

    ``"stl"`` is Cleveland et al. 1990 as in ``statsmodels.tsa.seasonal.STL`` with its defaults: the season
    may change slowly. It takes milliseconds for every series where the moving averages take microseconds,
    and can be neither differentiated nor exported.

    Missing cells are filled for T and S, by the straight line between their neighbours whole seasons away;
    trend and seasonal part so come for every step.

    Args:
        values: ``[..., T, C]`` floating point, NaN where missing; T at least two seasons.
        season_length: steps m of a season, at least 2.
        method: ``"classical"`` or ``"stl"``.

    Returns:
        The three parts, each of the shape of ``values``. All NaN for a channel without any observed cell.

    Raises:
        ImportError: ``method="stl"`` without statsmodels.
        TypeError: ``values`` is not floating point, or the season is no integer.
        ValueError: an unknown method, a season below 2, or less than two seasons of values.

    """
    check_options(season_length, method)
    if not values.is_floating_point():
        raise TypeError(f"values: expected a floating-point tensor, got {values.dtype}; call .float() on it")
    if values.ndim < 2 or values.shape[-2] < 2 * season_length:
        raise ValueError(
            f"values: expected a shape [..., T, C] with at least two seasons of {season_length}, "
            f"T >= {2 * season_length}, got {list(values.shape)}"
        )
    series = values.reshape(-1, *values.shape[-2:])
    filled = interpolate_seasonal(series, season_length)
    if method == "stl":
        trend, seasonal = stl_components(filled, season_length)
    else:
        trend = _moving_average(filled, season_length)
        seasonal = _phase_means(series - trend, filled - trend, season_length)
    parts = (trend, seasonal, series - trend - seasonal)
    return Decomposition(*(part.reshape(values.shape) for part in parts))


def check_options(season_length: Any, method: Any) -> None:
    """Raise where ``season_length`` or ``method`` is not what :func:`decompose` takes."""
    if isinstance(season_length, bool) or not isinstance(season_length, int):
        raise TypeError(
            f"season_length: expected an integer, got {season_length!r} ({type(season_length).__name__})"
        )
    if season_length < 2:
        raise ValueError(f"season_length: expected at least 2 steps, got {season_length}")
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(map(repr, METHODS))}; got {method!r}")
    if method == "stl":
        require_statsmodels()


def least_squares_slope(values: Tensor) -> Tensor:
    """Return the slope per step of the least-squares line through ``[B, T, C]``, as ``[B, 1, C]``."""
    steps = torch.arange(values.shape[1], dtype=values.dtype, device=values.device)
    steps = (steps - steps.mean()).reshape(1, -1, 1)
    return (steps * values).sum(1, keepdim=True) / steps.square().sum()


def _moving_average(filled: Tensor, season_length: int) -> Tensor:
    # By prefix sums, whose cost does not grow with the season; about the mean, which keeps them small.
    mean = filled.mean(1, keepdim=True)
    sums = F.pad((filled - mean).cumsum(1), (0, 0, 1, 0))
    inner = (sums[:, season_length:] - sums[:, :-season_length]) / season_length
    if season_length % 2 == 0:
        inner = (inner[:, 1:] + inner[:, :-1]) / 2
    inner = inner + mean  # [B, T - 2 * half, C], at least one season
    half = season_length // 2
    steps = torch.arange(1, half + 1, dtype=filled.dtype, device=filled.device).reshape(1, -1, 1)

    def beyond(season: Tensor) -> Tensor:
        """Return the half season after ``season``, on its least-squares line."""
        centre = season.mean(1, keepdim=True)
        return centre + least_squares_slope(season) * ((season_length - 1) / 2 + steps)

    before = beyond(inner[:, :season_length].flip(1)).flip(1)
    return torch.cat([before, inner, beyond(inner[:, -season_length:])], dim=1)


def _phase_means(detrended: Tensor, detrended_filled: Tensor, season_length: int) -> Tensor:
    means = by_phase(detrended, season_length).nanmean(1)  # [B, season_length, C]
    # A phase that was never observed.
    means = torch.where(means.isnan(), by_phase(detrended_filled, season_length).nanmean(1), means)
    means = means - means.mean(1, keepdim=True)
    seasons = -(-detrended.shape[1] // season_length)
    return means.repeat(1, seasons, 1)[:, -detrended.shape[1] :]
