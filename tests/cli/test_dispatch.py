"""The overview, exit codes, and that nothing heavy is imported before it is needed."""

import subprocess
import sys

import pytest

from seqlight.cli import main
from seqlight.cli.dispatch import COMMANDS
from seqlight.cli.errors import MAX_LINES, CommandError, message_lines


def exit_code(*argv: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(argv))
    assert isinstance(stop.value.code, int)
    return stop.value.code


def test_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f"  {name} " in printed
        assert command.summary in printed


def test_help_exits_with_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--help") == 0
    assert "commands:" in capsys.readouterr().out
    assert exit_code("forecast", "--help") == 0
    assert "--horizon" in capsys.readouterr().out


def test_version_is_the_packages_own(capsys: pytest.CaptureFixture[str]) -> None:
    import seqlight

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"seqlight {seqlight.__version__}\n"


def test_info_prints_the_build(capsys: pytest.CaptureFixture[str]) -> None:
    import seqlight

    assert main(["info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"seqlight: {seqlight.__version__}"
    for key, value in seqlight.build_info().items():
        assert f"{key}: {value}" in lines


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["forcast"], "there is no command 'forcast'; did you mean 'forecast'?"),
        (["xyz"], "there is no command 'xyz'; choose from forecast, backtest, impute, fit"),
        (["--verbose"], "unrecognized arguments: --verbose"),
        (["info", "now"], "unrecognized arguments: now"),
    ],
)
def test_unknown_commands_and_options(
    argv: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(*argv) == 2
    captured = capsys.readouterr()
    assert expected in captured.err
    assert captured.out == ""
    assert len(captured.err.splitlines()) <= MAX_LINES


def test_keyboard_interrupt_exits_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(arguments: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("seqlight.cli.info.run", interrupted)
    assert exit_code("info") == 130
    assert "interrupted" in capsys.readouterr().err


def test_interrupt_that_lightning_turned_into_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def trainer(arguments: list[str]) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)

    monkeypatch.setattr("seqlight.cli.info.run", trainer)
    assert exit_code("info") == 130


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(arguments: list[str]) -> None:
        raise ZeroDivisionError("a defect of ours")

    monkeypatch.setattr("seqlight.cli.info.run", defect)
    with pytest.raises(ZeroDivisionError, match="a defect of ours"):
        main(["info"])


def test_long_messages_are_cut_and_say_so() -> None:
    lines = message_lines(CommandError("\n".join(f"line {n}" for n in range(9))))
    assert len(lines) == MAX_LINES
    assert lines[0] == "seqlight: error: line 0"
    assert lines[-1] == f"  ... and {9 - MAX_LINES + 1} more lines"


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["--version"],
        ["forecast", "--help"],
        ["forecast", "nowhere.csv"],
        ["forecast", "--demo", "-o", "no/such/folder/x.csv"],
    ],
)
def test_torch_and_lightning_are_not_waited_for(argv: list[str]) -> None:
    """In a process of its own: those modules are imported in this one already."""
    probe = (
        "import sys\n"
        "from seqlight.cli import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'torch', 'lightning', 'polars', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", probe, *argv], check=True, capture_output=True)
