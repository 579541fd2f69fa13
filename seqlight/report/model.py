"""What a report's page shows, section by section; the templates draw it and compute nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqlight.report.inputs import Band, FloatArray
from seqlight.report.numbers import Digits


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A number of the first screen: what it is, the number as text, and a line of small print."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Oddity:
    """Something odd in the data.

    Attributes:
        kind: a key of ``seqlight.report.oddities.KINDS``.
        series: its name.
        index: its position in the list of series.
        position: the step in the series where it is, or None where it is of the whole series.
        time: where, as text; "" for the whole series.
        what: a sentence about it.
        weight: how much it matters, to show the weightiest first.
    """

    kind: str
    series: str
    time: str
    what: str
    index: int = 0
    position: int | None = None
    weight: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """A line of the table of models; errors by name, as numbers, NaN where there is none."""

    name: str
    errors: Mapping[str, float]
    chosen: bool
    seconds: float | None = None
    weight: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class SeriesRow:
    """A line of the table of all series.

    Attributes:
        name: the series.
        last: last known value.
        mean: mean of the forecast.
        mae: mean absolute error of the chosen model in the past.
        scaled: ``mae`` over the series' scale (MASE).
        other: the scaled error of the best other model.
        missing: share of missing cells.
        spark: a few values of history, then of the forecast.
        spark_from: where the forecast begins in ``spark``.
        filled: number of filled cells.
    """

    name: str
    digits: Digits
    last: float
    mean: float
    mae: float
    scaled: float
    other: float
    missing: float
    spark: FloatArray
    spark_from: int
    filled: int = 0


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One series that is drawn.

    Attributes:
        row: its line in the table of series.
        rank: "" or where it stands, such as "best 3".
        cut: steps of the history before ``time``, which are not drawn.
        marks: by position in ``time``, what is odd there.
    """

    row: SeriesRow
    unit: str
    time: NDArray[Any]
    values: FloatArray
    forecast_time: NDArray[Any]
    forecast: FloatArray
    bands: Mapping[float, Band]
    actual: FloatArray | None
    filled: NDArray[np.bool_] | None
    rank: str = ""
    cut: int = 0
    marks: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StepErrors:
    """Mean absolute error by model at each step ahead, [H] each; in ``unit``."""

    unit: str
    digits: Digits
    errors: Mapping[str, FloatArray]


@dataclass(frozen=True, kw_only=True)
class OriginErrors:
    """Mean absolute error by model [K] against the first time that was forecast [K]; in ``unit``.

    ``merged`` says how many neighbouring times are taken together in one point, 1 for none.
    """

    time: NDArray[Any]
    unit: str
    digits: Digits
    errors: Mapping[str, FloatArray]
    merged: int = 1


@dataclass(frozen=True, kw_only=True)
class TimeErrors:
    """Mean absolute error [K] of the chosen model by a part of the time, such as the hour; ``count`` [K]."""

    part: str
    labels: tuple[str, ...]
    unit: str
    digits: Digits
    errors: FloatArray
    count: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """Errors ``forecast - actual`` of the chosen model.

    Attributes:
        edges: [K + 1] of the histogram's bins; errors beyond are counted in the outermost bins.
        counts: [K].
        beyond: share of the errors outside the edges.
        mean: the bias.
        median: of the errors.
        std: their standard deviation.
        autocorrelation: [L], of lags 1 to L.
        bound: outside plus and minus this a correlation is more than chance (95 %), for one lag.
        pairs: how many neighbours the autocorrelation is taken over.
        unit: of the errors; "scaled" errors are multiples of each series' scale.
    """

    unit: str
    digits: Digits
    edges: FloatArray
    counts: NDArray[np.int64]
    beyond: float
    mean: float
    median: float
    std: float
    autocorrelation: FloatArray
    bound: float
    pairs: int


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How often a band held what came: level in percent, share inside, mean width, number of cells."""

    level: float
    inside: float
    width: float
    cells: int
    unit: str
    digits: Digits


@dataclass(frozen=True, kw_only=True)
class HiddenErrors:
    """A line of the errors on hidden cells, of a report on filled gaps."""

    column: str
    method: str
    errors: Mapping[str, float]
    cells: int
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that the page shows; empty parts are left out.

    Attributes:
        kind: what it reports: "forecast", "backtest", "impute" or "compare".
        title: the heading.
        answer: two sentences.
        facts: the numbers of the first screen.
        first: index in ``panels`` of the picture of the first screen, or None.
        data: name and value of what the data are.
        oddities: what is odd in the data, weightiest first.
        oddity_counts: by kind, number of oddities and of series that have one.
        models: the table of models, in their order.
        metrics: by name of an error in ``models``, what it is.
        judged: what the errors are taken over.
        panels: series that are drawn.
        panels_are: which they are, as a sentence; "" for all.
        rows: a line for every series.
        steps, origins, times, residuals, coverage: see their classes.
        hidden: errors on hidden cells.
        settings: name and value.
        versions: name and version.
        command: that makes the report again.
        notes: what was dropped, filled, cut or chosen.
        source: of the data.
        made: when the report was made.
        time_style: how times are written, see ``seqlight.report.numbers``.
    """

    kind: str
    title: str
    answer: tuple[str, str]
    facts: tuple[Fact, ...] = ()
    first: int | None = None
    data: tuple[tuple[str, str], ...] = ()
    oddities: tuple[Oddity, ...] = ()
    oddity_counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    models: tuple[ModelRow, ...] = ()
    metrics: Mapping[str, str] = field(default_factory=dict)
    judged: str = ""
    panels: tuple[Panel, ...] = ()
    panels_are: str = ""
    rows: tuple[SeriesRow, ...] = ()
    steps: StepErrors | None = None
    origins: OriginErrors | None = None
    times: tuple[TimeErrors, ...] = ()
    residuals: Residuals | None = None
    coverage: tuple[Coverage, ...] = ()
    hidden: tuple[HiddenErrors, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    command: str = ""
    notes: tuple[str, ...] = ()
    source: str = ""
    made: str = ""
    time_style: str = "day"
