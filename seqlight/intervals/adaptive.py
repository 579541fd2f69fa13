"""Intervals that follow a drift: the misses of earlier forecasts move the margins."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from seqlight.intervals.levels import miss_rate
from seqlight.intervals.split import Pooling, SplitConformal
from seqlight.intervals.tracking import NO_START, ScoresInOrder, issued_margins, track
from seqlight.intervals.windows import ForecastWindows

STEP_SIZES = (0.005, 0.01, 0.02, 0.05, 0.1)
TYPICAL = 0.9
"""A step is a share of this quantile of the sizes of a series' scores."""
TOLERANCE = 0.05
"""What a faster step may cost in interval score: the drift to come can be faster than that seen so far."""


class AdaptiveConformal(SplitConformal):
    """Split conformal margins that grow with each miss and shrink with each hit (quantile tracking).

    After :meth:`fit` the margins are those of :class:`SplitConformal`. :meth:`observe` takes later forecasts
    beside what came, and moves them, see :func:`seqlight.intervals.tracking.track`. The score of step h of a
    forecast is used only for forecasts that begin after its target's row: :meth:`margins` takes of all that
    was observed what was known at each window's ``start``. A margin of a forecast never depends on what
    came later, so whole parts of the data can be observed first and asked about afterwards.

    Compared with adaptive conformal inference (Gibbs and Candes 2021), which moves the level instead of the
    margin, its intervals are never infinite, and were narrower at the same coverage on the hourly and
    half-hourly series it was tried on.

    Args:
        levels: nominal coverages in per cent.
        score: see :class:`~seqlight.intervals.IntervalMethod`.
        symmetric: see :class:`SplitConformal`.
        pooling: likewise.
        step_size: how far a miss moves a margin, as a share of the 0.9 quantile of the sizes of the series'
            scores; None takes the largest of ``STEP_SIZES`` whose interval score, over the second half of
            what :meth:`fit` is given, is within 5 % of the lowest.

    Raises:
        ValueError: an unknown name, a level that is none, or a step size that is not above 0.

    """

    kind = "adaptive"

    def __init__(
        self,
        levels: Sequence[float] = (80, 95),
        *,
        score: str = "residual",
        symmetric: bool = True,
        pooling: Pooling = "few",
        step_size: float | None = None,
    ) -> None:
        super().__init__(levels, score=score, symmetric=symmetric, pooling=pooling)
        if step_size is not None and not 0 < step_size < float("inf"):
            raise ValueError(f"step_size: expected a number above 0, or None, got {step_size!r}")
        self.step_size = step_size
        self._last_fitted: Tensor | None = None
        self._observed: list[ForecastWindows] = []
        self._in_order: ScoresInOrder | None = None
        self._path: Tensor | None = None

    def fit(
        self,
        windows: ForecastWindows,
        *,
        series_count: int | None = None,
        series_ids: Sequence[str] | None = None,
    ) -> Self:
        """Take the quantiles of the scores, choose a step size, and forget what was observed."""
        super().fit(windows, series_count=series_count, series_ids=series_ids)
        count = len(self._tensors["series_margin"])
        self._tensors |= self._step_units(windows, count)
        last = torch.full((count,), -NO_START)
        self._last_fitted = last.scatter_reduce(0, windows.series_index, windows.start, "amax")
        self._observed, self._in_order, self._path = [], None, None
        if self.step_size is None:
            self.step_size = self._best_step_size(windows, count)
        return self

    def observe(self, windows: ForecastWindows) -> Self:
        """Learn from later forecasts; windows may come in any order, each once.

        Args:
            windows: forecasts of the series that :meth:`fit` has seen, and what came.

        Returns:
            Itself.

        Raises:
            ValueError: before ``fit``, a window that came before those of ``fit``, or one that comes twice.

        """
        self._check_level(self.levels[0])
        assert self.step_size is not None  # settled by fit
        if self._last_fitted is not None:
            early = windows.start <= self._last_fitted[windows.series_index]
            if bool(early.any()):
                raise ValueError(
                    "windows: expected later ones than those of fit, got one that starts at row "
                    f"{int(windows.start[early][0])} of series {int(windows.series_index[early][0])}"
                )
        observed = [*self._observed, windows]
        together = ForecastWindows.joined(observed)
        count = len(self._tensors["series_margin"])
        in_order = self._ordered(together, count)
        scale = _scale_of_series(together, count)
        every = torch.arange(count)
        initial = torch.stack(
            [super(AdaptiveConformal, self).margins(level, every, every, scale) for level in self.levels], -2
        )
        unit = self._tensors["series_step"]
        shared = self._tensors["pooled_step"][None] * self._unit(scale)[..., 0]
        step = self.step_size * torch.where(unit.isnan(), shared, unit)[..., None, None]
        path = track(in_order, initial, step, self._miss())
        self._observed, self._in_order, self._path = observed, in_order, path
        return self

    def margins(self, level: float, series_index: Tensor, start: Tensor, scale: Tensor | None) -> Tensor:
        """Return the margins as they were when a forecast began, see :class:`IntervalMethod`.

        They are NaN at steps for which a score of ``fit`` was not known yet.
        """
        margin = super().margins(level, series_index, start, scale)
        known = series_index >= 0
        series = series_index.clamp(min=0)
        steps = torch.arange(margin.shape[1])
        if self._path is not None and self._in_order is not None:
            rows = start[:, None] - steps
            starts = self._in_order.starts[series]
            number = torch.searchsorted(starts, rows)
            moved = self._path[series[:, None], number, steps][..., self.levels.index(level), :]
            seen = known & (starts[:, 0] < NO_START)
            # Without a scale at first there was nothing to move.
            margin = torch.where(seen[:, None, None, None] & ~moved.isnan(), moved, margin)
        if self._last_fitted is not None:
            early = self._last_fitted[series, None] + steps >= start[:, None]
            margin = margin.masked_fill((early & known[:, None])[..., None, None], torch.nan)
        return margin

    def arguments(self) -> dict[str, Any]:
        """Return those of :class:`SplitConformal` and the step size."""
        return {**super().arguments(), "step_size": self.step_size}

    def tensors(self) -> dict[str, Tensor]:
        """Return the margins after all that was observed, and the steps' units."""
        tensors = super().tensors()
        if self._path is not None and self._in_order is not None:
            seen = self._in_order.starts[:, 0] < NO_START
            last = self._path[:, -1]
            tensors["series_margin"] = torch.where(
                seen[:, None, None, None, None], last, tensors["series_margin"]
            )
        return tensors

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from margins, in rows that need not be those of the data before."""
        super().load_tensors(tensors)
        self._last_fitted, self._observed, self._in_order, self._path = None, [], None, None

    def _miss(self) -> Tensor:
        sides = 1 if self.symmetric else 2
        return torch.tensor([float(miss_rate(level) / sides) for level in self.levels], dtype=torch.float64)

    def _ordered(self, windows: ForecastWindows, count: int) -> ScoresInOrder:
        scores = torch.stack([self.scores(windows, level) for level in self.levels], -2)
        return ScoresInOrder.of(scores, windows.series_index, windows.start, count)

    def _step_units(self, windows: ForecastWindows, count: int) -> dict[str, Tensor]:
        """Return the typical sizes of the scores, of each series ``[S, H, C]`` and of all ``[H, C]``."""
        sizes = self.scores(windows, self.levels[-1]).abs().amax(-1)
        pooled = sizes / self._unit(windows.scale)[..., 0]
        own = torch.full((count, *sizes.shape[1:]), torch.nan, dtype=sizes.dtype)
        for series in windows.series_index.unique().tolist():
            own[series] = sizes[windows.series_index == series].nanquantile(TYPICAL, dim=0)
        return {"series_step": own, "pooled_step": pooled.nanquantile(TYPICAL, dim=0)}

    def _best_step_size(self, windows: ForecastWindows, count: int) -> float:
        """Return the largest step size with nearly the lowest interval score over the later half."""
        earlier, judged = windows.halves()
        middle = STEP_SIZES[len(STEP_SIZES) // 2]
        if not len(earlier):
            return middle
        trial = AdaptiveConformal(
            self.levels,
            score=self.score.name,
            symmetric=self.symmetric,
            pooling=self.pooling,
            step_size=middle,
        )
        trial.fit(earlier, series_count=count)
        losses = []
        for size in STEP_SIZES:
            trial.step_size, trial._observed = size, []
            losses.append(trial.observe(judged)._loss())
        lowest = min(losses)
        if lowest == float("inf"):
            return middle
        # Below 0 where the model's own intervals are too wide.
        most = lowest + TOLERANCE * abs(lowest)
        return max(s for s, loss in zip(STEP_SIZES, losses, strict=True) if loss <= most)

    def _loss(self) -> float:
        """Return the mean over the observed windows of what the interval score says of the margins.

        In units of each series' steps: the width, and a penalty for the distance of what lies outside.
        """
        assert self._in_order is not None and self._path is not None
        issued = issued_margins(self._in_order, self._path)
        excess = (self._in_order.scores - issued).clamp(min=0) / self._miss()[:, None]
        loss = (issued + excess) / self._tensors["series_step"][:, None, ..., None, None]
        mean = float(loss[loss.isfinite()].mean())
        return mean if mean == mean else float("inf")


def _scale_of_series(windows: ForecastWindows, count: int) -> Tensor | None:
    """Return the scale of each series' first window, ``[S, C]``; NaN for a series without windows.

    That of a later one would move the margins of the windows before it.
    """
    if windows.scale is None:
        return None
    scale = torch.full((count, windows.scale.shape[1]), torch.nan, dtype=windows.scale.dtype)
    order = windows.start.argsort(stable=True)
    order = order[windows.series_index[order].argsort(stable=True)]
    series = windows.series_index[order]
    first = torch.ones_like(series, dtype=torch.bool)
    first[1:] = series.diff() != 0
    scale[series[first]] = windows.scale[order[first]]
    return scale
