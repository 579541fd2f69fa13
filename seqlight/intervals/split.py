"""Split conformal intervals, for each step ahead."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import torch
from torch import Tensor

from seqlight.intervals.levels import needed_scores
from seqlight.intervals.method import IntervalMethod
from seqlight.intervals.order_statistics import conformal_quantiles
from seqlight.intervals.windows import ForecastWindows

Pooling = Literal["few", "always", "never"]
POOLINGS = ("few", "always", "never")


class SplitConformal(IntervalMethod):
    """Quantiles of past scores, of each series, step ahead and channel by itself.

    With n scores the bound is the ``ceil((n + 1) (1 - alpha))``-th smallest. For n + 1 exchangeable scores an
    interval of it holds the target with probability ``1 - alpha`` at least, and ``1 / (n + 1)`` above that at
    most (Lei et al. 2018). Scores of overlapping windows are not exchangeable: coverage is approximate.

    A series that has fewer scores than a level needs (``ceil(1 / alpha) - 1``, or ``ceil(2 / alpha) - 1``
    where each side has a bound of its own) takes the scores of all series together, each divided by the
    ``scale`` of its series (the scaled score is comparable as it is). Where those are too few as well, or a
    series has no scale, the bound is NaN.

    Args:
        levels: nominal coverages in per cent.
        score: see :class:`IntervalMethod`.
        symmetric: one margin for both sides, that of the larger score of the two, instead of one for each
            side with half of alpha. It needs half as many scores, and held better where the sign of the
            errors drifts.
        pooling: ``"few"``, as said above; ``"always"`` takes the scores of all series for each, ``"never"``
            only its own.

    Raises:
        ValueError: an unknown name, or a level that is none.

    """

    kind = "split"

    def __init__(
        self,
        levels: Sequence[float] = (80, 95),
        *,
        score: str = "residual",
        symmetric: bool = True,
        pooling: Pooling = "few",
    ) -> None:
        super().__init__(levels, score=score)
        if pooling not in POOLINGS:
            raise ValueError(f"pooling: expected one of {', '.join(map(repr, POOLINGS))}, got {pooling!r}")
        self.symmetric = bool(symmetric)
        self.pooling = pooling
        self._tensors: dict[str, Tensor] = {}

    def fit(
        self,
        windows: ForecastWindows,
        *,
        data: Any = None,
        series_count: int | None = None,
        series_ids: Sequence[str] | None = None,
    ) -> Self:
        """Take the quantiles of the scores, see :meth:`IntervalMethod.fit`."""
        count = self._settle_series(windows, data, series_count, series_ids)
        index, everything = windows.series_index, torch.zeros_like(windows.series_index)
        own, pooled = [], []
        for level in self.levels:
            scores = self.scores(windows, level)
            two_sided = not self.symmetric
            own.append(conformal_quantiles(scores, index, count, level, two_sided=two_sided))
            comparable = scores / self._unit(windows.scale)
            pooled.append(conformal_quantiles(comparable, everything, 1, level, two_sided=two_sided)[0])
        self._tensors = {"series_margin": torch.stack(own, -2), "pooled_margin": torch.stack(pooled, -2)}
        if self.pooling == "always":
            self._tensors["series_margin"].fill_(torch.nan)
        if self.pooling == "never":
            self._tensors["pooled_margin"].fill_(torch.nan)
        return self

    def scores(self, windows: ForecastWindows, level: float) -> Tensor:
        """Return the scores below and above, ``[W, H, C, 2]`` float64; twice the larger one if symmetric."""
        scores = self.score.of(windows.forecast, windows.target, level)
        return scores.amax(-1, keepdim=True).expand_as(scores) if self.symmetric else scores

    def margins(self, level: float, series_index: Tensor, start: Tensor, scale: Tensor | None) -> Tensor:
        """Return each series' own margin or, where it has none, that of all, see :class:`IntervalMethod`."""
        place = self._check_level(level)
        own, pooled = self._tensors["series_margin"], self._tensors["pooled_margin"]
        if len(series_index) and int(series_index.max()) >= len(own):
            raise ValueError(
                f"series_index: expected numbers below {len(own)}, the series that were seen, or -1, got "
                f"{int(series_index.max())}"
            )
        margin = own[series_index.clamp(min=0)][..., place, :]
        margin = margin.masked_fill((series_index < 0)[:, None, None, None], torch.nan)
        shared = pooled[None, ..., place, :].expand_as(margin)
        return torch.where(margin.isnan(), shared * self._unit(scale), margin)

    def rescaled(self, ratio: Tensor) -> Self:
        """Return the method for errors of another size, such as those of a model of more data.

        Scores in a series' units keep their size relative to its scale; those in units of the model's own
        spread (``"scaled"``) stay as they are, and so do those of all series together, which are multiplied
        by each window's scale anyway.

        Args:
            ratio: ``[S, C]``, each series' scale now over that at :meth:`fit`; taken for 1 where it is not
                finite or not above 0, for there is no scale then.

        """
        other = self._copy()
        if not self.score.normalised:
            factor = torch.where(ratio.isfinite() & (ratio > 0), ratio.double(), 1.0)
            for name in ("series_margin", "series_step"):
                if name in other._tensors:
                    value = other._tensors[name]
                    shape = (len(factor), 1, factor.shape[1], *[1] * (value.ndim - 3))
                    other._tensors[name] = value * factor.reshape(shape)
        return other

    def _copy(self) -> Self:
        other = type(self)(**self.arguments())
        other.load_tensors(self.tensors())
        other.series_ids = self.series_ids
        return other

    def empty_note(self, level: float) -> str:
        """Return why a bound of a level may be empty, one sentence."""
        needed = needed_scores(level, two_sided=not self.symmetric)
        return f"level {level:g} needs {needed} past forecasts with a known value at each step"

    def _unit(self, scale: Tensor | None) -> Tensor:
        """Return what makes the scores of B windows comparable between series, ``[B, 1, C, 1]``."""
        if self.score.normalised:
            return torch.ones((1, 1, 1, 1), dtype=torch.float64)
        if scale is None:
            return torch.full((1, 1, 1, 1), torch.nan, dtype=torch.float64)
        usable = torch.where(scale.isfinite() & (scale > 0), scale.double(), torch.nan)
        return usable[:, None, :, None]

    def arguments(self) -> dict[str, Any]:
        """Return levels, score, symmetry and pooling."""
        return {
            "levels": list(self.levels),
            "score": self.score.name,
            "symmetric": self.symmetric,
            "pooling": self.pooling,
        }

    @property
    def is_fitted(self) -> bool:
        """Whether there are margins."""
        return bool(self._tensors)

    def tensors(self) -> dict[str, Tensor]:
        """Return the margins of each series ``[S, H, C, levels, 2]`` and of all ``[H, C, levels, 2]``."""
        return dict(self._tensors)

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over margins."""
        self._tensors = dict(tensors)
