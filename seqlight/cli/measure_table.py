"""The table of measures beside the four errors."""

import math
from collections.abc import Iterable, Sequence

from rich.table import Table

from seqlight.cli.report import format_error
from seqlight.evaluation import MeasureRow


def measure_table(rows: Sequence[MeasureRow], *, several_targets: bool) -> Table:
    """One line per forecast: bias, RMSSE, OWA, stability, and what there is to say of quantiles.

    Args:
        rows: of all forecasts.
        several_targets: whether targets of different units are judged together, so that what has a unit is
            in multiples of each series' scale.
    """
    bias = "scaled_bias" if several_targets else "bias"
    columns = {
        "bias": bias,
        "RMSSE": "rmsse",
        "OWA": "owa",
        "stability": "stability",
        "WQL": "wql",
        "CRPS": "crps",
    }
    if several_targets:  # these sum up what has a unit
        del columns["WQL"], columns["CRPS"]
    shown = {
        title: name
        for title, name in columns.items()
        if any(math.isfinite(row[name]) for row in rows)  # type: ignore[literal-required]
    }
    table = Table(
        title="Further measures",
        caption=caption(shown, rows, several_targets=several_targets),
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("forecast")
    for title in shown:
        table.add_column(title, justify="right")
    for row in rows:
        values: dict[str, float] = {title: row[name] for title, name in shown.items()}  # type: ignore[literal-required]
        cells = [signed(one) if title == "bias" else format_error(one) for title, one in values.items()]
        table.add_row(row["model"], *cells)
    return table


def signed(value: float) -> str:
    """Return a number with its sign."""
    text = format_error(abs(value))
    return text if not math.isfinite(value) or value == 0 else f"{'+' if value > 0 else '-'}{text}"


def caption(shown: Iterable[str], rows: Sequence[MeasureRow], *, several_targets: bool) -> str:
    """Say what the columns are."""
    units = " in multiples of MASE's scale" if several_targets else ""
    points = "; points are repeated, --level 20 40 60 80 gives the quantiles"
    with_quantiles = any(math.isfinite(row["crps"]) for row in rows)
    sentences = {
        "bias": f"bias: mean of forecast - actual{units}.",
        "OWA": "OWA: mean of sMAPE and MASE over those of Naive2.",
        "stability": "stability: mean change from the forecast of the window before, in MASE's scale.",
        "WQL": f"WQL: weighted quantile loss at 0.1 to 0.9{'' if with_quantiles else points}.",
    }
    return " ".join(sentence for title, sentence in sentences.items() if title in shown)
