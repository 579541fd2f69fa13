"""The forecast plot: what is drawn is what was given."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seqlight.plot import ForecastPanel, forecast


def panel(title: str = "north", *, history: int = 60, horizon: int = 12) -> ForecastPanel:
    times = np.datetime64("2024-03-01T00:00") + np.arange(history + horizon) * np.timedelta64(1, "h")
    values = np.sin(np.arange(history + horizon) / 4.0)
    return ForecastPanel(
        title=title,
        unit="demand",
        history_time=times[:history],
        history=values[:history],
        forecast_time=times[history:],
        forecast=values[history:],
    )


def test_lines_band_and_labels(tmp_path: Path) -> None:
    given = panel()
    given = replace(given, lower=given.forecast - 1.0, upper=given.forecast + 2.0)
    figure = forecast([given], title="Demand", band_label="80% of past errors", note="24 windows")
    (ax,) = figure.axes
    lines = {line.get_label(): line for line in ax.get_lines()}
    np.testing.assert_array_equal(lines["history"].get_ydata(), given.history)
    np.testing.assert_array_equal(lines["forecast"].get_ydata(), given.forecast)
    (band,) = ax.collections
    edges = band.get_paths()[0].vertices[:, 1]
    assert edges.min() == (given.forecast - 1.0).min()
    assert edges.max() == (given.forecast + 2.0).max()
    assert ax.get_title(loc="left") == "north"
    assert ax.get_ylabel() == "demand"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "history",
        "forecast",
        "80% of past errors",
    ]
    figure.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_at_most_max_panels_and_the_note_says_so() -> None:
    figure = forecast([panel(str(n)) for n in range(5)], max_panels=2)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["0", "1"]
    assert any("2 of 5 panels shown" in text.get_text() for text in figure.texts)


def test_gaps_stay_gaps_and_lone_values_get_a_dot() -> None:
    given = panel()
    history = given.history.copy()
    history[10:20] = np.nan
    history[15] = 0.5
    (ax,) = forecast([replace(given, history=history)]).axes
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert np.isnan(lines["history"].get_ydata()[10:15]).all()
    assert any(line.get_marker() == "." and list(line.get_ydata()) == [0.5] for line in ax.get_lines())


def test_history_without_any_value_still_draws(tmp_path: Path) -> None:
    given = panel()
    figure = forecast([replace(given, history=np.full_like(given.history, np.nan))])
    figure.savefig(tmp_path / "plot.png")


def test_wrong_shapes_are_named() -> None:
    given = panel()
    with pytest.raises(ValueError, match=r"forecast expected shape \(12,\) like forecast_time, got \(11,\)"):
        replace(given, forecast=given.forecast[1:])
    with pytest.raises(ValueError, match="lower and upper must be given together"):
        replace(given, lower=given.forecast)
    with pytest.raises(ValueError, match="at least one ForecastPanel"):
        forecast([])


def test_names_are_no_formulas(tmp_path: Path) -> None:
    """A $ begins none, and what matplotlib could not read as one does not stop it."""
    given = replace(panel("a$b$c"), unit="price $_x^2 in $")
    figure = forecast([given], title="vol_$m and $", note="$_")
    figure.savefig(tmp_path / "plot.png")
    (ax,) = figure.axes
    texts = [ax.title, ax._left_title, ax.yaxis.label, *figure.texts]
    assert not any(text.get_parse_math() for text in texts if "$" in text.get_text())
    assert sum("$" in text.get_text() for text in texts) == 4


@pytest.mark.parametrize(
    ("scale", "unit", "factor"),
    [(1e3, "demand", 1), (8e5, "demand", 1), (9e6, "demand · 10⁶", 1e6), (3e11, "demand · 10⁹", 1e9)],
)
def test_large_numbers_have_a_common_factor(scale: float, unit: str, factor: float) -> None:
    """So that the labels fit beside the axis."""
    given = panel()
    figure = forecast([replace(given, history=scale * given.history, forecast=scale * given.forecast)])
    figure.draw_without_rendering()
    (ax,) = figure.axes
    shown = [
        float(label.get_text().replace(",", "").replace("\N{MINUS SIGN}", "-"))
        for label in ax.get_yticklabels()
    ]
    np.testing.assert_allclose(factor * np.array(shown), ax.get_yticks())
    assert ax.get_ylabel() == unit
    assert ax.yaxis.get_tightbbox().x0 > 0
