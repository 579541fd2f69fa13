"""Stores that are kept: the same series, read once, whole at every moment, whatever else happens."""

import datetime
import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from seqlight.cli import main
from seqlight.data import CSVDataModule, DataError, SeriesFile
from seqlight.data.store import cache, series_file

START = datetime.date(2024, 1, 1)
SIZES = {"context_length": 6, "prediction_length": 2}
COLUMNS = {
    "time_col": "day",
    "target_cols": "y",
    "id_col": "id",
    "past_covariate_cols": ["p", "q"],
    "future_covariate_cols": "w",
    "static_cols": ["k", "n"],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of caches."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(path, *, scale=1.0, rows=60):
    """Two series, their rows mixed, of every kind of column; one cell is far off, which is said."""
    random = np.random.default_rng(0)
    day = np.repeat(np.arange(rows // 2), 2)
    values = scale * random.normal(size=rows)
    values[7] = -9999
    frame = pl.DataFrame(
        {
            "id": ["a", "b"] * (rows // 2),
            "day": [(START + datetime.timedelta(days=int(step))).strftime("%d.%m.%Y") for step in day],
            "y": values,
            "p": random.normal(size=rows),
            "q": random.choice(["red", "blue"], rows),
            "w": random.choice(["sun", "rain"], rows),
            "k": ["north", "south"] * (rows // 2),
            "n": [1.0, 2.0] * (rows // 2),
        }
    )
    frame.write_csv(path)
    return path


def module(path, **arguments):
    return CSVDataModule(path, **(COLUMNS | SIZES | arguments))


def quietly(read):
    """Read, and return what is said with the result."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = read()
    return result, [str(one.message) for one in caught]


def test_a_mapped_store_gives_the_same_batches_and_is_not_read_again(tmp_path, folder, monkeypatch):
    path = write(tmp_path / "a.csv")
    plain, said = quietly(lambda: module(path, cache=False).store)
    assert "-9999 once, far outside the rest" in " ".join(said)
    _, first_said = quietly(lambda: module(path, cache=True).store)
    monkeypatch.setattr(SeriesFile, "_read", None)
    again = module(path, cache=True)
    mapped, again_said = quietly(lambda: again.store)
    assert said == first_said == again_said
    assert isinstance(mapped.values, np.memmap)
    assert mapped.ids == plain.ids and mapped.grid.frequency == plain.grid.frequency
    assert mapped.grid.format(mapped.timestamps(0, 0, 2)).to_list() == ["01.01.2024", "02.01.2024"]
    expected = module(path, cache=False)
    expected.use_store(plain)
    assert again.schema() == expected.schema()
    np.testing.assert_array_equal(again.scale, expected.scale)
    for part in ("train", "val", "test"):
        ours, theirs = again.dataset(part), expected.dataset(part)
        assert len(ours) == len(theirs) > 0
        one, other = (data.__getitems__(range(len(data))) for data in (ours, theirs))
        assert one.keys() == other.keys()
        for name in one:
            torch.testing.assert_close(one[name], other[name], equal_nan=True, rtol=0, atol=0)


def test_a_changed_page_never_reaches_the_file(tmp_path, folder):
    path = write(tmp_path / "a.csv")
    store, _ = quietly(lambda: module(path, cache=True).store)
    torch.from_numpy(store.values).zero_()
    again, _ = quietly(lambda: module(path, cache=True).store)
    assert (again.values != 0).any()


@pytest.mark.parametrize("change", ["content", "time", "inode", "option", "version", "format", "damage"])
def test_whatever_is_another_is_read_anew(tmp_path, folder, monkeypatch, change):
    path = write(tmp_path / "a.csv")
    before = np.array(quietly(lambda: module(path, cache=True).store)[0].values)
    arguments = {}
    if change == "content":
        write(path, scale=2.0)
    elif change == "time":
        os.utime(path, ns=(1, 1))
    elif change == "inode":
        status = path.stat()
        path.rename(tmp_path / "old.csv")
        shutil.copy(tmp_path / "old.csv", path)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "option":
        arguments = {"missing": "mask"}
    elif change == "version":
        monkeypatch.setattr(cache, "_version", lambda: "0.0.1")
    elif change == "format":
        monkeypatch.setattr(cache, "FORMAT", 0)
    else:
        (values,) = folder.rglob("values.npy")
        values.write_bytes(values.read_bytes()[:-8])
    reads = []
    read = SeriesFile._read
    monkeypatch.setattr(SeriesFile, "_read", lambda self: reads.append(1) or read(self))
    after, _ = quietly(lambda: module(path, cache=True, **arguments).store)
    assert reads == [1]
    assert (change == "content") == (not np.array_equal(before, after.values))
    quietly(lambda: module(path, cache=True, **arguments).store)
    assert reads == [1]
    assert len(list(folder.rglob("values.npy"))) == (2 if change == "option" else 1)


def test_small_files_and_frames_need_none(tmp_path, folder, monkeypatch):
    path = write(tmp_path / "a.csv")
    quietly(lambda: module(path).store)
    quietly(lambda: module(pl.read_csv(path), cache=True).store)
    assert not folder.exists()
    monkeypatch.setattr(series_file, "LEAST_BYTES", path.stat().st_size)
    quietly(lambda: module(path).prepare_data())
    assert len(list(folder.rglob("values.npy"))) == 1
    monkeypatch.setenv(cache.VARIABLE, cache.OFF)
    assert SeriesFile(path, **COLUMNS).cache_folder() is None


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*fork.*:RuntimeWarning")
def test_a_process_killed_at_any_moment_leaves_the_old_store_or_the_new(tmp_path, folder):
    """The child ends without clean-up before its n-th access to a file, or in the middle of writing it."""
    path = write(tmp_path / "a.csv")
    old, _ = quietly(SeriesFile(path, **COLUMNS, cache=True).read)
    whole = tmp_path / "old"
    shutil.copytree(folder, whole)
    write(path, scale=2.0)
    file = SeriesFile(path, **COLUMNS, cache=False)
    new, _ = quietly(file.read)
    options = SeriesFile(path, **COLUMNS, cache=True)._options()
    wanted = {"files": cache.fingerprint([path]), "format": cache.FORMAT, "version": cache._version()}
    outcomes = []
    for moment in range(1, 400, 2):
        shutil.rmtree(folder)
        shutil.copytree(whole, folder)
        pid = os.fork()
        if pid == 0:
            os.fsync = lambda file: None  # a process ends, the machine does not
            stop_before(moment)
            cache.cached([str(path)], options, lambda scratch: new, folder)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        (current,) = folder.rglob("current.json")
        key = json.loads(current.read_text())["key"]
        found = cache._open(current.parent, key, quiet=True)
        assert found is not None, moment
        is_new = key == wanted
        np.testing.assert_array_equal(found.store.values, (new if is_new else old).store.values)
        outcomes.append(is_new)
        if moment % 10 == 1:  # the lock is free, and what is left over is removed
            after = cache.cached([str(path)], options, lambda scratch: new, folder)
            np.testing.assert_array_equal(after.store.values, new.store.values)
            assert is_new or len(list(folder.rglob("values.npy"))) == 1
        if os.waitstatus_to_exitcode(status) == 0:
            break
    assert len(outcomes) > 50
    assert outcomes == sorted(outcomes) and True in outcomes and False in outcomes


def stop_before(moment):
    """End this process before its ``moment``-th access to a file, or in the middle of a write."""
    left = [moment]

    def count(event, _):
        if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"):
            left[0] -= 1
            if left[0] <= 0:
                os._exit(9)

    write_header = np.lib.format.write_array_header_2_0

    def header_alone(file, described):
        write_header(file, described)
        if left[0] == 1:
            file.flush()
            os._exit(9)

    np.lib.format.write_array_header_2_0 = header_alone
    sys.addaudithook(count)


def test_of_two_processes_one_reads_and_the_other_waits(tmp_path, folder):
    path = write(tmp_path / "a.csv")
    log = tmp_path / "log"
    script = textwrap.dedent(f"""
        import time, warnings
        from seqlight.data import SeriesFile
        warnings.simplefilter("ignore")
        read = SeriesFile._read
        def slow(self):
            with open({str(log)!r}, "a") as file:
                file.write("read\\n")
            time.sleep(1)
            return read(self)
        SeriesFile._read = slow
        print(float(SeriesFile({str(path)!r}, **{COLUMNS!r}, cache=True).read().store.values.sum()))
    """)
    processes = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    printed = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert printed[0] == printed[1] != ""
    assert log.read_text() == "read\n"


def test_without_room_the_series_are_read_all_the_same(tmp_path, folder):
    path = write(tmp_path / "a.csv", rows=4000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))  # no file may grow beyond
    try:
        store, said = quietly(lambda: module(path, cache=True).store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(store.values) == 4000
    assert sum("the cache cannot be written (File too large)" in one for one in said) == 1
    assert not list(folder.rglob("*.npy"))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_folder_that_takes_nothing_is_one_line(tmp_path, folder, monkeypatch, number):
    path = write(tmp_path / "a.csv")

    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    store, said = quietly(lambda: module(path, cache=True).store)
    assert len(store.values) == 60
    assert [one for one in said if os.strerror(number) in one and "\n" not in one]


def test_a_file_in_place_of_the_folder(tmp_path, folder):
    folder.write_text("")
    _, said = quietly(lambda: module(write(tmp_path / "a.csv"), cache=True).store)
    assert any("the cache cannot be written" in one for one in said)


@pytest.mark.parametrize(("changes", "reads"), [(1, 2), (9, 2)])
@pytest.mark.parametrize("kept", [False, True])
def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path, folder, monkeypatch, changes, reads, kept):
    path = write(tmp_path / "a.csv")
    done = []
    read = SeriesFile._read

    def changing(self):
        dataset = read(self)
        done.append(1)
        if len(done) <= changes:
            os.utime(path, ns=(len(done), len(done)))
        return dataset

    monkeypatch.setattr(SeriesFile, "_read", changing)
    if changes > 1:
        with pytest.raises(DataError, match=r"a\.csv: changes while it is read"):
            quietly(lambda: module(path, cache=kept).store)
    else:
        quietly(lambda: module(path, cache=kept).store)
    assert len(done) == reads
    assert not (changes > 1 and list(folder.rglob("*.npy")))


def test_the_command_lists_and_clears(tmp_path, folder, capsys):
    assert main(["cache", "list"]) == 0
    assert "0 stores" in capsys.readouterr().out
    path = write(tmp_path / "a.csv")
    store, _ = quietly(lambda: module(path, cache=True).store)
    main(["cache", "list"])
    printed = capsys.readouterr().out
    assert str(path) in printed and "1 store," in printed
    main(["cache", "clear"])
    assert "removed 1 store," in capsys.readouterr().out
    assert not list(folder.rglob("*.npy")) and np.isfinite(store.values).all()  # what is open stays readable
    with pytest.raises(SystemExit):
        main(["cache", "sweep"])


def test_where_the_folder_is(monkeypatch, tmp_path):
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for platform, expected in (("linux", ".cache/seqlight"), ("darwin", "Library/Caches/seqlight")):
        monkeypatch.setattr(cache.sys, "platform", platform)
        assert cache.cache_folder() == tmp_path / expected
    monkeypatch.setattr(cache.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_folder() == tmp_path / "xdg" / "seqlight"
