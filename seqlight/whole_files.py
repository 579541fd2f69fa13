"""Files that appear whole or not at all, and temporary folders that do not outlive their process for ever.

A process that is killed cannot clean up. So each temporary folder holds a file that its process keeps
locked, which the system unlocks however the process ends; the next one that writes beside it, or needs a
temporary folder itself, removes the folders whose lock it can take. A process id would tell less: it may have
been given to another process since, and means nothing to another machine that shares the disk.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = "seqlight.lock"
_BESIDE = ".seqlight-"  # folders beside the files that are being written
_WORK = "seqlight-"  # folders of work in the system's folder for temporary files


class WriteError(OSError):
    """A file could not be written; what was there before is unchanged."""

    def __str__(self) -> str:
        return str(self.strerror)


@contextmanager
def staged(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield a path to write for each of ``paths``; the files take their places together at the end.

    The paths are in a hidden folder beside each file, so that putting a file in its place is one step: a
    reader sees the old one or the new one. A symbolic link stays one, and the file that it points to is
    replaced; permissions of a file that is replaced are kept. When the block raises, what was at ``paths``
    before is untouched.

    Raises:
        WriteError: a file could not be written, such as on a full disk; it names ``paths``.
    """
    targets = [path.resolve() for path in paths]
    folders: dict[Path, Path] = {}
    locks: list[int] = []
    try:
        with _as_write_error(paths):
            remove_abandoned(Path(tempfile.gettempdir()), _WORK)
            for target in targets:
                if target.parent not in folders:
                    remove_abandoned(target.parent, _BESIDE)
                    folders[target.parent], lock = _locked_folder(target.parent, _BESIDE)
                    locks.append(lock)
        # The ending of the name is kept: writers choose a format by it.
        temporary = [
            folders[target.parent] / f"{index}{target.suffix}" for index, target in enumerate(targets)
        ]
        with _as_write_error(paths):
            yield temporary
            for source, target in zip(temporary, targets, strict=True):
                if target.exists():
                    shutil.copymode(target, source)
                with open(source, "rb") as file:
                    os.fsync(file.fileno())  # a disk may be found full only now
            for source, target in zip(temporary, targets, strict=True):
                os.replace(source, target)
    finally:
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        for lock in locks:
            os.close(lock)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file as :func:`staged` does; its folder is made if need be.

    Raises:
        WriteError: the file could not be written.
    """
    with _as_write_error([path]):
        path.parent.mkdir(parents=True, exist_ok=True)
    with staged([path]) as (temporary,):
        temporary.write_bytes(content)


@contextmanager
def work_folder() -> Iterator[Path]:
    """Yield an empty temporary folder that is removed at the end; first remove those of dead processes.

    Raises:
        WriteError: there is no place for temporary files.
    """
    try:
        parent = Path(tempfile.gettempdir())
        remove_abandoned(parent, _WORK)
        folder, lock = _locked_folder(parent, _WORK)
        inner = folder / "files"  # without the lock: empty
        inner.mkdir()
    except OSError as error:
        raise WriteError(
            error.errno,
            f"no place for temporary files: {error.strerror}; free some, or set TMPDIR to another folder",
        ) from error
    try:
        yield inner
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove the temporary folders in ``parent`` whose processes have ended, and no other folder."""
    for lock_file in parent.glob(f"{prefix}*/{_LOCK}"):
        with suppress(OSError):  # someone else's, or another process was faster
            lock = os.open(lock_file, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock_file.parent, ignore_errors=True)
            finally:
                os.close(lock)


def _locked_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    """Make a folder, and return it with the descriptor whose lock tells that it is in use."""
    while True:
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass  # another process takes it for abandoned, for it was not locked yet
        except OSError:
            return folder, lock  # no locks on this file system: nobody will take the folder for abandoned
        if (folder / _LOCK).exists():
            return folder, lock
        os.close(lock)


@contextmanager
def _as_write_error(paths: Sequence[Path]) -> Iterator[None]:
    """Turn the system's errors of the block into one that names the files to write."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        names = " and ".join(map(str, paths))
        raise WriteError(error.errno, f"cannot write {names}: {error.strerror or error}") from error
