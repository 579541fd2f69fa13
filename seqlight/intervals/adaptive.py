"""Intervals that follow a drift: the misses of earlier forecasts move the margins."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from seqlight.intervals.levels import miss_rate
from seqlight.intervals.smoothing import smooth_over_steps
from seqlight.intervals.split import Pooling, SplitConformal
from seqlight.intervals.step_sizes import MIDDLE, best_step_size
from seqlight.intervals.tracking import Events, Path, track
from seqlight.intervals.windows import ForecastWindows

TYPICAL = 0.9
"""Where margins can be below 0, a shift is a share of this quantile of the sizes of a series' scores."""
LEAST = 0.1
"""A margin that cannot be below 0 shrinks to no less than this share of what :meth:`fit` has found."""
APART = 0.5
"""Of the distance between two levels' margins that :meth:`fit` has found, what is kept at least."""
NO_ROW = torch.iinfo(torch.int64).min // 2


class AdaptiveConformal(SplitConformal):
    """Split conformal margins that grow with each miss and shrink with each hit (quantile tracking).

    After :meth:`fit` the margins are those of :class:`SplitConformal`, smoothed over neighbouring steps.
    :meth:`observe` takes later forecasts beside what came, and moves a series' margins by a factor, one for
    all steps ahead of a channel and level (:func:`seqlight.intervals.tracking.track`), for few windows say
    too little of each step by itself. Coverage is thus kept over the steps together. The factor is
    ``1 + shift``, and ``exp(shift)`` below 1, so that no margin comes to 0. Where margins can have either
    sign (score ``"quantile"``, or a bound for each side), the shift is added, in typical scores.

    The score of step h of a forecast is used only for forecasts that begin after its target's row:
    :meth:`margins` takes of all that was observed what was known at each window's ``start``. A margin of a
    forecast never depends on what came later, so whole parts of the data can be observed first and asked
    about afterwards.

    :meth:`state` keeps the shifts, and up to which time of each series scores were used. Loaded again, it
    goes on from there: :meth:`for_data` finds these times in other data, and skips what was seen.

    Adaptive conformal inference (Gibbs and Candes 2021) moves the level instead of the margin; intervals can
    become infinite then, these cannot.

    Args:
        levels: nominal coverages in per cent.
        score: see :class:`~seqlight.intervals.IntervalMethod`.
        symmetric: see :class:`SplitConformal`.
        pooling: likewise.
        step_size: how far a row of misses moves the shift; None takes the largest of
            :data:`seqlight.intervals.step_sizes.STEP_SIZES` whose interval score, over the second half of
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
        self._forget()

    def _forget(self) -> None:
        self._events: Events | None = None
        self._path: Path | None = None
        self._known_first: Tensor | None = None
        self._begin = 0  # the entry of the path that what this object observes goes on from
        self._data: Any = None
        self._times: dict[str, int] | None = None
        self._why_rows_are_unknown = ""

    @property
    def _multiplies(self) -> bool:
        """Whether margins are sizes, which a shift multiplies."""
        return self.symmetric and not self.score.signed

    def fit(
        self,
        windows: ForecastWindows,
        *,
        data: Any = None,
        series_count: int | None = None,
        series_ids: Sequence[str] | None = None,
    ) -> Self:
        """Take the quantiles of the scores, choose a step size, and forget what was observed."""
        super().fit(windows, data=data, series_count=series_count, series_ids=series_ids)
        count = len(self._tensors["series_margin"])
        for name, axis in (("series_margin", 1), ("pooled_margin", 0)):
            self._tensors[name] = smooth_over_steps(self._tensors[name], axis)
        self._tensors |= self._units(windows, count)
        last = torch.full((count,), NO_ROW)
        self._last_fitted = last.scatter_reduce(0, windows.series_index, windows.start, "amax")
        self._forget()
        self._data = data
        first = torch.where(self._last_fitted == NO_ROW, NO_ROW, self._last_fitted + 1)
        channels, sides = windows.target.shape[2], 1 if self.symmetric else 2
        zeros = torch.zeros(count, 1, channels, len(self.levels), sides, dtype=torch.float64)
        self._known_first, self._path = first, Path(first, zeros)
        if self.step_size is None:
            earlier, later = windows.halves()
            self.step_size = MIDDLE
            if len(earlier):
                trial = type(self)(**self.arguments()).fit(earlier, series_count=count)
                self.step_size = best_step_size(trial, later)
        return self

    def observe(self, windows: ForecastWindows) -> Self:
        """Learn from later forecasts; windows may come in any order, each once.

        After loading, targets in rows that were used before are left out, with a warning.

        Args:
            windows: forecasts of the series that :meth:`fit` has seen, and what came; cells that are not
                known yet are NaN.

        Returns:
            Itself.

        Raises:
            ValueError: before ``fit``, a window that came before those of ``fit``, one that comes twice, or,
                after loading, that it is not known which rows were used.

        """
        self._check_level(self.levels[0])
        assert self.step_size is not None and self._path is not None  # settled by fit or load
        if self._why_rows_are_unknown:
            raise ValueError(f"observe: {self._why_rows_are_unknown}")
        if self._last_fitted is not None:
            early = windows.start <= self._last_fitted[windows.series_index]
            if bool(early.any()):
                raise ValueError(
                    "windows: expected later ones than those of fit, got one that starts at row "
                    f"{int(windows.start[early][0])} of series {int(windows.series_index[early][0])}"
                )
        windows = self._unseen(windows)
        if not len(windows):
            return self
        new = Events(windows.series_index, windows.start, self._shift_scores(windows))
        every = new if self._events is None else self._events.and_more(new)
        every.check_once()
        first = self._first_rows(every)
        begin = self._begin
        if torch.equal(first, self._path.first):
            # What was known at forecasts that began before the new ones stays as it is.
            begin = max(begin, int((new.start - first[new.series]).min()))
        path = Path(first, self._path.shifts)
        begin = min(begin, path.shifts.shape[1] - 1)
        least = math.log(LEAST) if self._multiplies else None
        self._path = track(path, every, begin, self.step_size, self.misses(), least)
        self._events = every
        return self

    def margins(self, level: float, series_index: Tensor, start: Tensor, scale: Tensor | None) -> Tensor:
        """Return the margins as they were when a forecast began, see :class:`IntervalMethod`.

        They are NaN at steps for which a score of ``fit`` was not known yet.
        """
        margin = super().margins(level, series_index, start, scale)
        known = series_index >= 0
        series = series_index.clamp(min=0)
        if self._path is not None:
            # In other data, rows begin elsewhere: the margins are those after the last score.
            shifts = (
                self._path.shifts[series, -1] if self._why_rows_are_unknown else self._path.at(series, start)
            )
            shifts = torch.where(known[:, None, None, None], shifts, 0.0)[:, None]
            margin = self._in_order(level, shifts, series_index, start, scale)
        if self._last_fitted is not None:
            steps = torch.arange(margin.shape[1])
            early = self._last_fitted[series, None] + steps >= start[:, None]
            margin = margin.masked_fill((early & known[:, None])[..., None, None], torch.nan)
        return margin

    def _in_order(
        self, level: float, shifts: Tensor, series_index: Tensor, start: Tensor, scale: Tensor | None
    ) -> Tensor:
        """Return a level's margins after shifts ``[B, 1, C, L, K]``, beyond those of lower levels.

        A lower level can grow up to a higher one. That one then keeps at least :data:`APART` of the distance
        that :meth:`fit` has found between the two.
        """
        inner = first = None
        for place, one in enumerate(self.levels):
            begun = super().margins(one, series_index, start, scale)
            margin = self._moved(begun, shifts[..., place, :], series_index, scale)
            if inner is not None and first is not None:
                if self._multiplies:
                    apart = inner * torch.where(first > 0, begun / first, 1.0).clamp(min=1.0) ** APART
                else:
                    apart = inner + APART * (begun - first).clamp(min=0.0)
                margin = torch.where(margin < apart, apart, margin)
            if one == level:
                break
            inner, first = margin, begun
        return margin

    def _moved(self, margin: Tensor, shift: Tensor, series_index: Tensor, scale: Tensor | None) -> Tensor:
        """Return margins ``[B, H, C, 2]`` after a shift ``[B, 1, C, K]``."""
        if self._multiplies:
            return margin * torch.where(shift > 0, 1.0 + shift, shift.clamp(max=0.0).exp())
        return margin + shift * self._unit_of_shift(series_index, scale)

    def _shift_scores(self, windows: ForecastWindows) -> Tensor:
        """Return the shift with which each target would lie on the bound, ``[W, H, C, L, K]``."""
        found = []
        for level in self.levels:
            score = self.scores(windows, level)
            at = windows.series_index, windows.start, windows.scale
            margin = super().margins(level, *at)
            if self._multiplies:
                ratio = torch.where(score > 0, score / margin, torch.where(score.isnan(), score, 0.0))
                needed = torch.where(ratio > 1, ratio - 1.0, ratio.log())
                needed = needed.masked_fill(margin.isnan(), torch.nan)
            else:
                needed = (score - margin) / self._unit_of_shift(windows.series_index, windows.scale)
            found.append(needed[..., :1] if self.symmetric else needed)
        return torch.stack(found, -2)

    def _unit_of_shift(self, series_index: Tensor, scale: Tensor | None) -> Tensor:
        """Return the typical size of scores, of the series or else of all, ``[B, H, C, 1]``."""
        own = self._tensors["series_step"][series_index.clamp(min=0)]
        own = own.masked_fill((series_index < 0)[:, None, None], torch.nan)
        shared = self._tensors["pooled_step"][None] * self._unit(scale)[..., 0]
        return torch.where(own.isnan(), shared, own)[..., None]

    def _first_rows(self, events: Events) -> Tensor:
        """Return the row of the path's first entry, ``[S]``.

        The path of a series without any row so far begins with its first window.
        """
        assert self._known_first is not None
        rows = torch.full_like(self._known_first, -NO_ROW)
        rows = rows.scatter_reduce(0, events.series, events.start, "amin")
        begins = torch.where(rows == -NO_ROW, NO_ROW, rows - self._begin)
        return torch.where(self._known_first == NO_ROW, begins, self._known_first)

    def _unseen(self, windows: ForecastWindows) -> ForecastWindows:
        """Return the windows with targets in rows that were not used before loading."""
        if not self._begin or self._known_first is None:
            return windows
        rows = windows.start + windows.target.shape[1] - self._known_first[windows.series_index]
        unseen = rows > self._begin
        if not bool(unseen.all()):
            warnings.warn(
                f"{int((~unseen).sum())} of {len(windows)} windows were observed before and are skipped",
                UserWarning,
                stacklevel=3,
            )
        return windows.select(unseen)

    @property
    def seen_rows(self) -> Tensor:
        """int64 ``[S]``: the scores of all rows before it were used; a large negative number for no row."""
        if self._path is None:
            raise ValueError("AdaptiveConformal: call fit before asking for the rows that it has seen")
        rows = torch.where(self._path.first == NO_ROW, NO_ROW, self._path.first + self._begin)
        if self._events is not None:
            series, after = self._events.rows_after()
            rows = rows.scatter_reduce(0, series, after, "amax")
        return rows

    @property
    def seen_until(self) -> dict[str, int] | None:
        """By series, the time of the last row whose scores were used, as an integer of the time axis.

        None where :meth:`fit` was not given the ``data``.
        """
        if self._data is None or self._path is None:
            return self._times
        ids = self.series_ids or []
        return {
            ids[series]: int(self._data.timestamps(series, row - 1, 1).to_physical()[0])
            for series, row in enumerate(self.seen_rows.tolist())
            if row > 0
        }

    def arguments(self) -> dict[str, Any]:
        """Return those of :class:`SplitConformal` and the step size."""
        return {**super().arguments(), "step_size": self.step_size}

    def tensors(self) -> dict[str, Tensor]:
        """Return the margins of :meth:`fit`, the units of shifts, the last H shifts and the rows seen."""
        tensors = super().tensors()
        if self._path is not None and tensors:
            rows = self.seen_rows
            horizon = tensors["pooled_margin"].shape[0]
            recent = rows[:, None] + torch.arange(1 - horizon, 1)
            every = torch.arange(len(rows))[:, None].expand_as(recent)
            tensors["series_shift"] = self._path.at(every, recent)
            tensors["series_seen"] = torch.where(rows == NO_ROW, torch.nan, rows.double())
        return tensors

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from margins and shifts."""
        self._forget()
        self._last_fitted = None
        kept = dict(tensors)
        shifts, seen = kept.pop("series_shift", None), kept.pop("series_seen", None)
        super().load_tensors(kept)
        margin = kept["series_margin"]
        if shifts is None or seen is None:  # of a version that put the shifts into the margins
            self._why_rows_are_unknown = (
                "its state is of a version that did not keep which rows it had seen; fit it again"
            )
            sides = 1 if self.symmetric else 2
            shape = (len(margin), 1, margin.shape[2], len(self.levels), sides)
            shifts, seen = margin.new_zeros(shape), margin.new_full((len(margin),), torch.nan)
        shifts = shifts.nan_to_num(0.0)
        self._begin = shifts.shape[1] - 1
        known = ~seen.isnan()
        rows = seen.nan_to_num(0.0).long()
        self._known_first = torch.where(known, rows - self._begin, NO_ROW)
        self._path = Path(self._known_first, shifts)

    def state(self) -> dict[str, Any]:
        """Return plain values and tensors, and the times up to which scores were used."""
        return {**super().state(), "seen_until": self.seen_until}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over a state; of one with times, :meth:`for_data` must find the rows before more is seen."""
        super().load_state(state)
        self._times = state.get("seen_until")
        if self._times is not None and not self._why_rows_are_unknown:
            self._why_rows_are_unknown = (
                "which of these rows it has seen is not known, for another file can begin elsewhere; "
                "observe with method.for_data(data)"
            )

    def for_series(self, series_ids: Sequence[str]) -> Self:
        """Return the method for other data, see :class:`IntervalMethod`; nothing can be observed with it."""
        other = super().for_series(series_ids)
        if other is not self:
            other._why_rows_are_unknown = self._why_rows_are_unknown or (
                "which rows of other data it has seen is not known; observe with method.for_data(data)"
            )
            other._times = self.seen_until
        return other

    def for_data(self, data: Any) -> Self:
        """Return the method for a DataModule; it goes on after the times up to which it has seen the series.

        Args:
            data: has ``series_ids``, ``timestamps`` and ``ends``.

        """
        times = self.seen_until
        other = super().for_data(data)
        other = self._copy() if other is self else other
        if times is None or other._path is None:
            return other
        rows = torch.full((len(data.series_ids),), NO_ROW)
        for series, name in enumerate(data.series_ids):
            if str(name) in times:
                found = data.timestamps(series, 0, int(data.ends[series])).to_physical()
                rows[series] = int((found <= times[str(name)]).sum())
        other._known_first = torch.where(rows == NO_ROW, NO_ROW, rows - other._begin)
        other._path = Path(other._known_first, other._path.shifts)
        other._data, other._times, other._why_rows_are_unknown = data, None, ""
        return other

    def _copy(self) -> Self:
        other = super()._copy()
        other._data, other._times = self._data, self._times
        other._why_rows_are_unknown = self._why_rows_are_unknown
        return other

    def misses(self) -> Tensor:
        """Return the wanted share of misses of each level (of each side if there are two), ``[L]``."""
        sides = 1 if self.symmetric else 2
        return torch.tensor([float(miss_rate(level) / sides) for level in self.levels], dtype=torch.float64)

    def _units(self, windows: ForecastWindows, count: int) -> dict[str, Tensor]:
        """Return the typical sizes of the scores, of each series ``[S, H, C]`` and of all ``[H, C]``."""
        sizes = self.scores(windows, self.levels[-1]).abs().amax(-1)
        pooled = sizes / self._unit(windows.scale)[..., 0]
        own = torch.full((count, *sizes.shape[1:]), torch.nan, dtype=sizes.dtype)
        for series in windows.series_index.unique().tolist():
            own[series] = sizes[windows.series_index == series].nanquantile(TYPICAL, dim=0)
        return {"series_step": own, "pooled_step": pooled.nanquantile(TYPICAL, dim=0)}

    def restart(self, step_size: float) -> None:
        """Forget what was observed since :meth:`fit` or loading, and take another step size."""
        assert self._path is not None and self._known_first is not None
        self.step_size, self._events = step_size, None
        self._path = Path(self._known_first, self._path.shifts[:, : self._begin + 1])

    def typical_scores(self, windows: ForecastWindows) -> Tensor:
        """Return the typical size of the scores of each window's series, ``[W, H, C, 1]``."""
        return self._tensors["series_step"][windows.series_index, ..., None]
