"""Naive2, the M4 competition's benchmark: the last value, with a season taken out and put back."""

import torch
from torch import Tensor

CRITICAL = 1.645
"""Of the normal distribution, 90 % within it on both sides: the bound of the test of a season."""


def naive2(past: Tensor, prediction_length: int, season_length: int) -> Tensor:
    """Return Naive2 forecasts, as the M4 competition made them (Makridakis, Spiliotis, Assimakopoulos 2020).

    Where :func:`is_seasonal` finds a season, the past is divided by its seasonal indices (classical
    multiplicative decomposition: the ratios to a centred moving average over one season, averaged over the
    seasons, their mean 1), the last value is repeated and multiplied by the indices of the steps ahead. Else
    the last value is repeated. A past with values of 0 or below has no such indices and is taken as not
    seasonal.

    Args:
        past: ``[B, L, C]`` whole series, not windows of them, if the season is to be found as in the M4; NaN
            where missing.
        prediction_length: number H of steps.
        season_length: steps of one season; 1 for none, which the M4 takes for its weekly and daily series.

    Returns:
        ``[B, H, C]``; NaN for a channel without a known value.

    Raises:
        ValueError: a size below 1, or another shape.

    """
    if past.ndim != 3 or not past.shape[1]:
        raise ValueError(f"past: expected [B, L, C] with L of at least 1, got {list(past.shape)}")
    for name, size in (("prediction_length", prediction_length), ("season_length", season_length)):
        if size < 1:
            raise ValueError(f"{name}: expected at least 1, got {size}")
    values = past.double()
    ahead = torch.arange(past.shape[1], past.shape[1] + prediction_length, device=past.device)
    indices = torch.ones_like(values[:, :1]).expand(-1, season_length, -1)
    if season_length > 1:
        found = seasonal_indices(values, season_length)
        usable = is_seasonal(values, season_length) & (found.isfinite() & (found > 0)).all(1)
        usable &= ~(values <= 0).any(1)
        indices = torch.where(usable[:, None], found, indices)
    phases = torch.arange(past.shape[1], device=past.device) % season_length
    adjusted = values / indices[:, phases]
    return (_last_known(adjusted)[:, None] * indices[:, ahead % season_length]).to(past.dtype)


def is_seasonal(past: Tensor, season_length: int) -> Tensor:
    """Return whether series have a season, by the M4 competition's test.

    A series of at least three seasons has one if its autocorrelation r_m at the lag of the season lies
    outside of ``1.645 sqrt((1 + 2 (r_1^2 + ... + r_(m-1)^2)) / n)``, Bartlett's bound for a series whose
    correlation ends before.

    Args:
        past: ``[B, L, C]``; NaN where missing.
        season_length: m, at least 2.

    Returns:
        Bool ``[B, C]``.

    """
    known = ~past.isnan()
    count = known.sum(1)
    if past.shape[1] < 3 * season_length:
        return torch.zeros_like(count, dtype=torch.bool)
    mean = torch.where(known, past, 0.0).sum(1) / count
    centred = torch.where(known, past - mean[:, None], 0.0)
    variance = centred.square().sum(1)
    correlations = torch.stack(
        [(centred[:, lag:] * centred[:, :-lag]).sum(1) / variance for lag in range(1, season_length + 1)]
    )
    bound = CRITICAL * ((1 + 2 * correlations[:-1].square().sum(0)) / count).sqrt()
    return (correlations[-1].abs() > bound) & (count >= 3 * season_length)


def seasonal_indices(past: Tensor, season_length: int) -> Tensor:
    """Return multiplicative seasonal indices of classical decomposition.

    Args:
        past: ``[B, L, C]``.
        season_length: m, at least 2.

    Returns:
        ``[B, m, C]``, phase 0 is that of the first step; NaN where a phase has no ratio.

    """
    batch, length, channels = past.shape
    if length <= season_length:
        return past.new_full((batch, season_length, channels), torch.nan)
    # Over an even season the average is centred by two halves at its ends.
    weights = torch.ones(season_length + 1 - season_length % 2, dtype=past.dtype, device=past.device)
    if season_length % 2 == 0:
        weights[0] = weights[-1] = 0.5
    trend = (past.unfold(1, len(weights), 1) * weights).sum(-1) / season_length
    half = len(weights) // 2
    ratios = past[:, half : half + trend.shape[1]] / trend
    padded = past.new_full((batch, -(-length // season_length) * season_length, channels), torch.nan)
    padded[:, half : half + trend.shape[1]] = ratios
    by_phase = padded.unflatten(1, (-1, season_length)).nanmean(1)
    return by_phase / by_phase.mean(1, keepdim=True)


def _last_known(values: Tensor) -> Tensor:
    steps = torch.arange(values.shape[1], device=values.device)[:, None]
    last = torch.where(values.isnan(), -1, steps).amax(1, keepdim=True)
    return values.gather(1, last.clamp(min=0)).squeeze(1)
