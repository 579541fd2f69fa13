"""Stores that are read once, kept in a folder by the files they were read from, and mapped by later runs."""

import contextlib
import hashlib
import json
import os
import shutil
import sys
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from seqlight.data.store.mapped import FORMAT, SCRATCH, load_dataset, save_dataset
from seqlight.data.store.series_dataset import SeriesDataset

VARIABLE = "SEQLIGHT_CACHE"
OFF = "off"
LEAST_BYTES = 100_000_000
"""Files together smaller than this are read anew each time, which takes a second or less."""

_CURRENT = "current.json"
_LOCK_SECONDS = 3600.0

Print = dict[str, Any]
_Read = Callable[[Path | None], SeriesDataset]


def cache_folder() -> Path | None:
    """Return the folder of all caches; None where ``SEQLIGHT_CACHE=off``.

    It is ``SEQLIGHT_CACHE``, or ``seqlight`` in the user's folder of caches.
    """
    given = os.environ.get(VARIABLE, "")
    if given == OFF:
        return None
    if given:
        return Path(given).expanduser()
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "seqlight"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "seqlight" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "seqlight"


def fingerprint(paths: Sequence[str | os.PathLike[str]]) -> list[Print]:
    """Return what tells a changed file from the same one: size, time of the last change, and inode.

    Raises:
        OSError: there is no such file.
    """
    found = []
    for path in paths:
        status = os.stat(path)
        found.append({"size": status.st_size, "mtime_ns": status.st_mtime_ns, "inode": status.st_ino})
    return found


@dataclass(frozen=True)
class CacheEntry:
    """One store in the cache.

    Attributes:
        folder: where it is.
        source: the file that it was read from, or the first of several.
        bytes: its size on the disk.
        used: when it was written, in seconds since 1970.
        version: of seqlight that wrote it.
    """

    folder: Path
    source: str
    bytes: int
    used: float
    version: str


def cached(paths: Sequence[str], options: Mapping[str, Any], read: _Read, folder: Path) -> SeriesDataset:
    """Return the series of files from the cache; read and keep them if they are not in it, or are another's.

    One process reads, others wait for it. What is kept is written beside what was there, and takes its place
    by one renaming: whenever a process ends, the cache holds the old store or the new one.

    Args:
        paths: the files.
        options: whatever else decides what is read from them.
        read: reads them; it may leave files in the empty folder that it is given, and make arrays of them, or
            return a data set in memory where it is given None.
        folder: of all caches.
    """
    wanted = {"files": fingerprint(paths), "format": FORMAT, "version": _version()}
    entry = folder / _key(paths, options)
    found = _open(entry, wanted)
    if found is not None:
        return found
    try:
        entry.mkdir(parents=True, exist_ok=True)
        lock = FileLock(entry / "lock", timeout=_LOCK_SECONDS)
        lock.acquire()
    except (OSError, NotImplementedError, Timeout) as error:
        _say_unusable(folder, error)
        return read(None)
    with lock:
        found = _open(entry, wanted)  # another process may have been at work
        if found is not None:
            return found
        scratch = entry / f"{SCRATCH}{uuid.uuid4().hex}"
        try:
            scratch.mkdir()
            dataset, notes = _reading(read, scratch)
        except OSError as error:
            shutil.rmtree(scratch, ignore_errors=True)
            _say_unusable(folder, error)
            return read(None)
        try:
            _keep(entry, dataset, notes, wanted, _called(paths))
        except (OSError, TypeError) as error:
            _say_unusable(folder, error)
            return dataset
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        kept = _open(entry, wanted, quiet=True)
    return dataset if kept is None else kept


def entries(folder: Path) -> list[CacheEntry]:
    """Return what is in the cache, the latest first."""
    found = []
    for current in folder.glob(f"*/{_CURRENT}"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            described = json.loads(current.read_text())
            size = sum(path.stat().st_size for path in current.parent.rglob("*") if path.is_file())
            found.append(
                CacheEntry(
                    current.parent,
                    described["source"],
                    size,
                    current.stat().st_mtime,
                    described["key"]["version"],
                )
            )
    return sorted(found, key=lambda one: -one.used)


def clear(folder: Path) -> tuple[int, int]:
    """Remove all that is in the cache, but what a process is writing; return the count and bytes of stores.

    Raises:
        OSError: something cannot be removed.
    """
    count = freed = 0
    known = {one.folder: one for one in entries(folder)}
    for entry in sorted(folder.glob("*/lock")):
        lock = FileLock(entry, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            continue
        with lock:
            for path in entry.parent.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name != "lock":
                    path.unlink()
            entry.unlink(missing_ok=True)  # whoever waits for it sees that it is gone, and makes another
        if entry.parent in known:
            count, freed = count + 1, freed + known[entry.parent].bytes
        with contextlib.suppress(OSError):  # another process may have come
            entry.parent.rmdir()
    return count, freed


def _key(paths: Sequence[str], options: Mapping[str, Any]) -> str:
    name = {"paths": [os.path.realpath(path) for path in paths], "options": dict(options)}
    return hashlib.sha256(json.dumps(name, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _called(paths: Sequence[str]) -> str:
    """What a list calls files."""
    first = os.path.abspath(paths[0])
    return first if len(paths) == 1 else f"{first} and {len(paths) - 1} more"


def _version() -> str:
    return str(import_module("seqlight").__version__)


def _open(entry: Path, wanted: Mapping[str, Any], *, quiet: bool = False) -> SeriesDataset | None:
    """The store of an entry, if it has one that was made of just this."""
    try:
        current = json.loads((entry / _CURRENT).read_text())
        if current["key"] != wanted:
            return None
        dataset, notes = load_dataset(entry / current["data"])
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None  # nothing there, or damaged: it is read anew
    if not quiet:
        for note in notes:
            warnings.warn(note, stacklevel=4)
    return dataset


def _reading(read: _Read, scratch: Path) -> tuple[SeriesDataset, list[str]]:
    """Read, and remember what is said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = read(scratch)
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return dataset, [str(one.message) for one in caught if issubclass(one.category, UserWarning)]


def _keep(
    entry: Path, dataset: SeriesDataset, notes: Sequence[str], key: Mapping[str, Any], source: str
) -> None:
    """Write a store beside the one that is there, let it take its place, and remove what is left over."""
    data = entry / f"data-{uuid.uuid4().hex}"
    temporary = entry / f"{_CURRENT}.{uuid.uuid4().hex}"
    data.mkdir()
    try:
        save_dataset(dataset, data, notes)
        for path in data.iterdir():
            _flush(path)
        temporary.write_text(json.dumps({"key": key, "data": data.name, "source": source}))
        _flush(temporary)
        _step("written")
        os.replace(temporary, entry / _CURRENT)
    except BaseException:
        shutil.rmtree(data, ignore_errors=True)
        temporary.unlink(missing_ok=True)
        raise
    _step("replaced")
    for path in entry.iterdir():  # of earlier stores, and of processes that were ended
        if path.name not in ("lock", _CURRENT, data.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _step(name: str) -> None:
    """A moment between two steps of writing, at which tests end the process."""


def _say_unusable(folder: Path, error: BaseException) -> None:
    why = getattr(error, "strerror", None) or str(error)
    warnings.warn(
        f"{folder}: the cache cannot be written ({why}); the series were read without it. {VARIABLE} names "
        f"another folder, {VARIABLE}={OFF} does without",
        stacklevel=3,
    )
