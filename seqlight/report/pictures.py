"""The charts of a report's sections, from what the report holds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqlight.report.charts import (
    HEIGHT,
    WIDTH,
    Area,
    Chart,
    Line,
    Tick,
    path,
    value_range,
    y_ticks,
)
from seqlight.report.inputs import FloatArray
from seqlight.report.model import OriginErrors, Panel, Residuals, StepErrors, TimeErrors
from seqlight.report.numbers import Digits, count

LINE_COLOURS = 6
HORIZONS = 4  # of history, that are seen at first
LEAST_SEEN = 40
MOST_SEEN = 300  # of filled series


def panel_chart(panel: Panel, style: str) -> Chart:
    """History, forecast and bands of one series."""
    history, horizon = len(panel.time), len(panel.forecast)
    x = np.concatenate([panel.time, panel.forecast_time]) if horizon else panel.time
    values = panel.values
    lines = []
    if panel.filled is not None:
        beside = (
            panel.filled.copy()
        )  # a filled stretch is drawn from the known value before it to that after it
        beside[1:] |= panel.filled[:-1]
        beside[:-1] |= panel.filled[1:]
        lines.append(
            Line(
                name="known", css="history", values=padded(np.where(panel.filled, np.nan, values), 0, horizon)
            )
        )
        lines.append(Line(name="", css="filled", values=padded(np.where(beside, values, np.nan), 0, horizon)))
        dots = padded(np.where(panel.filled, values, np.nan), 0, horizon)
        lines.append(Line(name="filled", css="filled dots", values=dots, dots=True))
    else:
        lines.append(Line(name="history", css="history", values=padded(values, 0, horizon)))
    if panel.actual is not None:
        lines.append(Line(name="what came", css="actual", values=padded(panel.actual, history, 0)))
    if horizon:
        lines.append(Line(name="forecast", css="forecast", values=padded(panel.forecast, history, 0)))
    areas = [
        Area(
            name=f"{level:g} %",
            css=f"band b{min(index, 3)}",
            lower=padded(lower, history, 0),
            upper=padded(upper, history, 0),
        )
        for index, (level, (lower, upper)) in enumerate(panel.bands.items())
    ]
    return Chart(
        x=x,
        lines=lines,
        areas=areas,
        style=style,
        digits=panel.row.digits,
        since=history if horizon and history else None,
        marks=panel.marks,
        view=first_view(panel, history, horizon),
    )


def first_view(panel: Panel, history: int, horizon: int) -> tuple[int, int] | None:
    """What of a series is seen at first: some horizons before the forecast, or where most is filled in."""
    if panel.filled is None:
        return max(0, history - max(HORIZONS * horizon, LEAST_SEEN)), max(history + horizon - 1, 0)
    if history <= MOST_SEEN:
        return None
    counts = np.convolve(panel.filled, np.ones(MOST_SEEN, np.int64), mode="valid")
    best = np.flatnonzero(counts == counts.max())
    begin = int(best[len(best) // 2])
    return begin, begin + MOST_SEEN - 1


def padded(values: FloatArray, before: int, after: int) -> FloatArray:
    """Values with NaN around them."""
    return np.concatenate([np.full(before, np.nan), np.asarray(values, np.float64), np.full(after, np.nan)])


def summary(panel: Panel) -> str:
    """What a picture shows, for those who do not see it."""
    digits = panel.row.digits
    known = panel.values[np.isfinite(panel.values)]
    parts = []
    if len(known):
        parts.append(
            f"{count(len(panel.values), 'step')} of history from {digits.value(known.min())} to "
            f"{digits.value(known.max())}, the last known value {digits.value(known[-1])}"
        )
    forecast = panel.forecast[np.isfinite(panel.forecast)]
    if len(forecast):
        parts.append(
            f"then {count(len(forecast), 'step')} of forecast from {digits.text(forecast[0])} to "
            f"{digits.text(forecast[-1])}, between {digits.text(forecast.min())} and "
            f"{digits.text(forecast.max())}"
        )
    if panel.bands:
        parts.append(f"with bands of {', '.join(f'{level:g} %' for level in panel.bands)}")
    if panel.filled is not None:
        parts.append(f"{count(int(panel.filled.sum()), 'value')} filled in")
    return "; ".join(parts) or "no value is known"


def model_classes(names: Sequence[str], chosen: str | None) -> dict[str, str]:
    """The class that colours each model: the first is the chosen one's; the colours repeat after six."""
    others = [name for name in names if name != chosen]
    ordered = ([chosen] if chosen is not None else []) + others
    return {name: f"m{index % LINE_COLOURS}" for index, name in enumerate(ordered)}


def steps_chart(steps: StepErrors, classes: dict[str, str]) -> Chart:
    """Error by model against the steps ahead."""
    horizon = len(next(iter(steps.errors.values())))
    return Chart(
        x=np.arange(1, horizon + 1),
        lines=[Line(name=name, css=classes[name], values=values) for name, values in steps.errors.items()],
        style="step",
        digits=more(steps.digits),
        from_zero=True,
        x_label="steps ahead",
    )


def origins_chart(origins: OriginErrors, classes: dict[str, str], style: str) -> Chart:
    """Error by model against the time at which the forecast begins."""
    return Chart(
        x=origins.time,
        lines=[Line(name=name, css=classes[name], values=values) for name, values in origins.errors.items()],
        style=style,
        digits=more(origins.digits),
        from_zero=True,
        x_label="",
    )


def more(digits: Digits) -> Digits:
    """One decimal more, for means."""
    return Digits(digits.decimals + 1, digits.exponent)


@dataclass(frozen=True)
class Bar:
    """A bar in view box coordinates, with what it says."""

    x: float
    y: float
    width: float
    height: float
    text: str
    strong: bool = False


@dataclass(frozen=True)
class Bars:
    """A bar chart as the template writes it; ``limits`` are the pixels of dashed lines."""

    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    zero: float
    limits: tuple[float, ...] = ()


def bars(
    values: FloatArray,
    texts: Sequence[str],
    ticks: Sequence[tuple[float, str]],
    *,
    limits: Sequence[float] = (),
    gap: float = 0.2,
    strong: NDArray[np.bool_] | None = None,
) -> Bars:
    """Draw bars from 0.

    Args:
        values: [K].
        texts: [K], what each says.
        ticks: places between 0 and K, and their texts.
        limits: values at which a dashed line is drawn.
        gap: share of a bar's place that stays empty.
        strong: [K], which are emphasised.
    """
    bottom, top = value_range([values, np.asarray(limits, np.float64)], from_zero=True)
    place = WIDTH / max(len(values), 1)

    def down(number: float) -> float:
        return round(HEIGHT * (1 - (number - bottom) / (top - bottom)), 1)

    drawn = tuple(
        Bar(
            x=round((index + gap / 2) * place, 1),
            y=min(down(value), down(0.0)),
            width=round(place * (1 - gap), 1),
            height=max(0.5, abs(down(value) - down(0.0))),
            text=text,
            strong=bool(strong[index]) if strong is not None else False,
        )
        for index, (value, text) in enumerate(zip(values.tolist(), texts, strict=True))
        if np.isfinite(value)
    )
    size = max(len(values), 1)
    return Bars(
        bars=drawn,
        x_ticks=tuple(
            Tick(
                round(100 * at / size, 2),
                text,
                "start" if at / size < 0.03 else "end" if at / size > 0.97 else "middle",
            )
            for at, text in ticks
        ),
        y_ticks=tuple(Tick(down(tick), text) for tick, text in y_ticks(bottom, top)),
        zero=down(0.0),
        limits=tuple(down(limit) for limit in limits),
    )


def time_bars(times: TimeErrors) -> Bars:
    """Error by hour, weekday or month."""
    every = max(1, len(times.labels) // 8)
    texts = [
        f"{label}: {more(times.digits).text(error)}, {count(int(number), 'value')}"
        for label, error, number in zip(times.labels, times.errors, times.count, strict=True)
    ]
    ticks = [(index + 0.5, label) for index, label in enumerate(times.labels) if index % every == 0]
    worst = np.zeros(len(times.errors), bool)
    worst[int(np.nanargmax(times.errors))] = True
    return bars(times.errors, texts, ticks, strong=worst)


def histogram(residuals: Residuals) -> Bars:
    """How often errors of each size are."""
    digits, edges = residuals.digits, residuals.edges
    texts = [
        f"{digits.text(low)} to {digits.text(high)}: {number:,}"
        for low, high, number in zip(edges[:-1], edges[1:], residuals.counts, strict=True)
    ]
    span = float(edges[-1] - edges[0])
    ticks = [
        ((tick - float(edges[0])) / span * len(residuals.counts), text)
        for tick, text in y_ticks(float(edges[0]), float(edges[-1]))
    ]
    return bars(residuals.counts.astype(np.float64), texts, ticks, gap=0.06)


def autocorrelation(residuals: Residuals) -> Bars:
    """Correlation of errors with those some steps before."""
    values = residuals.autocorrelation
    texts = [f"lag {lag}: {value:.2f}" for lag, value in enumerate(values, start=1)]
    every = max(1, len(values) // 8)
    ticks = [(lag - 0.5, str(lag)) for lag in range(every, len(values) + 1, every)]
    return bars(
        values,
        texts,
        ticks,
        limits=(residuals.bound, -residuals.bound),
        gap=0.4,
        strong=np.abs(values) > residuals.bound,
    )


def spark(values: FloatArray, begin: int) -> tuple[str, str]:
    """Paths of a small line in a box of 100 by 20: up to ``begin``, and from there on."""
    bottom, top = value_range([values])
    down = np.round(20 * (1 - (values - bottom) / (top - bottom)), 0)
    across = np.round(np.linspace(0, 100, max(len(values), 2))[: len(values)], 0)
    return small(across[:begin], down[:begin]), small(across[max(begin - 1, 0) :], down[max(begin - 1, 0) :])


def small(across: FloatArray, down: FloatArray) -> str:
    """A path in whole numbers."""
    return path(across, down).replace(".0", "") if len(across) else ""
