"""The page: templates filled with a report, escaped, in one file that loads nothing."""

import base64
import hashlib
import math
import re
from functools import lru_cache
from importlib.resources import files

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from seqlight.report import numbers, pictures
from seqlight.report.judging import SCALED_METRICS
from seqlight.report.model import ModelRow, Panel, Report, Residuals, SeriesRow, StepErrors, TimeErrors
from seqlight.report.names import clean, plain
from seqlight.report.oddities import KINDS

SCRIPTS = ("base.js", "tables.js", "ticks.js", "charts.js")
MOST_VALUES = 48  # lines of a series' table of values
WORST_SERIES = 5
LONG_NAME = 60
TIME = re.compile(r"\d{4}-\d\d(?:-\d\d)?(?: \d\d:\d\d)?")
TIME_OR_NOT = re.compile(rf"({TIME.pattern})")


def render(report: Report) -> str:
    """Return the page of a report as HTML."""
    style, script = template_text("style.css"), script_text()
    environment = make_environment(report)
    return environment.get_template("page.html").render(
        report=report,
        style=Markup(style),
        script=Markup(script),
        style_hash=digest(style),
        script_hash=digest(script),
        kinds=KINDS,
        several_units=len({panel.unit for panel in report.panels}) > 1,
        most_values=MOST_VALUES,
        nan=math.nan,
        own=report.rows[0].digits if report.rows else numbers.Digits(3),
    )


def make_environment(report: Report) -> Environment:
    """Templates and filters; every text is escaped, and rid of what no page may hold."""
    templates = {name: template_text(name) for name in template_names() if name.endswith(".html")}
    environment = Environment(
        loader=DictLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: clean(value) if type(value) is str else value,
    )
    chosen = next((row.name for row in report.models if row.chosen), None)
    order = list(report.steps.errors) if report.steps is not None else []
    classes = pictures.model_classes(order, chosen)
    environment.filters |= {
        "name": name_markup,
        "plain": plain,
        "keep_times": keep_times,
        "json": json_markup,
        "raw": raw,
        "count": lambda number, one, many="": numbers.count(int(number), one, many),
        "percent": numbers.percent,
        "ratio": numbers.ratio,
        "duration": numbers.duration,
        "version_of": lambda versions, name: dict(versions).get(name, ""),
        "chart": lambda panel: pictures.panel_chart(panel, report.time_style),
        "label": panel_label,
        "values": panel_values,
        "spark": spark,
        "error": error_text,
        "hidden_error": hidden_error,
        "is_lowest": is_lowest,
        "worst": worst_series,
        "bias": bias,
        "total": lambda counts: sum(number for number, _ in counts.values()),
        "steps": lambda errors: len(next(iter(errors.values()))),
        "steps_chart": lambda steps: pictures.steps_chart(steps, classes),
        "steps_label": steps_label,
        "origins_chart": lambda origins: pictures.origins_chart(origins, classes, report.time_style),
        "time_bars": pictures.time_bars,
        "times_label": times_label,
        "histogram": pictures.histogram,
        "autocorrelation": pictures.autocorrelation,
        "autocorrelation_label": autocorrelation_label,
    }
    return environment


@lru_cache
def template_names() -> tuple[str, ...]:
    """The files in ``templates``."""
    return tuple(path.name for path in files("seqlight.report").joinpath("templates").iterdir())


@lru_cache
def template_text(name: str) -> str:
    """A file of ``templates``."""
    return files("seqlight.report").joinpath("templates", name).read_text(encoding="utf-8")


def script_text() -> str:
    """The page's script: its parts in one scope."""
    parts = "\n".join(template_text(name) for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def digest(text: str) -> str:
    """What a content security policy names an inline style or script by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def name_markup(text: object) -> Markup:
    """A text of the data: escaped, and kept from turning the direction of the text around it."""
    shown = clean(str(text))
    css = Markup(' class="long"') if len(shown) > LONG_NAME else ""
    return Markup("<bdi{}>{}</bdi>").format(css, shown)


def keep_times(text: str) -> Markup:
    """A sentence whose times are not broken across lines."""
    return Markup("").join(
        Markup('<span class="nowrap">{}</span>').format(part) if TIME.fullmatch(part) else clean(part)
        for part in TIME_OR_NOT.split(text)
    )


def json_markup(text: str) -> Markup:
    """JSON that cannot end its element: ``<``, ``>``, ``&`` and line separators are escaped."""
    text = re.sub(r"[<>&\u2028\u2029\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)
    return Markup(text)


def raw(value: float) -> str:
    """A number in full, for sorting and CSV; nothing for NaN."""
    number = float(value)
    return f"{number:.9g}" if math.isfinite(number) else ""


def panel_label(panel: Panel) -> str:
    """The alternative text of a series' picture."""
    return f"{plain(panel.row.name)}: {pictures.summary(panel)}"


def panel_values(panel: Panel, style: str) -> list[list[str]]:
    """The first lines of a series' table of values."""
    digits = panel.row.digits
    lines = []
    for step in range(min(len(panel.forecast), MOST_VALUES)):
        edges = [float(edge[step]) for pair in panel.bands.values() for edge in pair]
        numbers_of_line = [float(panel.forecast[step]), *edges]
        lines.append(
            [numbers.time_text(panel.forecast_time[step], style), *map(digits.text, numbers_of_line)]
        )
    return lines


def spark(row: SeriesRow) -> tuple[str, str]:
    """The paths of a row's small line."""
    return pictures.spark(row.spark, row.spark_from)


def error_text(row: ModelRow, name: str, own: numbers.Digits) -> str:
    """An error of the table of models as text."""
    value = row.errors[name]
    if name == "sMAPE":
        return numbers.percent(value, 1)
    if name in SCALED_METRICS:
        return f"{numbers.MINUS}{numbers.ratio(-value)}" if value < 0 else numbers.ratio(value)
    return own.error(value)


def hidden_error(value: float, name: str, own: numbers.Digits) -> str:
    """An error on hidden values as text; relative ones in per cent."""
    return numbers.percent(value, 1) if name in ("MRE", "sMAPE") else own.error(value)


def is_lowest(row: ModelRow, name: str, rows: tuple[ModelRow, ...]) -> bool:
    """Whether no model's error is lower (for a bias: nearer to 0)."""
    sizes = [abs(other.errors[name]) for other in rows if math.isfinite(other.errors[name])]
    return len(rows) > 1 and bool(sizes) and abs(row.errors[name]) == min(sizes)


def worst_series(report: Report) -> list[SeriesRow]:
    """The series with the highest scaled error; none where there are few."""
    known = [row for row in report.rows if math.isfinite(row.scaled)]
    if len(known) <= WORST_SERIES:
        return []
    return sorted(known, key=lambda row: -row.scaled)[:WORST_SERIES]


def bias(residuals: Residuals) -> str:
    """What the residuals' mean and autocorrelation say, in words."""
    share = residuals.mean / residuals.std if residuals.std > 0 else 0.0
    words = "No bias to speak of"
    if abs(share) > 0.1:
        side = "high" if share > 0 else "low"
        words = f"Forecasts were {side} by {numbers.percent(abs(share))} of that deviation"
    first = residuals.autocorrelation[0] if len(residuals.autocorrelation) else math.nan
    if math.isfinite(first) and first > max(0.2, residuals.bound):
        alike = f"neighbouring errors are alike (correlation {first:.2f})"
        return f"{words}; {alike}, which a better model could use."
    return f"{words}."


def steps_label(steps: StepErrors) -> str:
    """The alternative text of the picture of errors by step."""
    parts = [
        f"{plain(name)} {steps.digits.error(float(values[0]))} to {steps.digits.error(float(values[-1]))}"
        for name, values in steps.errors.items()
    ]
    return f"Mean absolute error from the first step ahead to the last: {'; '.join(parts)}"


def times_label(times: TimeErrors) -> str:
    """The alternative text of a picture of errors by time."""
    known = [
        (float(error), label)
        for error, label in zip(times.errors, times.labels, strict=True)
        if error == error
    ]
    (low, best), (high, worst) = min(known), max(known)
    return (
        f"Mean absolute error by {times.part}: lowest at {best} ({times.digits.error(low)}), "
        f"highest at {worst} ({times.digits.error(high)})"
    )


def autocorrelation_label(residuals: Residuals) -> str:
    """The alternative text of the picture of autocorrelations."""
    beyond = int((abs(residuals.autocorrelation) > residuals.bound).sum())
    return (
        f"Autocorrelation of errors at lags 1 to {len(residuals.autocorrelation)}: "
        f"{residuals.autocorrelation[0]:.2f} at lag 1; {beyond} beyond chance"
    )
