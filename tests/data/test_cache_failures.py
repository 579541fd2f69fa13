"""Whatever ends or hinders the writing of a cache, what is read is right, and what is kept is whole."""

import errno
import json
import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from filelock import FileLock

from seqlight.data import SeriesFile
from seqlight.data.store import cache, streamed, streamed_grid, streamed_rows

COLUMNS = {
    "time_col": "time",
    "target_cols": "y",
    "id_col": "id",
    "past_covariate_cols": "w",
    "missing": "mask",
}
START = np.datetime64("2024-01-01T00", "us")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of caches; parts have 40 rows, and times of rows are written to files."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(streamed, "LEAST_ROWS", 1)
    monkeypatch.setattr(streamed_rows, "MOST_SEGMENTS", 2)
    for part in (streamed, streamed_grid, streamed_rows):
        monkeypatch.setattr(part, "ROWS_AT_A_TIME", 40)
    return tmp_path / "cache"


def write(path, scale=1.0):
    """Two series with gaps, their rows mixed, and a covariate of text."""
    steps = np.delete(np.repeat(np.arange(40), 2), [3, 50])
    frame = pl.DataFrame(
        {
            "id": np.where(np.arange(len(steps)) % 2, "a", "b"),
            "time": START + steps * np.timedelta64(1, "h"),
            "y": scale * np.arange(len(steps)),
            "w": np.where(steps % 3, "sun", "rain"),
        }
    ).unique(["id", "time"], keep="first", maintain_order=True)
    frame.write_parquet(path)
    return path


def read(path, **arguments):
    """The values, and what is said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        store = SeriesFile(path, **COLUMNS, **arguments).read().store
    return np.array(store.values), [str(one.message) for one in caught]


class FullDisk:
    """A file whose disk is full when as many writes as ``left`` says were made."""

    def __init__(self, file, left):
        self._file, self._left = file, left

    def write(self, data):
        use(self._left)
        return self._file.write(data)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()


def use(left):
    left[0] -= 1
    if left[0] < 0:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_is_full_at_any_write(tmp_path, folder, monkeypatch):
    path = write(tmp_path / "a.parquet")
    expected, _ = read(path, cache=False)
    plain_open, allocate = Path.open, os.posix_fallocate
    left = [0]

    def opened(self, mode="r", *args, **kwargs):
        file = plain_open(self, mode, *args, **kwargs)
        return file if mode in ("r", "rb") else FullDisk(file, left)

    monkeypatch.setattr(Path, "open", opened)
    monkeypatch.setattr(os, "posix_fallocate", lambda *args: use(left) or allocate(*args))
    for writes in range(200):
        left[0] = writes
        values, said = read(path, cache=True)
        np.testing.assert_array_equal(values, expected)
        kept = [file for file in folder.rglob("*") if file.is_file() and file.name != "lock"]
        if left[0] >= 0:
            break
        assert [one for one in said if "the cache cannot be written (No space left on device)" in one]
        assert not kept, writes
    assert writes > 20 and kept


def test_the_process_is_killed_at_50_moments_of_a_streamed_build(tmp_path, folder):
    """Children end before their n-th access to a file, n spread over the whole build."""
    path = tmp_path / "a.parquet"
    script = textwrap.dedent(f"""
        import json, os, shutil, sys
        from pathlib import Path
        import numpy as np
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_cache_failures import COLUMNS, read, write
        from seqlight.data import SeriesFile
        from seqlight.data.store import cache, streamed, streamed_grid, streamed_rows
        streamed.LEAST_ROWS, streamed_rows.MOST_SEGMENTS = 1, 2
        for part in (streamed, streamed_grid, streamed_rows):
            part.ROWS_AT_A_TIME = 40
        folder, whole, path = {str(folder)!r}, {str(tmp_path / "old")!r}, {str(path)!r}

        os.fsync = lambda file: None  # a process ends, the machine does not

        def child(do, moment=10**9):
            '''Run in a process that ends at the moment; polars' threads start in the child alone.'''
            count = [0]
            def access(event, _):
                if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"):
                    count[0] += 1
                    if count[0] >= moment:
                        os._exit(9)
            reader, writer = os.pipe()
            pid = os.fork()
            if pid == 0:
                sys.addaudithook(access)
                do()
                os.write(writer, str(count[0]).encode())
                os._exit(0)
            os.close(writer)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            return status, os.read(reader, 100)

        child(lambda: write(path) and read(path, cache=True))
        shutil.copytree(folder, whole)
        child(lambda: write(path, 2.0))
        total = int(child(lambda: read(path, cache=True))[1])
        outcomes = []
        for moment in np.linspace(1, total + 1, 51).astype(int).tolist():
            shutil.rmtree(folder)
            shutil.copytree(whole, folder)
            status, _ = child(lambda: read(path, cache=True), moment)
            (current,) = Path(folder).rglob("current.json")
            dataset, _ = cache.load_dataset(current.parent / json.loads(current.read_text())["data"])
            outcomes.append([status, float(np.nanmax(dataset.store.values))])
        child(lambda: read(path, cache=True))
        left = len([*Path(folder).rglob("data-*"), *Path(folder).rglob("stream-*")])
        print(json.dumps({{"outcomes": outcomes, "left": left}}))
    """)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    statuses, largest = zip(*told["outcomes"], strict=True)
    assert len(statuses) == 51 and statuses[-1] == 0 and set(statuses[:-1]) == {9}
    assert list(largest) == sorted(largest) and len(set(largest)) == 2  # the old series, later the new
    assert largest[-1] == 2 * largest[0]
    assert told["left"] == 1  # what was left over is gone


def test_every_file_of_a_store_is_looked_at(tmp_path, folder):
    path = write(tmp_path / "a.parquet")
    expected, _ = read(path, cache=True)
    names = [file.name for file in folder.rglob("*.npy")] + ["store.json", "current.json"]
    assert {"values.npy", "shift.npy", "past_codes.npy", "sums_0.npy", "ends.npy"} < set(names)
    for name in names:
        (file,) = folder.rglob(name)
        whole = file.read_bytes()
        other = whole.replace(b"'shape': (", b"'shape': (1", 1) if name == "ends.npy" else whole[:-1]
        file.write_bytes(other)
        values, _ = read(path, cache=True)
        np.testing.assert_array_equal(values, expected)
        (again,) = folder.rglob(name)
        assert again.read_bytes() != other, name


def test_clearing_leaves_what_is_being_written(tmp_path, folder):
    for name in ("a", "b"):
        read(write(tmp_path / f"{name}.parquet"), cache=True)
    found = {Path(one.source).stem: one for one in cache.entries(folder)}
    assert found.keys() == {"a", "b"} and all(one.bytes > 0 for one in found.values())
    busy = found["a"].folder
    with FileLock(busy / "lock"):
        (busy / "stream-x").mkdir()
        assert cache.clear(folder) == (1, found["b"].bytes)
        assert (busy / "stream-x").exists() and [one.folder for one in cache.entries(folder)] == [busy]
    assert cache.clear(folder)[0] == 1
    assert not list(folder.iterdir())
