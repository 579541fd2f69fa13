"""Every command and every snippet of the README runs."""

import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [
    line.split("  #")[0].strip()
    for language, text in BLOCKS
    if language == "bash"
    for line in text.splitlines()
    if line.strip()
]
SNIPPETS = [text for language, text in BLOCKS if language == "python"]


def test_there_is_something_to_test() -> None:
    assert {language for language, _ in BLOCKS} <= {"bash", "python", "text"}
    assert len(SNIPPETS) >= 3
    assert len(COMMANDS) >= 7


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # Lightning's own
@pytest.mark.filterwarnings("ignore::UserWarning")  # Lightning's advice on short trainings and loggers
def test_commands(folder: Path, run_command: Callable[[str], None]) -> None:
    """In their order: later ones use what earlier ones leave behind."""
    for command in COMMANDS:
        run_command(command)
    for name in ("forecast.csv", "forecast.png", "model.ckpt", "filled.csv", "filled.png"):
        assert (folder / name).stat().st_size > 0
    assert pl.read_csv(folder / "forecast.csv").columns[:4] == ["series_id", "ds", "y", "y-lo-80"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # Lightning's own
@pytest.mark.filterwarnings("ignore::UserWarning")  # Lightning's advice on short trainings and loggers
@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_snippet(number: int, folder: Path) -> None:
    code = re.sub(r"max_epochs=\d+", "max_epochs=1", SNIPPETS[number])
    exec(compile(code, f"README.md, Python block {number + 1}", "exec"), {"__name__": "readme"})


def test_the_class_in_ten_lines_is_the_examples() -> None:
    """The README's own class is a working Forecaster."""
    import torch

    (code,) = [text for text in SNIPPETS if "build_network" in text]
    names: dict[str, type] = {}
    exec(code, names)
    model = names["MyForecaster"](context_length=12, prediction_length=3, hidden_size=5)
    assert model(torch.randn(2, 12, 1)).shape == (2, 3, 1)
    body = code[code.index("class ") :].strip().splitlines()
    assert len([line for line in body if line.strip()]) <= 10


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (REPOSITORY / target).exists(), target


@pytest.mark.parametrize("name", ["CSV", "TIME", "TARGET"])
def test_makefile_takes_what_the_readme_says(name: str) -> None:
    assert f"{name}=" in README
    assert re.search(rf"^{name} \?=", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE)
