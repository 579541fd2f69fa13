"""The plots of how past forecasts were off hold what they are given, and refuse what does not fit."""

from typing import Any

import numpy as np
import pytest

from seqlight.plot import coverage, errors_by_time, errors_over_time, residuals
from seqlight.plot.judged import BAR_COLOUR
from seqlight.plot.style import FORECAST_COLOUR


def heights(ax: Any) -> list[float]:
    return [bar.get_height() for bar in ax.patches]


def test_errors_by_time() -> None:
    (ax,) = errors_by_time({"Mon": 1.0, "Tue": 3.0, "Wed": float("nan")}, error_label="MAE").axes
    assert heights(ax)[:2] == [1.0, 3.0] and np.isnan(heights(ax)[2])
    from matplotlib.colors import to_hex

    assert [to_hex(bar.get_facecolor()) for bar in ax.patches[:2]] == [BAR_COLOUR, FORECAST_COLOUR]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["Mon", "Tue", "Wed"]


def test_errors_over_time() -> None:
    time = np.datetime64("2024-01-01", "D") + np.arange(4)
    (ax,) = errors_over_time(time, {"$a$": np.arange(4.0), "b": np.ones(4)}).axes
    assert [list(line.get_ydata()) for line in ax.lines] == [[0, 1, 2, 3], [1, 1, 1, 1]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["$a$", "b"]
    assert ax.get_ylim()[0] == 0


def test_residuals() -> None:
    figure = residuals([-2, 0, 2], [3, 5], [0.5, -0.1], bound=0.2)
    left, right = figure.axes
    assert heights(left) == [3, 5]
    assert heights(right) == [0.5, -0.1]
    assert [line.get_ydata()[0] for line in right.lines] == [0, 0.2, -0.2]


def test_coverage(tmp_path: Any) -> None:
    figure = coverage([80, 95], [0.712, 0.96])
    (ax,) = figure.axes
    assert [bar.get_width() for bar in ax.patches[2:]] == pytest.approx([71.2, 96.0])
    assert list(ax.lines[0].get_xdata()) == [80, 95]
    for ending in ("png", "svg"):
        figure.savefig(tmp_path / f"coverage.{ending}")
        assert (tmp_path / f"coverage.{ending}").stat().st_size > 3_000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: errors_by_time({"a": float("nan")}), "at least one number"),
        (lambda: errors_over_time(np.arange(3), {}), "at least one forecaster, got none"),
        (lambda: errors_over_time(np.arange(3), {"a": np.ones(2)}), r"expected shape \(3,\) like time"),
        (lambda: residuals([0, 1], [3, 5], [], bound=0.1), r"edges expected shape \(3,\), got \(2,\)"),
        (lambda: coverage([80], []), "one number for each band, got 1 and 0"),
    ],
)
def test_what_cannot_be_drawn(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
