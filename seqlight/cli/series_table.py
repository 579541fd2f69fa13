"""Tables with a line for each series, drawn small; they fit 80 columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqlight.cli.sparkline import sparkline
from seqlight.evaluation import WindowForecasts
from seqlight.experiments import Selection
from seqlight.report.names import plain
from seqlight.report.numbers import Digits, ratio

MOST_ROWS = 10
NAME_WIDTH = 16
HISTORY_WIDTH, FORECAST_WIDTH = 16, 6
WINDOWS_WIDTH = 20
HORIZONS_OF_HISTORY = 3
FORECAST_STYLE = "red"

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class SeriesErrors:
    """Errors of one model on one series of one column.

    ``mae`` and ``mase`` are means over all windows, ``by_window`` [W] the mean absolute error of each, in
    order of time.
    """

    series: int
    channel: int
    mae: float
    mase: float
    by_window: FloatArray


def forecast_table(selection: Selection, data: Any, console: Console) -> Table:
    """One line for each series: its last values and its forecast, and how far past forecasts were off."""
    errors = {(one.series, one.channel): one for one in series_errors(selection.test, selection.chosen)}
    every = [
        (series, channel)
        for series in selection.series_index.tolist()
        for channel in range(len(data.target_cols))
    ]
    mase = [errors[key].mase if key in errors else np.nan for key in every]
    shown, note = worst(every, mase)
    place = {series: row for row, series in enumerate(selection.series_index.tolist())}
    point = selection.forecast.point.double().numpy()
    table = named_table("Forecast of each series" + note)
    for title in ("last", "mean ahead", "past MAE"):
        table.add_column(title, justify="right")
    for series, channel in shown:
        start = int(selection.start[place[series]])
        ahead = point[place[series], :, channel]
        values = data.store.series(series)[:start, channel].astype(np.float64)
        digits = Digits.of(values)
        known = values[np.isfinite(values)]
        one = errors.get((series, channel))
        table.add_row(
            name_of(data, series, channel),
            course(values[-HORIZONS_OF_HISTORY * len(ahead) :], ahead, console),
            digits.value(known[-1]) if len(known) else "-",
            digits.text(mean(ahead)),
            "-" if one is None else digits.error(one.mae),
        )
    return table


def backtest_table(windows: WindowForecasts, model: str, data: Any, console: Console) -> Table:
    """One line for each series: the errors of one model, window by window."""
    errors = series_errors(windows, model)
    shown, note = worst(errors, [one.mase for one in errors])
    table = named_table(f"{plain(model)}: MAE of each series, oldest window first{note}", "by window")
    table.add_column("MAE", justify="right")
    table.add_column("MASE", justify="right")
    for one in shown:
        digits = Digits.of(data.store.series(one.series)[:, one.channel])
        line = sparkline(one.by_window, WINDOWS_WIDTH, low=0.0, blocks=has_blocks(console))
        table.add_row(
            name_of(data, one.series, one.channel), Text(line), digits.error(one.mae), ratio(one.mase)
        )
    return table


def named_table(title: str, course_title: str = "course") -> Table:
    """A table whose first columns are a name and a small line."""
    table = Table(title=title, title_justify="left")
    table.add_column("series", no_wrap=True, overflow="ellipsis", max_width=NAME_WIDTH)
    table.add_column(course_title, no_wrap=True)
    return table


def series_errors(windows: WindowForecasts, model: str) -> list[SeriesErrors]:
    """Return the errors of a model on every series and column, in order of the series."""
    known = windows.known.numpy()
    off = np.where(
        known, np.abs(windows.forecasts[model].point.double().numpy() - windows.target.numpy()), np.nan
    )
    index, start = windows.series_index.numpy(), windows.start.numpy()
    scale = None if windows.scale is None else windows.scale.double().numpy()
    found = []
    order = np.lexsort((start, index))
    places, first = np.unique(index[order], return_index=True)
    for series, rows in zip(places.tolist(), np.split(order, first[1:]), strict=True):
        for channel in range(off.shape[2]):
            own = off[rows, :, channel]
            scaled = (
                own
                if scale is None
                else own / np.where(scale[rows] > 0, scale[rows], np.nan)[:, channel, None]
            )
            by_window = np.array([mean(one) for one in own])
            mase = np.nan if scale is None else mean(scaled)
            found.append(SeriesErrors(series, channel, mean(own), mase, by_window))
    return found


def worst(every: Sequence[Any], mase: Sequence[float]) -> tuple[list[Any], str]:
    """The series to show, and what the title says of them: all, or where they are many the worst."""
    if len(every) <= MOST_ROWS:
        return list(every), ""
    order = np.argsort(-np.nan_to_num(np.array(mase), nan=-np.inf), kind="stable")[:MOST_ROWS]
    return [every[place] for place in order], f", worst {MOST_ROWS} of {len(every):,} by MASE"


def course(history: FloatArray, ahead: FloatArray, console: Console) -> Text:
    """The small line of a history and its forecast, on one scale."""
    both = np.concatenate([history, ahead])
    both = both[np.isfinite(both)]
    low, high = (float(both.min()), float(both.max())) if len(both) else (0.0, 0.0)
    blocks = has_blocks(console)
    text = Text(sparkline(history, HISTORY_WIDTH, low=low, high=high, blocks=blocks))
    line = sparkline(ahead, FORECAST_WIDTH, low=low, high=high, blocks=blocks)
    return text.append(line, style=FORECAST_STYLE)


def has_blocks(console: Console) -> bool:
    """Whether the terminal, or the file that is written to, can hold block characters."""
    return not console.options.ascii_only


def name_of(data: Any, series: int, channel: int) -> Text:
    """What a line is called: the series, the column, or both."""
    column = data.target_cols[channel]
    if len(data.store) == 1 and data.id_col is None:
        return Text(plain(column))
    name = plain(data.series_ids[series])
    return Text(f"{name}, {plain(column)}" if len(data.target_cols) > 1 else name)


def mean(values: FloatArray) -> float:
    """The mean of what is finite; NaN for nothing."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
