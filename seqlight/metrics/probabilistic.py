"""Metrics of quantiles, intervals and samples as torchmetrics classes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqlight.metrics.cell_ratio import CellRatio
from seqlight.metrics.functional.crps import crps_quantiles, crps_samples
from seqlight.metrics.functional.crps_distributions import CRPS_OF, crps_distribution
from seqlight.metrics.functional.intervals import interval_coverage, interval_score
from seqlight.metrics.functional.quantiles import pinball_loss

NINE_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class WeightedQuantileLoss(CellRatio):
    """Mean over the levels of ``2 sum pinball / sum |target|``, sums over all cells that count.

    See :func:`~seqlight.metrics.functional.weighted_quantile_loss`. Comparisons of forecasts usually take
    nine levels, 0.1 to 0.9, the default.

    Args:
        quantiles: the Q levels of the forecasts.
        kwargs: ``by`` and ``size``, see :class:`CellRatio`, and those of :class:`torchmetrics.Metric`.

    """

    def __init__(self, quantiles: Sequence[float] = NINE_LEVELS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.quantiles = [float(level) for level in quantiles]

    def update(
        self, preds: Tensor, target: Tensor, mask: Tensor | None = None, series_index: Tensor | None = None
    ) -> None:
        """Add a batch: ``preds`` are ``[B, H, C, Q]``, or ``[B, H, C]`` for a point at each level."""
        if preds.shape == target.shape:
            preds = preds.unsqueeze(-1).expand(*preds.shape, len(self.quantiles))
        losses = 2 * pinball_loss(preds, target, self.quantiles).mean(-1)
        self._add(losses, target.abs(), mask, series_index)


class ContinuousRankedProbabilityScore(CellRatio):
    """CRPS over the cells that count, from quantiles, samples or parameters, in the target's units.

    Args:
        quantiles: levels of the forecasts; None where they are samples or parameters.
        distribution: the name of a distribution, whose parameters the forecasts are:
            :func:`~seqlight.metrics.functional.crps_distribution`, in closed form; None elsewhere.
        kwargs: ``by`` and ``size``, see :class:`CellRatio`, and those of :class:`torchmetrics.Metric`.

    Raises:
        ValueError: both are given, or an unknown distribution.

    """

    def __init__(
        self, quantiles: Sequence[float] | None = None, *, distribution: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if quantiles is not None and distribution is not None:
            raise ValueError(f"distribution: given beside quantiles, got {distribution!r}; give one of them")
        if distribution is not None and distribution not in CRPS_OF:
            known = ", ".join(map(repr, CRPS_OF))
            raise ValueError(f"distribution: expected one of {known}, got {distribution!r}")
        self.quantiles = None if quantiles is None else [float(level) for level in quantiles]
        self.distribution = distribution

    def update(
        self, preds: Tensor, target: Tensor, mask: Tensor | None = None, series_index: Tensor | None = None
    ) -> None:
        """Add a batch of quantiles or parameters ``[B, H, C, Q or P]``, or of samples ``[N, B, H, C]``."""
        if self.distribution is not None:
            score = crps_distribution(self.distribution, preds, target)
        elif self.quantiles is None:
            score = crps_samples(preds, target)
        else:
            score = crps_quantiles(preds, target, self.quantiles)
        self._add(score, None, mask, series_index)


class IntervalCoverage(CellRatio):
    """Share of the known targets that lie inside the interval, to be held against its nominal level."""

    higher_is_better = None

    def update(
        self,
        lower: Tensor,
        upper: Tensor,
        target: Tensor,
        mask: Tensor | None = None,
        series_index: Tensor | None = None,
    ) -> None:
        """Add a batch: bounds and ``target`` are ``[B, H, C]``; an empty (NaN) bound does not count."""
        self._add(interval_coverage(lower, upper, target), None, mask, series_index)


class IntervalScore(CellRatio):
    """Mean interval score, :func:`~seqlight.metrics.functional.interval_score`.

    Args:
        level: nominal coverage in per cent, above 0 and below 100.
        kwargs: ``by`` and ``size``, see :class:`CellRatio`, and those of :class:`torchmetrics.Metric`.

    """

    def __init__(self, level: float = 80, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        interval_score(torch.zeros(()), torch.zeros(()), torch.zeros(()), level)  # checks the level
        self.level = level

    def update(
        self,
        lower: Tensor,
        upper: Tensor,
        target: Tensor,
        mask: Tensor | None = None,
        series_index: Tensor | None = None,
    ) -> None:
        """Add a batch: bounds and ``target`` are ``[B, H, C]``; an empty (NaN) bound does not count."""
        self._add(interval_score(lower, upper, target, self.level), None, mask, series_index)


class MeanError(CellRatio):
    """Mean of ``preds - target``, the bias: above 0 where forecasts are too high, in the target's units."""

    higher_is_better = None

    def update(
        self, preds: Tensor, target: Tensor, mask: Tensor | None = None, series_index: Tensor | None = None
    ) -> None:
        """Add a batch: ``preds``, ``target`` and ``mask`` (False where not known) are ``[B, H, C]``."""
        self._add(preds - target, None, mask, series_index)
