"""Series of a Parquet or Arrow file that is larger than memory: read once, part by part, into files."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.io.cells import COARSEST
from seqlight.data.io.sentinels import find_sentinels
from seqlight.data.io.table import Table
from seqlight.data.store.building import check_known
from seqlight.data.store.grid_positions import GridRows, check_one_step, grid_positions, step_of
from seqlight.data.store.row_names import RowNames
from seqlight.data.store.series_store import SeriesStore
from seqlight.data.store.time_grid import TimeGrid

Int64Array = NDArray[np.int64]

LEAST_ROWS = 5_000_000
"""Files of fewer rows are read as a whole."""

_ROWS_AT_A_TIME = 1 << 20
_SAMPLE = 1 << 20  # of cells, for notes on those far outside the rest


@dataclass(frozen=True)
class LongColumns:
    """Columns of a file in long form.

    Attributes:
        time: one column of dates or times.
        ids: columns that name a series together; none for a single series.
        targets: numeric columns.
    """

    time: str
    ids: Sequence[str]
    targets: Sequence[str]


def can_stream(frame: pl.LazyFrame, columns: LongColumns) -> bool:
    """Return whether the columns are of types that can be taken as they are: times, ids, numbers."""
    schema = frame.collect_schema()
    if any(name not in schema for name in (columns.time, *columns.ids, *columns.targets)):
        return False
    time = schema[columns.time]
    plain = time == pl.Date or (isinstance(time, pl.Datetime) and time.time_zone is None)
    numbers = all(schema[name].is_float() or schema[name].is_integer() for name in columns.targets)
    ids = all(
        schema[name] in (pl.String, pl.Categorical) or schema[name].is_integer() for name in columns.ids
    )
    return plain and numbers and ids and frame.select(pl.len()).collect().item() >= LEAST_ROWS


def stream_store(
    frame: pl.LazyFrame,
    columns: LongColumns,
    scratch: Path,
    *,
    source: str,
    missing: str,
    frequency: str | None,
) -> SeriesStore | None:
    """Read a file part by part into arrays that are files of ``scratch``.

    Args:
        frame: the file, see :func:`can_stream`.
        columns: its columns.
        scratch: an empty folder with room for 12 bytes a row and 4 for each target, twice where the rows of
            the series are mixed.
        source: what messages call the file.
        missing: see :func:`seqlight.data.store.building.build_store`.
        frequency: likewise.

    Returns:
        The store, or None where something is wrong with the data: reading the whole says what, by its row.

    Raises:
        OSError: there is no room.
    """
    dates = frame.collect_schema()[columns.time] == pl.Date
    written = _write(frame, columns, scratch)
    if written is None:
        return None
    try:
        return _laid_out(written.sorted(scratch), columns, source, missing, frequency, dates)
    except DataError:
        return None


@dataclass
class _Written:
    """Rows in the order of the file: their times, values and the numbers of their series."""

    times: Int64Array
    values: NDArray[np.float32]
    codes: NDArray[np.int32]
    ids: list[str]
    indptr: Int64Array = field(default_factory=lambda: np.zeros(1, np.int64))

    def sorted(self, scratch: Path) -> "_Written":
        """The rows by series and time; the files themselves where they are so already."""
        counts = np.zeros(len(self.ids), np.int64)
        in_runs = increasing = True
        for rows in _parts(len(self.codes)):
            codes = self.codes[rows.start : rows.stop + 1]
            times = self.times[rows.start : rows.stop + 1]
            counts += np.bincount(self.codes[rows], minlength=len(self.ids))
            in_runs = in_runs and bool((codes[1:] >= codes[:-1]).all())  # numbered as they appear
            increasing = increasing and not ((times[1:] <= times[:-1]) & (codes[1:] == codes[:-1])).any()
        self.indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        if in_runs and increasing:
            return self
        moved = self if in_runs else self._partitioned(scratch)
        for begin, end in zip(self.indptr[:-1].tolist(), self.indptr[1:].tolist(), strict=True):
            own = moved.times[begin:end]
            if (own[1:] <= own[:-1]).any():
                order = np.argsort(own, kind="stable")
                moved.times[begin:end], moved.values[begin:end] = own[order], moved.values[begin:end][order]
        return moved

    def _partitioned(self, scratch: Path) -> "_Written":
        """The rows of each series together, in the order of the file."""
        times = _mapped(scratch / "times_of_series.npy", self.times.shape, np.int64)
        values = _mapped(scratch / "values_of_series.npy", self.values.shape, np.float32)
        free = self.indptr[:-1].copy()
        for rows in _parts(len(self.codes)):
            codes = np.asarray(self.codes[rows])
            order = np.argsort(codes, kind="stable")
            sorted_codes = codes[order]
            begins = np.flatnonzero(np.append(True, sorted_codes[1:] != sorted_codes[:-1]))
            lengths = np.diff(np.append(begins, len(codes)))
            within = np.arange(len(codes)) - np.repeat(begins, lengths)
            place = free[sorted_codes] + within
            times[place], values[place] = self.times[rows][order], self.values[rows][order]
            free[sorted_codes[begins]] += lengths
        return _Written(times, values, self.codes, self.ids, self.indptr)


def _write(frame: pl.LazyFrame, columns: LongColumns, scratch: Path) -> _Written | None:
    """The one pass over the file; None where a cell is not what it should be."""
    rows = frame.select(pl.len()).collect().item()
    ids = [pl.col(name).cast(pl.String) for name in columns.ids]
    single = pl.lit("series") if not ids else ids[0] if len(ids) == 1 else None
    if single is None:  # joined as elsewhere
        escaped = [one.str.replace_all(r"([\\/])", r"\${1}") for one in ids]
        single = pl.concat_str(escaped, separator="/")
    taken = frame.select(
        pl.col(columns.time).cast(pl.Datetime("us")).to_physical().alias("\0time"),
        single.alias("\0id"),
        *(pl.col(name).alias(f"\0{i}") for i, name in enumerate(columns.targets)),
    )
    numbers: dict[str, int] = {}
    paths = {name: scratch / f"{name}.npy" for name in ("times", "values", "codes")}
    shapes: dict[str, tuple[tuple[int, ...], Any]] = {
        "times": ((rows,), np.int64),
        "values": ((rows, len(columns.targets)), np.float32),
        "codes": ((rows,), np.int32),
    }
    spreads = [_Spread() for _ in columns.targets]
    files = {name: path.open("wb") for name, path in paths.items()}
    try:
        for name, (shape, dtype) in shapes.items():
            described = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_2_0(files[name], described)
        for batch in taken.collect_batches(chunk_size=_ROWS_AT_A_TIME, maintain_order=True):
            times, names = batch["\0time"], batch["\0id"]
            values = np.empty((len(batch), len(columns.targets)), np.float32)
            for channel, spread in enumerate(spreads):
                column = batch[f"\0{channel}"]
                values[:, channel] = column.cast(pl.Float32).fill_null(np.nan).to_numpy()
                if column.dtype != pl.Float32:
                    spread.add(column)
            if times.null_count() or names.null_count() or np.isinf(values).any():
                return None
            distinct = names.unique(maintain_order=True)
            theirs = [numbers.setdefault(name, len(numbers)) for name in distinct.to_list()]
            codes = names.replace_strict(distinct, theirs, return_dtype=pl.Int32).to_numpy()
            for part, array in (("times", times.to_numpy()), ("values", values), ("codes", codes)):
                files[part].write(np.ascontiguousarray(array).data.cast("B"))
    finally:
        for file in files.values():
            file.close()
    if any(spread.is_lost() for spread in spreads):
        return None
    times, values, codes = (np.load(paths[name], mmap_mode="r+") for name in ("times", "values", "codes"))
    return _Written(times, values, codes, list(numbers))


@dataclass
class _Spread:
    """How much a column varies, added up in float64."""

    count: int = 0
    first: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    largest: float = 0.0

    def add(self, column: pl.Series) -> None:
        cells = column.drop_nulls().cast(pl.Float64).to_numpy()
        cells = cells[np.isfinite(cells)]
        if not len(cells):
            return
        if not self.count:
            self.first = float(cells[0])
        shifted = cells - self.first
        self.count += len(cells)
        self.total += float(shifted.sum())
        self.squares += float(np.square(shifted).sum())
        self.largest = max(self.largest, float(np.abs(cells).max()))

    def is_lost(self) -> bool:
        """Whether float32 can hardly tell the numbers apart, which reading the whole says."""
        if not self.count:
            return False
        variance = max(self.squares / self.count - (self.total / self.count) ** 2, 0.0)
        return float(np.spacing(np.float32(self.largest))) > COARSEST * float(np.sqrt(variance)) > 0


def _note_sentinels(values: NDArray[np.float32], names: Sequence[str], source: str) -> None:
    """Say which numbers may stand for a missing value: by all of the extremes, and a sample of the others."""
    count = len(values)
    every = count <= _SAMPLE
    sample = np.arange(count) if every else np.random.default_rng(0).integers(0, count, _SAMPLE)
    for channel, name in enumerate(names):
        low = min(float(np.nanmin(values[rows, channel], initial=np.inf)) for rows in _parts(len(values)))
        high = max(float(np.nanmax(values[rows, channel], initial=-np.inf)) for rows in _parts(len(values)))
        within = values[np.sort(sample), channel]
        within = within[(within > low) & (within < high)]
        extremes = [
            part[(part == np.float32(low)) | (part == np.float32(high))]
            for part in (values[rows, channel] for rows in _parts(len(values)))
        ]
        for sentinel in find_sentinels(np.concatenate([within, *extremes])):
            warnings.warn(
                f"{source}: column {name!r}: {sentinel}; if it stands for a missing value, pass "
                f"missing_values=['{sentinel.text}']",
                stacklevel=2,
            )


def _laid_out(
    rows: _Written, columns: LongColumns, source: str, missing: str, frequency: str | None, dates: bool
) -> SeriesStore:
    id_col = "/".join(columns.ids) if columns.ids else None
    table = Table(source, None, None, rows.values, is_file=False)
    names = RowNames(table, [columns.time], list(columns.targets), list(columns.ids))
    first_rows = rows.indptr[:-1]
    repeated = any(
        ((part[1:] == part[:-1]) & ~np.isin(np.arange(at.start + 1, at.start + len(part)), first_rows)).any()
        for at in _parts(len(rows.times))
        for part in (np.asarray(rows.times[at.start : at.stop + 1]),)
    )
    if repeated:
        raise DataError(f"{source}: a time repeats within its series")
    step = step_of(names, frequency, rows.times, first_rows, None)
    if frequency is None and len(rows.ids) > 1:
        check_one_step(names, step, rows.times, first_rows, rows.ids)
    origin = np.array(rows.times[first_rows])
    anchor = step.anchors(rows.times, first_rows)
    on_grid = GridRows(step, rows.times, rows.indptr, rows.ids, origin, anchor, frequency is None)
    lengths, positions = grid_positions(names, on_grid)
    indptr, values = rows.indptr, rows.values
    if positions is not None:
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        values = np.full((int(indptr[-1]), values.shape[1]), np.nan, np.float32)
        values[np.repeat(indptr[:-1], np.diff(rows.indptr)) + positions] = rows.values
    store = SeriesStore(values, indptr, rows.ids, TimeGrid(step, origin, anchor, dates=dates))
    check_known(store, missing, columns.targets, source, id_col)
    _note_sentinels(rows.values, columns.targets, source)
    return store


def _parts(rows: int) -> Iterator[slice]:
    for begin in range(0, rows, _ROWS_AT_A_TIME):
        yield slice(begin, min(begin + _ROWS_AT_A_TIME, rows))


def _mapped(path: Path, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """A new file as an array."""
    made: NDArray[Any] = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    return made
