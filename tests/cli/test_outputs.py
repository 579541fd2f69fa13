"""Output files appear whole or not at all."""

import os
from pathlib import Path

import pytest

from seqlight.cli.errors import CommandError
from seqlight.cli.outputs import check_distinct, check_output, staged


def test_staged_files_appear_together(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.png"
    first.write_text("old")
    with staged([first, second]) as (temporary_first, temporary_second):
        temporary_first.write_text("new")
        temporary_second.write_text("picture")
        assert first.read_text() == "old"
        assert not second.exists()
    assert first.read_text() == "new"
    assert second.read_text() == "picture"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.png"]


def test_a_failure_leaves_everything_as_it_was(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.png"
    first.write_text("old")
    with pytest.raises(OSError, match="disk full"), staged([first, second]) as (temporary, _):
        temporary.write_text("half")
        raise OSError("disk full")
    assert first.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_symbolic_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("old")
    link.symlink_to(target)
    with staged([link]) as (temporary,):
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_check_output_refuses(tmp_path: Path) -> None:
    source = tmp_path / "data.csv"
    source.write_text("ds,y\n")
    with pytest.raises(CommandError, match=r"--output: the folder '.*no' does not exist; .*mkdir -p"):
        check_output(tmp_path / "no" / "x.csv", "--output")
    with pytest.raises(CommandError, match=r"--plot: '.*' is a folder"):
        check_output(tmp_path, "--plot")
    with pytest.raises(CommandError, match="is the input file and would be overwritten"):
        check_output(tmp_path / "." / "data.csv", "--output", input_path=source)
    with pytest.raises(CommandError, match="is not a regular file"):
        check_output(Path(os.devnull), "--output")
    check_output(tmp_path / "new.csv", "--output", input_path=source)
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


def test_two_options_for_one_file(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="--plot and --output name the same file"):
        check_distinct({"--output": tmp_path / "a.png", "--plot": tmp_path / "b" / ".." / "a.png"})
    check_distinct({"--output": tmp_path / "a.csv", "--plot": tmp_path / "a.png"})
