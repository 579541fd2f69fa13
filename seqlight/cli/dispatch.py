"""``main``: finds the command, runs it, and turns what goes wrong into exit codes."""

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from seqlight.cli.errors import (
    EXIT_INTERRUPTED,
    EXIT_NO_READER,
    EXIT_USER_ERROR,
    CommandError,
    is_user_error,
    memory_error,
    message_lines,
)
from seqlight.cli.parser import Parser


class Command(NamedTuple):
    """Where a command lives: ``module.function(arguments after the command's name)``."""

    module: str
    function: str
    summary: str


COMMANDS = {
    "forecast": Command(
        "seqlight.cli.forecast.command", "run", "CSV in; forecast, table of errors and plot out"
    ),
    "backtest": Command(
        "seqlight.cli.backtest.command", "run", "CSV in; forecasts from several past times, with errors, out"
    ),
    "impute": Command(
        "seqlight.cli.impute.command", "run", "CSV in; the same with its empty cells filled and marked out"
    ),
    "fit": Command("seqlight.cli.lightning", "fit", "train a model from options or YAML (LightningCLI)"),
    "validate": Command("seqlight.cli.lightning", "validate", "evaluate a checkpoint on the validation part"),
    "test": Command("seqlight.cli.lightning", "test", "evaluate a checkpoint on the test part"),
    "predict": Command("seqlight.cli.lightning", "predict", "write the forecast of a checkpoint as CSV"),
    "compare": Command(
        "seqlight.cli.compare.command", "run", "train one network with each strategy, side by side"
    ),
    "benchmark": Command(
        "seqlight.benchmark", "main", "measure the kernels against their peers on this machine"
    ),
    "cache": Command("seqlight.cli.cache", "run", "list or clear what was kept of large files"),
    "info": Command("seqlight.cli.info", "run", "versions, and what of the extension was built"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``seqlight`` with ``argv`` (default: the process's own arguments).

    Returns 0, the exit code of success. Raises:
        SystemExit: code 2 with at most five lines on standard error when the user has something to mend
            (:class:`CommandError`, ``seqlight.data.DataError``, a full disk, too little memory), 130 after
            Ctrl-C, 141 where nobody reads standard output any more. Any other exception is a defect and
            passes through with its traceback.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        run(arguments)
        sys.stdout.flush()  # where there is no room left, or nobody to read it, it is said now
        return 0
    except KeyboardInterrupt:
        stop_interrupted()
    except SystemExit as error:
        # Lightning's Trainer turns Ctrl-C into exit code 1 from inside its `except KeyboardInterrupt`.
        if isinstance(error.__context__, KeyboardInterrupt):
            stop_interrupted()
        raise
    except BrokenPipeError:  # as of `seqlight info | head -1`
        discard_output()
        raise SystemExit(EXIT_NO_READER) from None
    except Exception as error:
        if not is_user_error(error) and memory_error(error) is None:
            raise
        if isinstance(error, OSError):
            discard_output()
        print(*message_lines(error), sep="\n", file=sys.stderr)
        raise SystemExit(EXIT_USER_ERROR) from None


def run(arguments: list[str]) -> None:
    """Call the command that ``arguments`` name, or print the overview."""
    if arguments and arguments[0] in COMMANDS:
        command = COMMANDS[arguments[0]]
        code = getattr(importlib.import_module(command.module), command.function)(arguments[1:])
        if code:
            raise SystemExit(code)
        return
    overview = overview_parser()
    if not arguments:
        overview.print_help()
        return
    if not arguments[0].startswith("-"):
        close = difflib.get_close_matches(arguments[0], COMMANDS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; choose from {', '.join(COMMANDS)}"
        raise CommandError(f"there is no command {arguments[0]!r}{hint}")
    if overview.parse_args(arguments).version:
        import seqlight

        print(f"seqlight {seqlight.__version__}")


def overview_parser() -> Parser:
    """The parser of ``seqlight`` without a command: ``--help`` and ``--version``."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    parser = Parser(
        prog="seqlight",
        description="Sequence models for PyTorch Lightning, on fused recurrent kernels.",
        epilog="\n".join(
            [
                "commands:",
                *lines,
                "",
                "Each has its own help: seqlight forecast --help",
                "A first look, on data of our own: seqlight forecast --demo --plot forecast.png",
            ]
        ),
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.usage = "seqlight [-h] [--version] command ..."
    return parser


def discard_output() -> None:
    """Drop what could not be written to standard output, which Python would try again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def stop_interrupted() -> NoReturn:
    """Say that Ctrl-C stopped the command, and exit with 130."""
    print("\nseqlight: interrupted", file=sys.stderr)
    raise SystemExit(EXIT_INTERRUPTED) from None
