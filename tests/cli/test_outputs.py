"""Outputs are refused before any work where they could not be written, or are read."""

import os
from pathlib import Path

import pytest

from seqlight.cli.errors import CommandError
from seqlight.cli.outputs import check_distinct, check_not_read, check_output


def test_check_output_refuses(tmp_path: Path) -> None:
    source = tmp_path / "data.csv"
    source.write_text("ds,y\n")
    with pytest.raises(CommandError, match=r"--output: the folder '.*no' does not exist; .*mkdir -p"):
        check_output(tmp_path / "no" / "x.csv", "--output")
    with pytest.raises(CommandError, match=r"--plot: '.*' is a folder"):
        check_output(tmp_path, "--plot")
    with pytest.raises(CommandError, match="is not a regular file"):
        check_output(Path(os.devnull), "--output")
    check_output(tmp_path / "new.csv", "--output")
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


def test_two_options_for_one_file(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="--plot and --output name the same file"):
        check_distinct({"--output": tmp_path / "a.png", "--plot": tmp_path / "b" / ".." / "a.png"})
    check_distinct({"--output": tmp_path / "a.csv", "--plot": tmp_path / "a.png"})


@pytest.mark.parametrize("name", ["data.csv", "./data.csv", "folder/../data.csv", "soft.csv", "hard.csv"])
def test_what_is_read_is_no_output(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "data.csv"
    source.write_text("ds,y")
    Path("folder").mkdir()
    Path("soft.csv").symlink_to("data.csv")
    os.link("data.csv", "hard.csv")
    with pytest.raises(CommandError, match=f"--plot: '{name.removeprefix('./')}' is an input file"):
        check_not_read({"--output": Path("new.csv"), "--plot": Path(name)}, [Path("nowhere"), source])
    with pytest.raises(CommandError, match=r"--save: .* is an input file"):
        check_not_read({"--save": source}, [tmp_path])  # a folder of files
    check_not_read({"--output": Path("new.csv")}, [source])
