"""Exponential smoothing with learned parameters, taken away from a window and added to its forecast."""

import torch
from torch import Tensor, nn


class ExponentialSmoothing(nn.Module):
    r"""Level and season of a window, by a recursion whose parameters belong to its series (Smyl, "A hybrid
    method of exponential smoothing and recurrent neural networks for time series forecasting", 2020).

    For each series and channel there are smoothing factors :math:`0 < \alpha, \gamma < 1` and, for each step
    of the season, where the season begins. Over a window y of L steps,

    .. math::
        l_t &= \alpha (y_t - s_t) + (1 - \alpha) \, l_{t-1} \\
        s_{t+S} &= \gamma (y_t - l_t) + (1 - \gamma) \, s_t

    with :math:`l_0` the mean of :math:`y_t - s_t` over the first season. What is left of the past is
    :math:`y_t - l_L - s_t`, and :math:`l_L + s_{L+h}` is added to the forecast. On logarithms level and
    season are factors, as in the paper.

    The season of S steps is known when a season begins, so all of its levels are one matrix product, and the
    recursion takes L / S steps. A missing value counts as the last one before it.

    Args:
        series: number N of series with parameters of their own; one more row stands for all others, which
            have the medians.
        season_length: S; 1 for no season.
        target_size: channels C.

    """

    def __init__(self, series: int, season_length: int, target_size: int) -> None:
        super().__init__()
        self.series = series
        self.season_length = season_length
        self.level_logit = nn.Parameter(torch.full((series, target_size), -0.5))
        self.season_logit: nn.Parameter | None = None
        self.season: nn.Parameter | None = None
        if season_length > 1:  # else they would be parameters without a gradient, which DDP refuses
            self.season_logit = nn.Parameter(torch.full((series, target_size), -1.0))
            self.season = nn.Parameter(torch.zeros(series, season_length, target_size))

    def forward(
        self, past: Tensor, series: Tensor, phase: Tensor, prediction_length: int
    ) -> tuple[Tensor, Tensor]:
        """Return what is left of the past ``[B, L, C]``, and what is added to the forecast ``[B, H, C]``.

        Args:
            past: transformed target ``[B, L, C]``, NaN where missing.
            series: int64 ``[B]``, 0 to N.
            phase: int64 ``[B]``, the step of the clock of the first future step.
            prediction_length: H.

        """
        length, period = past.shape[1], self.season_length
        level_weight = torch.sigmoid(self._of(self.level_logit, series)).unsqueeze(1)  # [B, 1, C]
        values = _filled(past)
        if self.season is None or self.season_logit is None:
            last = _levels(values, values.mean(1, keepdim=True), level_weight)[:, -1:]
            return _no_new_gaps(past - last, past), _no_new_gaps(last.expand(-1, prediction_length, -1))
        season_weight = torch.sigmoid(self._of(self.season_logit, series)).unsqueeze(1)
        steps = torch.arange(period, device=past.device)
        turned = (phase.unsqueeze(1) - length + steps) % period  # where the season stands at the first step
        begin = self._of(self.season, series)
        season = begin.gather(1, turned.unsqueeze(2).expand(-1, -1, begin.shape[2]))  # [B, S, C]
        first = min(period, length)
        level = (values[:, :first] - season[:, :first]).mean(1, keepdim=True)
        seasons = []
        for start in range(0, length, period):
            block = values[:, start : start + period]
            here = season[:, : block.shape[1]]
            levels = _levels(block - here, level, level_weight)
            level = levels[:, -1:]
            seasons.append(here)
            renewed = season_weight * (block - levels) + (1 - season_weight) * here
            season = torch.cat([season[:, block.shape[1] :], renewed], dim=1)
        left = past - torch.cat(seasons, dim=1) - level
        repeats = -(-prediction_length // period)
        ahead = season.repeat(1, repeats, 1)[:, :prediction_length] + level
        return _no_new_gaps(left, past), _no_new_gaps(ahead)

    def _of(self, table: Tensor, series: Tensor) -> Tensor:
        """Return the rows of series, and the medians for the one behind the last."""
        middle = (self.series - 1) // 2  # ONNX has no median
        median = table.sort(dim=0).values[middle : middle + 1]
        return torch.cat([table, median])[series]

    def extra_repr(self) -> str:  # noqa: D102
        return f"{self.series} series, season_length={self.season_length}"


def _levels(values: Tensor, before: Tensor, weight: Tensor) -> Tensor:
    """Return exponentially weighted means ``[B, T, C]`` that go on from ``before`` ``[B, 1, C]``."""
    length = values.shape[1]
    steps = torch.arange(length, device=values.device)
    ages = (steps.unsqueeze(1) - steps).to(values.dtype)  # [t, u]
    kept = torch.log1p(-weight).transpose(1, 2).unsqueeze(3)  # [B, C, 1, 1], logarithm of 1 - weight
    decay = torch.where(ages >= 0, torch.exp(kept * ages.clamp(min=0)), 0.0)  # [B, C, T, T]
    smoothed = torch.einsum("bctu,buc->btc", decay, weight * values)
    ago = torch.exp(kept.squeeze(3) * (steps + 1).to(values.dtype)).transpose(1, 2)  # [B, T, C]
    return smoothed + ago * before


def _filled(past: Tensor) -> Tensor:
    """Return the past with each missing value replaced by the last before it, by the next where none is."""
    steps = torch.arange(past.shape[1], device=past.device).view(1, -1, 1).expand_as(past)
    missing = past.isnan()
    known = torch.where(missing, -1, steps).cummax(1).values
    after = torch.where(missing, past.shape[1], steps).amin(1, keepdim=True)
    source = torch.where(known < 0, after, known).clamp(max=past.shape[1] - 1)
    return past.gather(1, source).nan_to_num(0.0)


def _no_new_gaps(values: Tensor, before: Tensor | None = None) -> Tensor:
    """Return infinity for what is no longer a number: no loss would see what passes for a missing cell."""
    new = values.isnan() if before is None else values.isnan() & ~before.isnan()
    return torch.where(new, torch.inf, values)
