"""``--nonnegative``, ``--bounds``, ``--integer``: in the table, the file, the picture and the checkpoint."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import seqlight
from seqlight.experiments import selection
from seqlight.intervals import Interval
from seqlight.intervals.predictor import within
from seqlight.models.forecasting.bounds import Bounds

Run = Callable[..., int]
HOURS = 24 * 14


@pytest.fixture(scope="module")
def falling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hours of a day's season that falls by 0.05 an hour and has just reached 0."""
    path = tmp_path_factory.mktemp("in") / "falling.csv"
    step = np.arange(HOURS)
    values = 0.05 * (HOURS - step) + np.sin(step) * (HOURS - step) / HOURS + 0.01
    start = np.datetime64("2024-01-01T00")
    rows = [f"{start + hour},{value:.3f}" for hour, value in zip(step, values, strict=True)]
    path.write_text("\n".join(["ds,y", *rows]) + "\n")
    return path


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, np.ndarray]]:
    """The forecast and the band's edges of each panel that is drawn."""
    import seqlight.plot

    drawn: list[tuple[np.ndarray, np.ndarray]] = []
    draw = seqlight.plot.forecast

    def kept(shown: list, **options: object) -> object:
        for panel in shown:
            edges = [edge for edge in (panel.lower, panel.upper) if edge is not None]
            drawn.append((panel.forecast, np.concatenate(edges) if edges else panel.forecast))
        return draw(shown, **options)

    monkeypatch.setattr(seqlight.plot, "forecast", kept)
    return drawn


@pytest.mark.parametrize("model", ["linear", "naive", "seasonal", "lstm"])
def test_every_output_keeps_to_the_bounds(
    model: str,
    falling: Path,
    run: Run,
    panels: list[tuple[np.ndarray, np.ndarray]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    tables: list[dict] = []
    forecast_windows = selection.forecast_windows
    monkeypatch.setattr(
        selection,
        "forecast_windows",
        lambda models, *a, **k: tables.append(models) or forecast_windows(models, *a, **k),
    )
    options = ("--model", model, "--bounds", "1", "none", "--integer", "--horizon", "12", "--epochs", "1")
    assert run("forecast", falling, *options, "-o", "f.csv", "--plot", "f.png", "--save", "f.ckpt") == 0
    values = pl.read_csv("f.csv")["y"].to_numpy()
    assert values.dtype == np.int64 and values.min() >= 1  # written as 8, not 8.0
    (forecast, edges) = panels[0]
    assert forecast.min() >= 1 and np.nanmin(edges) >= 1
    assert all(one.bounds == seqlight.load("f.ckpt").bounds for one in tables[-1].values())
    assert tables[-1]["naive"].bounds.low == 1 and tables[-1]["naive"].bounds.integer


def test_without_them_the_linear_forecast_falls_below(
    falling: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--model", "linear", "--horizon", "12")
    assert run("forecast", falling, *options, "-o", "free.csv") == 0
    assert pl.read_csv("free.csv")["y"].min() < 0
    assert run("forecast", falling, *options, "-o", "kept.csv", "--nonnegative") == 0
    assert pl.read_csv("kept.csv")["y"].min() == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--bounds", "3", "1"], "expected LOW < HIGH with values between them, got 3 1"),
        (["--bounds", "0.2", "0.8", "--integer"], "several whole numbers between them"),
        (["--bounds", "-1", "5", "--nonnegative"], "LOW is -1, which --nonnegative excludes"),
        (["--bounds", "none", "0", "--nonnegative"], "--nonnegative leaves nothing below it"),
        (["--bounds", "x", "1"], "expected a number, or none for no bound, got 'x'"),
    ],
)
def test_what_cannot_be(
    options: list[str], said: str, falling: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("forecast", falling, *options) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("low", [None, 0.0])
def test_no_minus_nought(low: float | None) -> None:
    found = Bounds(low, None, True).apply(torch.tensor([-0.3, -0.0, 0.2]))
    assert not torch.signbit(found).any()
    around = within(Interval(torch.tensor([-0.3, 0.1]), torch.tensor([-0.1, 0.3])), Bounds(low, None, True))
    assert not torch.signbit(torch.stack(around)).any()


def test_a_forecast_below_all_known_values_of_0_and_more_is_told(
    falling: Path,
    run: Run,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("forecast", falling, "--model", "linear", "--no-intervals") == 0
    below = pl.read_csv("forecast.csv").filter(pl.col("y") < 0).height
    assert below > 1
    told = f"note: 'y' has no value below 0, but its forecast is at {below} of "
    assert told in capsys.readouterr().out
    assert run("forecast", falling, "--model", "linear", "--no-intervals", "--nonnegative") == 0
    assert "no value below 0" not in capsys.readouterr().out
