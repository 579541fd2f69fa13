"""What every method of making intervals has in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from seqlight.intervals.levels import check_levels, miss_rate
from seqlight.intervals.scores import SCORES, Score
from seqlight.intervals.windows import ForecastWindows
from seqlight.predictor import Forecast

LEAST_WIDTH = 0.1
"""No interval is narrower than this share of the model's own, where it has one."""


class Interval(NamedTuple):
    """Bounds of one level, ``[B, H, C]`` in original units; NaN where there is none."""

    lower: Tensor
    upper: Tensor


class IntervalMethod(ABC):
    """Makes intervals around the forecasts of a model from how its past forecasts were off.

    The promise of conformal prediction holds for scores that are exchangeable. Those of windows are not: the
    windows overlap, and the future drifts away from the past. Coverage is therefore approximate, and is to be
    measured on data that the method has not seen.

    A method is fitted on forecasts that the model was not trained or chosen on, then asked for intervals of
    new ones. What it has learnt is a handful of tensors, :meth:`state`, that go into a checkpoint.

    Args:
        levels: nominal coverages in per cent, such as ``[80, 95]``.
        score: ``"residual"`` (errors of the point), ``"scaled"`` (those over the model's own spread) or
            ``"quantile"`` (conformalised quantile regression).

    Raises:
        ValueError: an unknown score, or a level that is none.

    """

    kind: ClassVar[str]
    """The name that the state has for the class."""

    def __init__(self, levels: Sequence[float] = (80, 95), *, score: str = "residual") -> None:
        self.levels = check_levels(levels)
        if score not in SCORES:
            raise ValueError(f"score: expected one of {', '.join(map(repr, SCORES))}, got {score!r}")
        self.score: Score = SCORES[score]()
        self.series_ids: list[str] | None = None

    @property
    def quantile_levels(self) -> tuple[float, ...]:
        """The quantiles that a model has to give, rising."""
        return self.score.quantile_levels(self.levels)

    @abstractmethod
    def fit(
        self,
        windows: ForecastWindows,
        *,
        data: Any = None,
        series_count: int | None = None,
        series_ids: Sequence[str] | None = None,
    ) -> Self:
        """Learn from past forecasts; what was learnt before is forgotten.

        Args:
            windows: forecasts of data that neither training nor choice has used.
            data: the DataModule that the windows are of. It names the series, and a method that adapts keeps
                by its times what it has seen, see :meth:`for_data`.
            series_count: S; None takes the highest ``series_index``.
            series_ids: names of the S series; needed to find them again in other data,
                see :meth:`for_series`.

        Returns:
            Itself.

        Raises:
            ValueError: no window, or numbers that do not fit together, or ``series_ids`` beside ``data``.

        """

    @abstractmethod
    def margins(self, level: float, series_index: Tensor, start: Tensor, scale: Tensor | None) -> Tensor:
        """Return what is added to the model's own interval, in units of its score.

        Args:
            level: one of ``levels``.
            series_index: int64 ``[B]``; -1 for a series that :meth:`fit` has not seen.
            start: int64 ``[B]``, the row of each window's first future step.
            scale: ``[B, C]``, the unit in which scores of different series are compared, or None.

        Returns:
            float64 ``[B, H, C, 2]``, below and above; NaN where there is no bound.

        """

    def intervals(
        self, forecast: Forecast, *, series_index: Tensor, start: Tensor, scale: Tensor | None = None
    ) -> dict[float, Interval]:
        """Return an interval of each level around forecasts; those of higher levels hold those of lower ones.

        Where fewer scores than a level needs were seen, its bounds are NaN.

        Args:
            forecast: of B windows, with ``quantile_levels``.
            series_index: int64 ``[B]``, the series of each window; -1 for one that ``fit`` has not seen.
            start: int64 ``[B]``, the row of each window's first future step in its series.
            scale: ``[B, C]``, as in :class:`ForecastWindows`.

        Raises:
            ValueError: the forecast lacks quantiles, or sizes differ from those of ``fit``.

        """
        device, dtype = forecast.point.device, forecast.point.dtype
        index, start = series_index.cpu(), start.cpu()
        scale = None if scale is None else scale.cpu()
        made: dict[float, Interval] = {}
        for level in self.levels:
            margin = self.margins(level, index, start, scale)
            if margin.shape[:-1] != forecast.point.shape:
                raise ValueError(
                    f"forecast: expected [B, H, C] = {list(margin.shape[:-1])}, as fitted, got "
                    f"{list(forecast.point.shape)}"
                )
            margin = margin.to(device)
            lower, upper, unit = (part.double() for part in self.score.frame(forecast, level))
            least = LEAST_WIDTH * (upper - lower)
            made[level] = _ordered(lower - unit * margin[..., 0], upper + unit * margin[..., 1], least)
        return {
            level: Interval(*(b.to(dtype) for b in interval)) for level, interval in _nested(made).items()
        }

    @property
    def is_fitted(self) -> bool:
        """Whether :meth:`fit` or :meth:`load_state` was called."""
        return bool(self.tensors())

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return the plain values that it was made with, by name."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Return what it has learnt; nothing before ``fit``."""

    @abstractmethod
    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what another one of the same arguments has learnt."""

    def state(self) -> dict[str, Any]:
        """Return plain values and tensors, which ``torch.load(..., weights_only=True)`` reads back."""
        return {
            "kind": self.kind,
            "arguments": self.arguments(),
            "tensors": self.tensors(),
            "series_ids": self.series_ids,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state` of another one of the same arguments has given."""
        self.load_tensors(state["tensors"])
        ids = state.get("series_ids")
        self.series_ids = None if ids is None else list(ids)

    def for_data(self, data: Any) -> Self:
        """Return the method for the series of a DataModule, see :meth:`for_series`.

        Args:
            data: has ``series_ids``.

        """
        return self if self.series_ids is None else self.for_series([str(one) for one in data.series_ids])

    def for_series(self, series_ids: Sequence[str]) -> Self:
        """Return the method for other data, which have these series in this order.

        A series that it knows by its id keeps its own scores; for the others there are those of all series.

        Raises:
            ValueError: it was fitted without ``series_ids``.

        """
        if self.series_ids is None:
            raise ValueError("for_series: the method was fitted without series_ids; pass them to fit")
        if list(series_ids) == self.series_ids:
            return self
        places = {name: place for place, name in enumerate(self.series_ids)}
        rows = torch.tensor([places.get(name, -1) for name in series_ids], dtype=torch.int64)
        other = type(self)(**self.arguments())
        other.load_tensors(
            {
                name: _rows(value, rows) if name.startswith("series_") else value
                for name, value in self.tensors().items()
            }
        )
        other.series_ids = list(series_ids)
        return other

    def _settle_series(
        self,
        windows: ForecastWindows,
        data: Any,
        series_count: int | None,
        series_ids: Sequence[str] | None,
    ) -> int:
        if not len(windows):
            raise ValueError("windows: expected at least one, got none")
        if data is not None:
            if series_ids is not None:
                raise ValueError("series_ids: given beside data, which names its series; give one of them")
            series_ids = [str(one) for one in data.series_ids]
        highest = int(windows.series_index.max()) + 1
        count = series_count if series_count is not None else len(series_ids) if series_ids else highest
        if count < highest or int(windows.series_index.min()) < 0:
            raise ValueError(
                f"series_index: expected numbers from 0 to {count - 1} (series_count), got "
                f"{int(windows.series_index.min())} to {highest - 1}"
            )
        if series_ids is not None and len(series_ids) != count:
            raise ValueError(f"series_ids: expected {count}, one for each series, got {len(series_ids)}")
        self.series_ids = None if series_ids is None else [str(name) for name in series_ids]
        return count

    def _check_level(self, level: float) -> int:
        """Return the place of a level."""
        if not self.is_fitted:
            raise ValueError(f"{type(self).__name__}: call fit before asking for intervals")
        if level not in self.levels:
            raise ValueError(f"level: expected one of {list(self.levels)}, got {level}")
        return self.levels.index(level)


def _rows(values: Tensor, rows: Tensor) -> Tensor:
    """Return rows of float values, NaN for row -1."""
    taken = values[rows.clamp(min=0)]
    return taken.masked_fill((rows < 0).reshape(-1, *[1] * (values.ndim - 1)), torch.nan)


def _ordered(lower: Tensor, upper: Tensor, least: Tensor) -> Interval:
    """Return bounds that are at least so far apart, about the same middle."""
    middle = (lower + upper) / 2
    narrow = upper - lower < least
    return Interval(
        torch.where(narrow, middle - least / 2, lower), torch.where(narrow, middle + least / 2, upper)
    )


def _nested(made: dict[float, Interval]) -> dict[float, Interval]:
    """Return intervals of which those of higher levels hold those of lower ones. Widening loses no target."""
    nested: dict[float, Interval] = {}
    inner: Interval | None = None
    for level, (lower, upper) in made.items():
        if inner is not None:
            # A bound that is missing stays so; one that is missing further in limits nothing.
            lower = torch.where(lower > inner.lower, inner.lower, lower)
            upper = torch.where(upper < inner.upper, inner.upper, upper)
        nested[level] = Interval(lower, upper)
        inner = nested[level]
    return nested


def quantile_columns(intervals: Mapping[float, Interval]) -> tuple[tuple[float, ...], Tensor]:
    """Return the bounds as quantiles: levels, rising, and values ``[B, H, C, Q]``."""
    halves = {level: float(miss_rate(level) / 2) for level in intervals}
    columns = {half: intervals[level].lower for level, half in halves.items()}
    columns |= {float(1 - miss_rate(level) / 2): intervals[level].upper for level in intervals}
    levels = tuple(sorted(columns))
    return levels, torch.stack([columns[level] for level in levels], -1)
