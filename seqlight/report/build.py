"""Reports built from arrays: series with forecasts, and past forecasts with what came."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

import numpy as np

from seqlight.report.answers import comparison, expectation, facts_of_errors, filling, step_name, trust
from seqlight.report.description import describe, known_values, versions
from seqlight.report.inputs import FloatArray, ModelRun, Origin, PastForecasts, Series
from seqlight.report.judging import METRICS, SCALED_METRICS, Judged, scales
from seqlight.report.model import (
    Fact,
    HiddenErrors,
    ModelRow,
    Oddity,
    Panel,
    Report,
    SeriesRow,
    StepErrors,
)
from seqlight.report.numbers import Digits, count, time_style, time_text
from seqlight.report.oddities import KINDS, Rules, counted, find_oddities

Kind = Literal["forecast", "backtest", "compare", "impute"]

MOST_PANELS = 20
BEST, WORST = 10, 10
MOST_HISTORY = 2_000  # steps that are drawn, and can be zoomed into
HORIZONS_OF_HISTORY = 7
LEAST_HISTORY = 60
SPARK = 40  # points
MOST_ODDITIES = 200  # lines


def build(
    series: Sequence[Series],
    *,
    kind: Kind = "forecast",
    past: PastForecasts | None = None,
    chosen: str | None = None,
    runs: Mapping[str, ModelRun] | None = None,
    hidden: Sequence[HiddenErrors] = (),
    season_length: int = 1,
    title: str = "",
    origin: Origin | None = None,
) -> Report:
    """Gather all that a report shows.

    Args:
        series: every series, one of each target column; above 20 the ten best, the ten worst and a table of
            all are shown.
        kind: what is reported.
        past: forecasts of windows that no model was fitted on, with what came; errors are taken over them.
        chosen: the model that the report is about, a key of ``past.preds``; None for the best by MASE.
        runs: by model, its time, its weight and the like.
        hidden: errors on hidden cells, of a report on filled gaps.
        season_length: steps of a season, for MASE and for what is odd; 1 for none.
        title: heading; "" for one made of the columns' names.
        origin: source, command, settings.

    Raises:
        ValueError: no series, an unknown model, or a window of an unknown series.
    """
    if not series:
        raise ValueError("build: series expected at least one Series, got none")
    if kind in ("backtest", "compare") and past is None:
        raise ValueError(f"build: past expected PastForecasts for kind {kind!r}, got None")
    if (
        past is not None
        and len(past.series)
        and not 0 <= past.series.min() <= past.series.max() < len(series)
    ):
        raise ValueError(
            f"build: past.series expected positions from 0 to {len(series) - 1}, got "
            f"{past.series.min()} to {past.series.max()}"
        )
    if past is not None and chosen is not None and chosen not in past.preds:
        raise ValueError(f"build: chosen expected one of {list(past.preds)}, got {chosen!r}")
    return _Builder(list(series), kind, past, chosen, dict(runs or {}), season_length, hidden).report(
        title, origin or Origin()
    )


class _Builder:
    def __init__(
        self,
        series: list[Series],
        kind: Kind,
        past: PastForecasts | None,
        chosen: str | None,
        runs: dict[str, ModelRun],
        season_length: int,
        hidden: Sequence[HiddenErrors],
    ) -> None:
        self.series, self.kind, self.past = series, kind, past
        self.runs, self.season_length, self.hidden = runs, season_length, tuple(hidden)
        units = list(dict.fromkeys(one.unit for one in series))
        by_unit = {
            unit: Digits.of(
                np.concatenate([known_values(one)[-200:] for one in series if one.unit == unit][:200])
            )
            for unit in units
        }
        self.units, self.by_unit = units, by_unit
        self.digits = [by_unit[one.unit] for one in series]
        self.several_units = len(units) > 1
        self.unit = "" if self.several_units else units[0]
        self.own = by_unit[units[0]]
        self.style = time_style([array for one in series[:50] for array in (one.time, one.forecast_time)])
        self.step = step_name(series[:50])
        self.scale = scales(series, season_length, past)
        self.judged = None if past is None else Judged(past, self.scale, scaled=self.several_units)
        self.chosen = chosen

    def report(self, title: str, origin: Origin) -> Report:
        models = self.models()
        oddities = self.oddities()
        counts = {
            kind: (len(own), len({oddity.index for oddity in own}))
            for kind in KINDS
            if (own := [oddity for oddity in oddities if oddity.kind == kind])
        }
        rows = self.rows(models)
        places, panels_are = self.shown(rows)
        panels = tuple(self.panel(place, rows, rank, oddities) for place, rank in places)
        unit, digits = self.unit, self.own
        units: FloatArray = np.ones(len(self.scale))
        if self.several_units:
            unit, digits, units = "multiples of each series' scale", Digits(2), self.scale
        report = Report(
            kind=self.kind,
            title=title or self.heading(),
            answer=self.answer(models),
            data=describe(
                self.series,
                self.own,
                step=self.step,
                season_length=self.season_length,
                style=self.style,
            ),
            first=self.first(places, rows),
            oddities=tuple(oddities[:MOST_ODDITIES]),
            oddity_counts=counts,
            models=models,
            metrics={
                name: what
                for name, what in (SCALED_METRICS if self.several_units else METRICS).items()
                if any(name in row.errors for row in models)
            },
            panels=panels,
            panels_are=panels_are,
            rows=tuple(rows),
            hidden=self.hidden,
            settings=tuple((name, str(value)) for name, value in origin.settings.items()),
            versions=versions(),
            command=origin.command,
            notes=tuple(origin.notes),
            source=origin.source,
            made=origin.made or datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z"),
            time_style=self.style,
        )
        if self.judged is None or self.past is None or self.chosen is None:
            return replace(report, facts=tuple(self.facts(report)))
        names = list(self.past.preds)
        report = replace(
            report,
            judged=self.judged_over(),
            steps=StepErrors(
                unit=unit,
                digits=digits,
                errors={name: self.judged.by_step(name) for name in names},
            ),
            origins=self.judged.by_origin(names, unit, digits),
            times=tuple(self.judged.by_time(self.chosen, unit, digits)),
            residuals=self.judged.residuals(self.chosen, unit, digits),
            coverage=tuple(self.judged.coverage(units[self.past.series], unit, digits)),
        )
        return replace(report, facts=tuple(self.facts(report)))

    def models(self) -> tuple[ModelRow, ...]:
        if self.judged is None or self.past is None:
            return tuple(
                ModelRow(
                    name=name, errors={}, chosen=name == self.chosen, seconds=run.seconds, weight=run.weight
                )
                for name, run in self.runs.items()
            )
        rows = [self.judged.row(name, chosen=False) for name in self.past.preds]
        if self.chosen is None:
            judged = self.several_units or any(np.isfinite(row.errors["MASE"]) for row in rows)
            by = "MASE" if judged else "MAE"
            self.chosen = min(rows, key=lambda row: np.nan_to_num(row.errors[by], nan=np.inf)).name
        found = []
        for row in rows:
            run = self.runs.get(row.name, ModelRun())
            found.append(
                replace(
                    row,
                    chosen=row.name == self.chosen,
                    seconds=run.seconds,
                    weight=run.weight,
                    note=run.note,
                )
            )
        return tuple(found)

    def oddities(self) -> list[Oddity]:
        horizon = max(len(one.forecast) for one in self.series)
        least = max(2 * self.season_length, 3 * horizon)
        rules = Rules(
            season_length=self.season_length, least=least, horizon=max(1, horizon), style=self.style
        )
        return find_oddities(self.series, self.digits, rules)

    def rows(self, models: Sequence[ModelRow]) -> list[SeriesRow]:
        size = len(self.series)
        nothing: FloatArray = np.full(size, np.nan)
        mine: FloatArray = nothing if self.judged is None else self.judged.by_series(str(self.chosen), size)
        others: list[FloatArray] = [nothing]
        if self.judged is not None:
            others += [self.judged.by_series(row.name, size) for row in models if not row.chosen]
        best = np.fmin.reduce(others)
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled, other = mine / self.scale, best / self.scale
        return [
            self.row(one, digits, *map(float, numbers))
            for one, digits, *numbers in zip(self.series, self.digits, mine, scaled, other, strict=True)
        ]

    def row(self, one: Series, digits: Digits, mae: float, scaled: float, other: float) -> SeriesRow:
        filled = one.filled if one.filled is not None else np.zeros(len(one.values), bool)
        known = np.flatnonzero(np.isfinite(one.values) & ~filled)
        recent = max(len(one.forecast) * 2, 30)
        spark = np.concatenate([one.values[-recent:], one.forecast])
        begin = len(spark) - len(one.forecast)
        stride = max(1, -(-len(spark) // SPARK))
        forecast = one.forecast[np.isfinite(one.forecast)]
        return SeriesRow(
            name=one.name,
            digits=digits,
            last=float(one.values[known[-1]]) if len(known) else float("nan"),
            mean=float(forecast.mean()) if len(forecast) else float("nan"),
            mae=mae,
            scaled=scaled,
            other=other,
            missing=1 - len(known) / len(one.values) if len(one.values) else 0.0,
            spark=spark[::stride],
            spark_from=begin // stride,
            filled=int(filled.sum()),
        )

    def shown(self, rows: Sequence[SeriesRow]) -> tuple[list[tuple[int, str]], str]:
        """Positions of the series that are drawn with their ranks, and a sentence about them."""
        if len(rows) <= MOST_PANELS:
            return [(place, "") for place in range(len(rows))], ""
        scaled = np.array([row.scaled for row in rows])
        judged = np.flatnonzero(np.isfinite(scaled))
        order = judged[np.argsort(scaled[judged], kind="stable")].tolist()
        if len(order) <= MOST_PANELS:
            order += [place for place in range(len(rows)) if place not in set(order)]
            shown = [(place, "") for place in order[:MOST_PANELS]]
            return shown, f"{MOST_PANELS} of {len(rows):,} series; the table below lists all."
        best = [(place, f"best {rank}") for rank, place in enumerate(order[:BEST], start=1)]
        worst = [(place, f"worst {rank}") for rank, place in enumerate(order[: -WORST - 1 : -1], start=1)]
        return (
            best + worst,
            f"The {BEST} series that were forecast best in the past and the {WORST} that were forecast "
            f"worst, by MASE; the table below lists all {len(rows):,}.",
        )

    def panel(self, place: int, rows: Sequence[SeriesRow], rank: str, oddities: Sequence[Oddity]) -> Panel:
        one = self.series[place]
        least = max(HORIZONS_OF_HISTORY * len(one.forecast), 2 * self.season_length, LEAST_HISTORY)
        cut = max(
            0, len(one.values) - max(least, MOST_HISTORY if len(self.series) == 1 else MOST_HISTORY // 2)
        )
        marks = {
            oddity.position - cut: oddity.what
            for oddity in oddities
            if oddity.index == place
            and oddity.position is not None
            and oddity.position >= cut
            and oddity.kind not in ("gap", "ended")
        }
        return Panel(
            row=rows[place],
            unit=one.unit,
            time=one.time[cut:],
            values=one.values[cut:],
            forecast_time=one.forecast_time,
            forecast=one.forecast,
            bands=dict(sorted(one.bands.items(), reverse=True)),
            actual=one.actual,
            filled=None if one.filled is None else one.filled[cut:],
            rank=rank,
            cut=cut,
            marks=marks,
        )

    def first(self, places: Sequence[tuple[int, str]], rows: Sequence[SeriesRow]) -> int | None:
        """The panel of the first screen: the series of the median error, or the first one without errors."""
        scaled = [rows[place].scaled for place, _ in places]
        known = [index for index, value in enumerate(scaled) if np.isfinite(value)]
        if not known:
            return 0
        return sorted(known, key=lambda index: scaled[index])[(len(known) - 1) // 2]

    def heading(self) -> str:
        what = {
            "forecast": "forecast",
            "backtest": "backtest",
            "compare": "comparison of models",
            "impute": "filled gaps",
        }[self.kind]
        names = ", ".join(self.units[:3]) + (
            f" and {len(self.units) - 3} more" if len(self.units) > 3 else ""
        )
        return f"{names}: {what}"

    def answer(self, models: tuple[ModelRow, ...]) -> tuple[str, str]:
        if self.kind == "impute":
            return filling(self.series, self.hidden, self.by_unit)
        if self.kind in ("backtest", "compare") and self.past is not None:
            return comparison(models, self.past, self.own, self.style)
        first = expectation(self.series, self.digits, self.step, self.season_length, self.style)
        return first, trust(models, self.past, self.own)

    def facts(self, report: Report) -> list[Fact]:
        found = []
        horizon = len(self.series[0].forecast)
        if self.kind == "forecast" and horizon:
            times = self.series[0].forecast_time
            found.append(
                Fact(
                    label="forecast",
                    value=count(horizon, self.step),
                    note=f"from {time_text(times[0], self.style)}",
                )
            )
        if self.kind == "impute":
            filled = sum(row.filled for row in report.rows)
            found.append(Fact(label="filled", value=f"{filled:,}", note="missing values"))
        found += facts_of_errors(report.models, self.own, self.unit, report.coverage)
        odd = sum(number for number, _ in report.oddity_counts.values())
        kinds = ", ".join(
            f"{number:,} {counted(kind, number)}"
            for kind, (number, _) in list(report.oddity_counts.items())[:3]
        )
        found.append(Fact(label="found odd in the data", value=f"{odd:,}", note=kinds or "nothing"))
        return found

    def judged_over(self) -> str:
        assert self.past is not None
        windows, horizon = self.past.target.shape
        begins = self.past.time[:, 0]
        season = f"; MASE's season is {count(self.season_length, 'step')}"
        first, last = time_text(begins.min(), self.style), time_text(begins.max(), self.style)
        return (
            f"{count(windows, 'past forecast')} of {count(horizon, 'step')}, the first of which begins at "
            f"{first} and the last at {last}{season}"
        )
