"""A report's pictures as matplotlib figures, in PNG and SVG."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seqlight.report import Report, Series, build, figures
from seqlight.report.charts import y_ticks


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")  # names of any script
def test_every_picture_is_written(hostile: Report, tmp_path: Path) -> None:
    found = figures(hostile)
    assert list(found) == [
        "series",
        "errors_by_step",
        "errors_over_time",
        "errors_by_hour",
        "residuals",
        "coverage",
    ]
    for name, figure in found.items():
        for ending in ("png", "svg"):
            path = tmp_path / f"{name}.{ending}"
            figure.savefig(path, dpi=50)
            assert path.stat().st_size > 3_000, path.name
    (ax,) = found["errors_by_step"].axes
    assert hostile.steps is not None
    assert [list(line.get_ydata()) for line in ax.lines] == [
        list(one) for one in hostile.steps.errors.values()
    ]


def test_what_has_no_content_is_left_out() -> None:
    time = np.arange(100)
    one = Series(name="a", unit="y", time=time, values=np.sin(time), filled=time % 9 == 0)
    report = build([replace(one, forecast_time=time[:0])], kind="impute")
    assert list(figures(report)) == ["series"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (44.0, 53.5, ["45.0", "47.5", "50.0", "52.5"]),  # steps of 2.5
        (0.0, 0.9, ["0.00", "0.25", "0.50", "0.75"]),
        (0.0, 8.0, ["0", "2", "4", "6", "8"]),
        (0.0, 90.0, ["0", "25", "50", "75"]),
    ],
)
def test_ticks_have_the_decimals_of_their_step(low: float, high: float, expected: list[str]) -> None:
    assert [text for _, text in y_ticks(low, high)] == expected
