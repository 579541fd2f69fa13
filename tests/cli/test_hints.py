"""What messages advise exists and works: options that they name, and commands that they spell out."""

import ast
import inspect
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lightning import Trainer

import seqlight.cli
from seqlight.cli.backtest.arguments import build_parser as backtest_parser
from seqlight.cli.compare.arguments import build_parser as compare_parser
from seqlight.cli.forecast.arguments import build_parser as forecast_parser
from seqlight.cli.impute.arguments import build_parser as impute_parser
from seqlight.cli.wording import OPTIONS, as_options
from seqlight.models import LSTMForecaster

Run = Callable[..., int]

FOLDER = Path(seqlight.cli.__file__).parent
PARSERS = {
    "forecast": forecast_parser(),
    "backtest": backtest_parser(),
    "compare": compare_parser(),
    "impute": impute_parser(),
}
OF_COMMAND = {name: set(parser._option_string_actions) for name, parser in PARSERS.items()}
# Of Lightning's commands, but for those of the Trainer, the model and the data, which the test looks up.
OF_LIGHTNING = {"--ckpt_path", "--config", "--output", "--help", "--seed_everything", "--print_config"} | {
    "--trainer",
    "--model",
    "--data",
}
GENERAL = {"--version", "--help"}
OF_NAMED_COMMAND = re.compile(rf"seqlight ({'|'.join(PARSERS)}) (--[a-z-]+)")
NAMED_OPTION = re.compile(r"(?<![\w-])--[a-z][\w.-]*\w")


def texts(path: Path) -> Iterator[str]:
    """Every text of a module but for its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def options_of(path: Path) -> set[str]:
    """Options that the module's messages may name: those of its command, or of any where several share it."""
    relative = path.relative_to(FOLDER)
    prefix = relative.parts[0] if len(relative.parts) > 1 else path.stem.partition("_")[0]
    if prefix in OF_COMMAND:
        return OF_COMMAND[prefix] | GENERAL
    if prefix in ("lightning", "checkpoint"):
        return OF_LIGHTNING
    return set.union(GENERAL, OF_LIGHTNING, *OF_COMMAND.values())


@pytest.mark.parametrize(
    "path", sorted(FOLDER.rglob("*.py")), ids=lambda path: str(path.relative_to(FOLDER).with_suffix(""))
)
def test_options_that_messages_name_exist(path: Path) -> None:
    trainer = inspect.signature(Trainer.__init__).parameters
    unknown = set()
    for text in texts(path):
        for command, option in OF_NAMED_COMMAND.findall(text):
            unknown |= {option} - OF_COMMAND[command]
        for option in NAMED_OPTION.findall(OF_NAMED_COMMAND.sub("", text)):
            part, _, name = option.removeprefix("--").partition(".")
            if part == "trainer" and name:
                assert name in trainer, f"{path.name}: Lightning's Trainer has no {name}"
            elif part not in ("model", "data") or not name:
                unknown |= {option} - options_of(path)
    assert not unknown, f"{path.name} names options that its commands do not have"


def test_the_words_of_options_are_options() -> None:
    """A message of the Python interface in the words of a command's options."""
    for name, option in OPTIONS.items():
        assert option in OF_COMMAND["forecast"] and option in OF_COMMAND["compare"], name


def test_the_words_of_lightning_are_its_options() -> None:
    from seqlight.cli.lightning_messages import as_options as of_lightning

    named = "lr=0.1, transform='standard', gradient_clip_val=1.0 or precision='32-true'"
    options = NAMED_OPTION.findall(of_lightning(named))
    assert options == [
        "--model.lr",
        "--model.transform",
        "--trainer.gradient_clip_val",
        "--trainer.precision",
    ]
    parameters = {"trainer": inspect.signature(Trainer.__init__).parameters}
    for option in options:
        part, _, name = option.removeprefix("--").partition(".")
        known: Any = parameters.get(part) or LSTMForecaster(context_length=2, prediction_length=1).hparams
        assert name in known


# Bad inputs, and the part of the message that is to be added to the command, or run before it.

TIMES = [f"2024-01-{day:02d} {hour:02d}:00" for day in range(1, 6) for hour in range(24)]


def table(header: str, rows: Iterator[str]) -> str:
    return "\n".join([header, *rows]) + "\n"


ORDINARY = table("time,value", (f"{time},{index % 7}" for index, time in enumerate(TIMES)))
DAY_FIRST = (f"{time[8:10]}/{time[5:7]}/2024{time[10:]},{index % 7}" for index, time in enumerate(TIMES))
GAP = (f"{time},{'' if index == 50 else index % 7}" for index, time in enumerate(TIMES))
TWO_SERIES = (f"{time},{name},{index % 5}" for index, time in enumerate(TIMES) for name in "ab")
COLUMNS = ["--time", "time", "--target", "value"]

CASES: dict[str, tuple[str, list[str], str, tuple[str, ...]]] = {
    # file, options, the advice as a pattern with one group, commands that give it
    "day or month first": (
        table("time,value", DAY_FIRST),
        COLUMNS,
        r"(--time-format '[^']+')",
        ("forecast", "impute", "compare"),
    ),
    "a missing cell": (
        table("time,value", GAP),
        [*COLUMNS, "--missing", "error"],
        r"pass (--missing \S+)$",
        ("forecast", "compare"),
    ),
    "several series": (
        table("time,id,value", TWO_SERIES),
        COLUMNS,
        r"name (--id '\w+')",
        ("forecast", "impute", "compare"),
    ),
    "no folder": (
        ORDINARY,
        [*COLUMNS, "--output", "new folder/out.csv"],
        r"create it first: (mkdir -p .+)$",
        ("forecast", "impute", "compare"),
    ),
}


@pytest.mark.parametrize(
    ("name", "command"), [(name, command) for name, case in CASES.items() for command in case[3]]
)
def test_advice_is_followed(
    name: str,
    command: str,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    content, options, pattern, _ = CASES[name]
    Path("series.csv").write_text(content)
    start = {
        "forecast": ["forecast", "series.csv", "--model", "naive"],
        "impute": ["impute", "series.csv", "--model", "last"],
        "compare": ["compare", "strategies", "series.csv", "--strategies", "direct", "--hidden-size", "2"],
    }[command]
    if command == "compare":
        start += ["--epochs", "1", "--max-time", "5"]
    if "--output" not in options:
        options = [*options, "--output", "out.csv"]
    assert run(*start, *options) == 2
    error = capsys.readouterr().err
    found = re.search(pattern, error.strip())
    assert found is not None, error
    advice = shlex.split(found[1])
    if advice[0].startswith("--"):
        options = [*options, *advice]
    else:
        subprocess.run(advice, check=True)
    assert run(*start, *options) == 0
    assert Path(options[options.index("--output") + 1]).is_file()


def test_suggestions_of_names_are_followed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a command, and of a column."""
    assert run("inof") == 2
    (command,) = re.findall(r"did you mean '(\w+)'\?", capsys.readouterr().err)
    assert run(command) == 0
    message = as_options("series.csv: target_cols: there is no column 'vaule'; did you mean 'value'?")
    assert NAMED_OPTION.findall(message) == ["--target"]
