"""Files appear whole or not at all; what killed processes leave is cleared by the next one, and only that."""

import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from seqlight.whole_files import WriteError, staged, work_folder, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_staged_files_appear_together(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.png"
    first.write_text("old")
    with staged([first, second]) as (temporary_first, temporary_second):
        temporary_first.write_text("new")
        temporary_second.write_text("picture")
        assert temporary_second.suffix == ".png"
        assert first.read_text() == "old"
        assert not second.exists()
    assert (first.read_text(), second.read_text()) == ("new", "picture")
    assert names(tmp_path) == ["a.csv", "b.png"]


def test_a_failure_leaves_everything_as_it_was(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.png"
    first.write_text("old")
    message = r"^cannot write .*a.csv and .*b.png: disk full$"
    with pytest.raises(WriteError, match=message), staged([first, second]) as (temporary, _):
        temporary.write_text("half")
        raise OSError("disk full")
    assert first.read_text() == "old"
    assert names(tmp_path) == ["a.csv"]


def test_other_errors_pass_through(tmp_path: Path) -> None:
    with pytest.raises(KeyError), staged([tmp_path / "a.csv"]):
        raise KeyError("a defect")
    assert names(tmp_path) == []


@pytest.mark.parametrize("dangling", [False, True])
def test_a_symbolic_link_stays_one_and_its_target_is_written(dangling: bool, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    target, link = elsewhere / "target.csv", tmp_path / "link.csv"
    if not dangling:
        target.write_text("old")
    link.symlink_to(Path("elsewhere") / "target.csv")
    write_whole(link, b"new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert (names(tmp_path), names(elsewhere)) == (["elsewhere", "link.csv"], ["target.csv"])


def test_permissions(tmp_path: Path) -> None:
    private, new = tmp_path / "private.csv", tmp_path / "new.csv"
    private.write_text("old")
    private.chmod(0o600)
    umask = os.umask(0o027)
    try:
        write_whole(private, b"new")
        write_whole(new, b"new")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(new.stat().st_mode) == 0o640


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 251 + ".csv")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Have the system refuse to write more, as on a full disk (Python ignores the signal that comes too)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_room(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    with file_size_limit(1000), pytest.raises(WriteError, match=r"^cannot write .*a.csv: File too large$"):
        write_whole(path, b"x" * 2000)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.csv"]


def test_no_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    message = r"^no place for temporary files: No such file or directory; free some, or set TMPDIR"
    with pytest.raises(WriteError, match=message), work_folder():
        raise AssertionError("no folder could be made")


SLEEPER = """
import sys, time
from pathlib import Path
from seqlight.whole_files import staged, work_folder
with work_folder() as folder, staged([Path(sys.argv[1])]) as (temporary,):
    (folder / "checkpoint").write_text("large")
    temporary.write_text("half")
    print(folder.parent, temporary.parent, flush=True)
    time.sleep(600)
"""

Sleeper = tuple["subprocess.Popen[str]", list[Path]]


@pytest.fixture
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, of this process and its children."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def sleeper() -> Iterator[Callable[[Path], Sleeper]]:
    """``process, folders = sleeper(output)``: a process that writes ``output`` for ever, and its folders."""
    processes = []

    def start(output: Path) -> Sleeper:
        process = subprocess.Popen([sys.executable, "-c", SLEEPER, output], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        return process, [Path(name) for name in process.stdout.readline().split()]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_what_killed_processes_leave_is_cleared_and_nothing_else(
    tmp_path: Path, temporary_files: Path, sleeper: Callable[[Path], Sleeper]
) -> None:
    output = tmp_path / "out" / "f.csv"
    output.parent.mkdir()
    output.write_text("old")
    (temporary_files / "seqlight-notes").mkdir()  # of the user
    dead = [sleeper(output) for _ in range(2)]
    alive, folders_in_use = sleeper(output)
    for process, how in zip((process for process, _ in dead), (signal.SIGKILL, signal.SIGTERM), strict=True):
        process.send_signal(how)
        process.wait()
    assert output.read_text() == "old"
    assert len(names(output.parent)) == 4 and len(names(temporary_files)) == 4

    write_whole(output, b"new")
    assert output.read_text() == "new"
    assert alive.poll() is None and all(folder.is_dir() for folder in folders_in_use)
    assert names(output.parent) == sorted(["f.csv", folders_in_use[1].name])
    assert names(temporary_files) == sorted(["seqlight-notes", folders_in_use[0].name])
    assert (folders_in_use[0] / "files" / "checkpoint").read_text() == "large"

    alive.kill()
    alive.wait()
    with work_folder() as folder:
        assert list(folder.iterdir()) == []
        assert len(names(temporary_files)) == 2
    assert names(temporary_files) == ["seqlight-notes"]
    write_whole(output, b"newer")
    assert names(output.parent) == ["f.csv"]
