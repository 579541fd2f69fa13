"""``--report``: four commands write a page of what they printed, with their other files or not at all."""

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

Run = Callable[..., int]
COLUMNS = ["--time", "ds", "--target", "sales", "--id", "shop"]
SMALL = ["--horizon", "6", "--context", "24"]


def words(page: Path) -> str:
    """The page's text without styles and scripts, on one line."""
    text = re.sub(
        r"(?s)<style>.*?</style>|<script.*?</script>|<[^>]*>", " ", page.read_text(encoding="utf-8")
    )
    return " ".join(unescape(text).split())


def numbers(text: str, name: str) -> list[str]:
    """The numbers that follow a name in a table that was printed."""
    line = next(line for line in text.splitlines() if name in line)
    return re.findall(r"\d[\d,]*\.?\d*", line.split(name, 1)[1])


def test_forecast(run: Run, two_series_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "report.html"
    written = ["-o", tmp_path / "f.csv", "--report", page]
    assert run("forecast", two_series_csv, *COLUMNS, *SMALL, "--model", "seasonal", *written) == 0
    printed = capsys.readouterr().out
    assert f"wrote {tmp_path / 'f.csv'}, {page}" in printed
    text = words(page)
    assert "sales of the 2 series is forecast to average" in text
    mae = numbers(printed, "seasonal naive (24)")[0]
    assert f"was off by {float(mae):.1f} on average" in text or f"was off by {mae} on average" in text
    command = (
        f"seqlight forecast {two_series_csv} --time ds --target sales --id shop --horizon 6 --context 24"
    )
    assert command in text
    assert "prediction length 6" in text and "sales.csv" in text
    assert "east" in text and "west" in text
    assert re.search(r"1 gap, 1 missing step", text)
    assert "TextFile" not in text and " source " not in text.split("Settings", 1)[1]


def test_backtest(run: Run, two_series_csv: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    options = ["--windows", "3", "--origin", "own", "--models", "seasonal", "naive"]
    options += ["-o", tmp_path / "b.csv", "--report", page]
    assert run("backtest", two_series_csv, *COLUMNS, *SMALL, *options) == 0
    text = words(page)
    assert "has the lowest error of 2 models in 6 forecasts of 6 steps that begin at" in text
    assert "what came" in text and "Over time" in text


def test_impute(run: Run, two_series_csv: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    options = ["--model", "linear", "-o", tmp_path / "i.csv", "--report", page]
    assert run("impute", two_series_csv, *COLUMNS, *options) == 0
    text = words(page)
    assert "2 missing values of 456" in text
    assert "linear interpolation was off by" in text
    assert "Errors on known values that were hidden" in text


@pytest.mark.filterwarnings("ignore::UserWarning")  # Lightning's advice on short trainings
def test_compare(run: Run, two_series_csv: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    options = [
        "--strategies",
        "direct",
        "--network",
        "gru",
        "--hidden-size",
        "2",
        "--epochs",
        "1",
        "--no-progress",
    ]
    assert run("compare", "strategies", two_series_csv, *COLUMNS, *SMALL, *options, "--report", page) == 0
    text = words(page)
    assert "has the lowest error of 4 models" in text
    assert "seqlight compare strategies" in text and "direct" in text


def test_refused_before_any_work(
    run: Run, two_series_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, message in {
        "report.pdf": "--report: expected a name that ends in .html, got",
        "no/report.html": "does not exist; create it first: mkdir -p",
    }.items():
        assert run("forecast", two_series_csv, *COLUMNS, "--report", tmp_path / name) == 2
        assert message in capsys.readouterr().err
    same = tmp_path / "same.html"
    assert run("forecast", two_series_csv, *COLUMNS, "-o", same, "--report", same) == 2
    assert "name the same file" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_all_files_or_none(
    run: Run, two_series_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that cannot be made leaves an older forecast as it was."""
    from seqlight.report import results

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no report")

    (tmp_path / "f.csv").write_text("old")
    monkeypatch.setattr(results, "build", fail)
    with pytest.raises(RuntimeError, match="no report"):
        run(
            "forecast",
            two_series_csv,
            *COLUMNS,
            *SMALL,
            *("--model", "naive", "-o", tmp_path / "f.csv", "--report", tmp_path / "r.html"),
        )
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("f.csv", "old")]
