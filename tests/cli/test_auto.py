"""``seqlight forecast --model auto``, the default: several models, and the checkpoint of their mean."""

import contextlib
import io
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from rich.console import Console

import seqlight
from seqlight.cli import main
from seqlight.cli.forecast.members import progress_bar
from seqlight.models import EnsembleForecaster

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),  # Lightning's own
    pytest.mark.filterwarnings("ignore::UserWarning"),  # Lightning's advice on short trainings
]
Run = Callable[..., int]

COLUMNS = ["--time", "ds", "--target", "sales", "--id", "shop", "--horizon", "3", "--context", "24"]
SIMPLE_ONLY = ["--max-time", "0.01"]
NETWORKS = ("segment RNN", "linear + segment RNN", "ES-RNN", "peephole LSTM", "TCN")


@pytest.fixture(scope="module")
def finished(two_series_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the printed text of one whole run, with a refit."""
    folder = tmp_path_factory.mktemp("output")
    handler = signal.getsignal(signal.SIGINT)
    printed = io.StringIO()
    options = ["--epochs", "1", "--hidden-size", "4", "--no-progress", "--refit"]
    outputs = ["-o", folder / "out.csv", "--save", folder / "out.ckpt"]
    with contextlib.redirect_stdout(printed):
        main([*map(str, ["forecast", two_series_csv, *COLUMNS, *options, *outputs])])
    signal.signal(signal.SIGINT, handler)
    return folder, printed.getvalue()


def member_rows(printed: str) -> dict[str, list[str]]:
    """Weight, error and seconds of each member, from the printed table."""
    table = printed[printed.index("Members, weighed") : printed.index("Errors on the test part")]
    cells = [line.strip("│ ").split("│") for line in table.splitlines() if line.startswith("│")]
    return {name.strip(): [cell.strip() for cell in more] for name, *more in cells}


def test_the_table_of_members(finished: tuple[Path, str]) -> None:
    rows = member_rows(finished[1])
    assert list(rows) == [
        "naive",
        "seasonal naive (24)",
        "linear (least squares)",
        "linear (robust)",
        "cycle (24) + linear",
        *NETWORKS,
        "ensemble",
    ]
    weights = [float(weight) for weight, *_ in rows.values() if weight]
    assert sum(weights) == pytest.approx(1, abs=0.03)
    errors = [float(error) for _, error, _ in rows.values()]
    assert errors[-1] < min(errors[:-1])
    assert "Forecast by ensemble, which has the lowest MASE on the validation part, " in finished[1]
    for name in NETWORKS:
        assert f"trained {name}: 1 epoch in " in finished[1]


def test_the_checkpoint_forecasts_the_same(
    finished: tuple[Path, str], run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forecast = pl.read_csv(finished[0] / "out.csv")
    assert forecast["sales"].is_finite().all() and len(forecast) == 6
    again = tmp_path / "again.csv"
    assert run("predict", "--ckpt_path", finished[0] / "out.ckpt", "--output", again) == 0
    assert pl.read_csv(again)["sales"].to_list() == pytest.approx(forecast["sales"].to_list(), rel=1e-4)


def test_members_are_made_again_of_all_data(
    finished: tuple[Path, str], two_series_csv: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, printed = finished
    assert "made ensemble again of all " in printed and "before the refit" in printed
    model = seqlight.load(folder / "out.ckpt")
    assert isinstance(model, EnsembleForecaster)
    assert model.trained_until.keys() == {"east", "west"}
    assert run("test", "--ckpt_path", folder / "out.ckpt", "--data.path", two_series_csv) == 2
    assert "was trained on series 'east' up to 2024-03-06 23:00" in capsys.readouterr().err


def test_what_does_not_fit_in_the_time_is_said_and_the_test_part_decides_nothing(
    two_series_csv: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights stay when the last values change, those that only the test part has as targets."""
    lines = two_series_csv.read_text().splitlines()
    other = [f"{line[:24]},150.0,x" if line.startswith("2024-03-06 2") else line for line in lines]
    (tmp_path / "other.csv").write_text("\n".join(other) + "\n")
    found = []
    for path in (two_series_csv, tmp_path / "other.csv"):
        assert run("forecast", path, *COLUMNS, *SIMPLE_ONLY, "-o", tmp_path / "out.csv") == 0
        printed = capsys.readouterr().out
        assert f"note: left out for lack of time (--max-time): {', '.join(NETWORKS)}\n" in printed
        found.append((member_rows(printed), printed[printed.index("Errors on the test part") :]))
    weights = [{name: row[:2] for name, row in rows.items()} for rows, _ in found]
    assert weights[0] == weights[1] and len(weights[0]) == 6
    assert found[0][1] != found[1][1]


def test_an_interrupt_leaves_the_forecast_of_what_there_is(
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("seqlight.models.SegmentRNNForecaster.training_step", interrupted)
    arguments = ["forecast", two_series_csv, *COLUMNS, "--epochs", "1", "--no-progress"]
    assert run(*arguments, "-o", tmp_path / "out.csv") == 0
    printed = capsys.readouterr().out
    assert "note: segment RNN: left out, interrupted before its first epoch\n" in printed
    assert "note: TCN: not trained, after an interrupt\n" in printed
    assert pl.read_csv(tmp_path / "out.csv")["sales"].is_finite().all()


def test_portfolio_is_its_old_name(
    two_series_csv: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["forecast", two_series_csv, *COLUMNS, *SIMPLE_ONLY, "-o", tmp_path / "out.csv"]
    assert run(*arguments, "--model", "portfolio") == 0
    assert "Members, weighed on the validation part" in capsys.readouterr().out
    assert run(*arguments, "--model", "lstn") == 2
    assert "--model" in capsys.readouterr().err


def test_a_bar_over_all_members_on_a_terminal_and_none_elsewhere() -> None:
    for terminal, progress, shown in ((True, True, True), (True, False, False), (False, True, False)):
        text = io.StringIO()
        given = SimpleNamespace(progress=progress)
        with progress_bar(given, Console(file=text, force_terminal=terminal)) as tell:  # type: ignore[arg-type]
            tell("segment RNN", 0.5)
        assert ("segment RNN" in text.getvalue()) == shown
