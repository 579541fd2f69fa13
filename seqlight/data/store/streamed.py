"""Series of files that are larger than memory: read once, part by part, into arrays that are files."""

import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.io.table import Table
from seqlight.data.store.building import check_known
from seqlight.data.store.covariates import Codes, Covariates, Numbers
from seqlight.data.store.row_names import RowNames
from seqlight.data.store.row_times import row_times
from seqlight.data.store.schema import PARTS
from seqlight.data.store.series_store import SeriesStore
from seqlight.data.store.streamed_columns import ConstantColumn, NumberColumn, Numbering, stacked
from seqlight.data.store.streamed_grid import lay_out
from seqlight.data.store.streamed_rows import ROWS_AT_A_TIME, StreamedRows
from seqlight.data.store.time_grid import TimeGrid

LEAST_ROWS = 5_000_000
"""Files of fewer rows are read as a whole."""

_TIME = "\0time"
_MOST_NOTES = 5
_HEAD_ROWS = 1000


@dataclass(frozen=True)
class LongColumns:
    """Columns of a file in long form.

    Attributes:
        time: one column of dates or times.
        ids: columns that name a series together; none for a single series.
        targets: numeric columns.
        past, future, static: covariates, numeric or text, by their part.
    """

    time: str
    ids: Sequence[str]
    targets: Sequence[str]
    past: Sequence[str] = ()
    future: Sequence[str] = ()
    static: Sequence[str] = ()

    @property
    def covariates(self) -> list[str]:
        """All covariates."""
        return [*self.past, *self.future, *self.static]


def can_stream(frame: pl.LazyFrame, columns: LongColumns) -> bool:
    """Return whether the columns are of types that can be taken as they are: times, ids, numbers, texts."""
    schema = frame.collect_schema()
    named = [columns.time, *columns.ids, *columns.targets, *columns.covariates]
    if any(name not in schema for name in named):
        return False
    times = schema[columns.time] == pl.Date or isinstance(schema[columns.time], pl.Datetime)
    numbers = all(_is_number(schema[name]) for name in columns.targets)
    ids = all(_is_text(schema[name]) or schema[name].is_integer() for name in columns.ids)
    others = all(_is_number(schema[name]) or _is_text(schema[name]) for name in columns.covariates)
    return times and numbers and ids and others and frame.select(pl.len()).collect().item() >= LEAST_ROWS


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

    A file whose rows are sorted by series and time, without gaps, is in its place when it is written. Any
    other is laid out from there in a second pass over what was written.

    Args:
        frame: the file, see :func:`can_stream`.
        columns: its columns.
        scratch: an empty folder with room for 4 bytes a cell of numbers and texts, twice for a file that is
            not sorted or has gaps, and 12 more a row where the rows of the series are mixed.
        source: what messages call the file.
        missing: see :func:`seqlight.data.store.building.build_store`.
        frequency: likewise.

    Returns:
        The store, or None where something is wrong with the data, or their step is one of calendar months:
        reading the whole says what, by its row.

    Raises:
        DataError: cells are missing that must not be.
        OSError: there is no room.
    """
    written = _Written.read(frame, columns, scratch)
    if written is None:
        return None
    table = Table(source, None, None, np.empty((0, len(columns.targets)), np.float32), is_file=False)
    names = RowNames(table, [columns.time], list(columns.targets), list(columns.ids))
    ids = written.ids.names if columns.ids else ["series"]
    try:
        layout = lay_out(written.rows, names, ids, frequency, written.zone)
    except DataError:
        return None  # it names the row once the whole is read
    if layout is None:
        return None
    arrays = {name: layout.placed(array, name, scratch) for name, array in written.arrays.items()}
    covariates = written.covariates(columns, arrays, len(ids)) if columns.covariates else None
    if columns.covariates and covariates is None:
        return None
    dates = frame.collect_schema()[columns.time] == pl.Date
    grid = TimeGrid(layout.step, layout.origin, layout.anchor, time_zone=written.zone, dates=dates)
    store = SeriesStore(arrays["values"], layout.indptr, ids, grid, covariates)
    if layout.has_gaps or any(written.numbers[name].missing for name in columns.targets):
        check_known(store, missing, columns.targets, source, names.id_col)
    _say_notes(written, columns, source)
    return store


@dataclass
class _Written:
    """What one pass over a file leaves: its rows, and files of their cells in the file's order."""

    rows: StreamedRows
    ids: Numbering
    zone: str | None
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    numbers: dict[str, NumberColumn] = field(default_factory=dict)
    texts: dict[str, Numbering] = field(default_factory=dict)
    constants: dict[str, ConstantColumn] = field(default_factory=dict)

    @classmethod
    def read(cls, frame: pl.LazyFrame, columns: LongColumns, scratch: Path) -> "_Written | None":
        """Read the file; None where a cell is not what it should be."""
        schema = frame.collect_schema()
        time, zone = _times(frame, columns)
        every = [*columns.targets, *columns.covariates]
        count = frame.select(pl.len()).collect().item()
        written = cls(StreamedRows(scratch), Numbering(), zone)
        written.numbers = {name: NumberColumn(count) for name in every if _is_number(schema[name])}
        written.texts = {name: Numbering() for name in every if name not in written.numbers}
        written.constants = {
            name: ConstantColumn(np.nan if name in written.numbers else -1) for name in columns.static
        }
        groups = written._groups(columns)
        taken = frame.select(time.alias(_TIME), *dict.fromkeys([*columns.ids, *every]))
        with ExitStack() as stack:
            files: dict[str, BinaryIO] = {}
            for name, group in groups.items():
                files[name] = stack.enter_context((scratch / f"{name}.npy").open("wb"))
                described = {
                    "descr": np.dtype(_dtype(name)).str,
                    "fortran_order": False,
                    "shape": (count, len(group)),
                }
                np.lib.format.write_array_header_2_0(files[name], described)
            for batch in taken.collect_batches(chunk_size=ROWS_AT_A_TIME, maintain_order=True):
                if len(batch) and not written._add(batch, columns, groups, files):
                    return None
        if written.rows.count != count or any(one.is_lost() for one in written.numbers.values()):
            return None
        if not all(texts.are_plain() for texts in written.texts.values()):
            return None  # reading the whole decides whether they are numbers
        written.arrays = {name: np.load(scratch / f"{name}.npy", mmap_mode="r+") for name in groups}
        return written

    def _groups(self, columns: LongColumns) -> dict[str, list[str]]:
        """The columns of each array."""
        groups = {"values": list(columns.targets)}
        for part in ("past", "future"):
            named = getattr(columns, part)
            groups[part] = [name for name in named if name in self.numbers]
            groups[f"{part}_codes"] = [name for name in named if name in self.texts]
        return {name: group for name, group in groups.items() if group}

    def _add(
        self,
        batch: pl.DataFrame,
        columns: LongColumns,
        groups: dict[str, list[str]],
        files: dict[str, BinaryIO],
    ) -> bool:
        times = batch[_TIME]
        if times.null_count() or any(batch[name].null_count() for name in columns.ids):
            return False
        changes = np.zeros(max(len(batch) - 1, 0), np.bool_)
        for name in columns.ids:
            changes |= (batch[name][1:] != batch[name][:-1]).to_numpy()
        microseconds = times.to_numpy()
        begins = self.rows.begins(microseconds, changes)
        if columns.ids:
            named = batch.select(columns.ids)
            series = self.ids(_joined(named if len(begins) == len(named) else named[begins]))
        else:
            series = np.zeros(len(begins), np.int32)
        every = self.rows.add(microseconds, begins, series)
        cells: dict[str, NDArray[Any]] = {}
        for name, number in self.numbers.items():
            found = number(batch[name])
            if found is None:
                return False
            cells[name] = found
        for name, numbering in self.texts.items():
            cells[name] = numbering(batch[name].cast(pl.String))
        for name, group in groups.items():
            table = stacked([cells[column] for column in group], _dtype(name))
            files[name].write(table.data.cast("B"))
        return all(constant(cells[name], every) for name, constant in self.constants.items())

    def covariates(
        self, columns: LongColumns, arrays: dict[str, NDArray[Any]], series: int
    ) -> Covariates | None:
        """The covariates of the store; None where a static number is missing."""
        parts: dict[str, Any] = {}
        for part in PARTS:
            named = getattr(columns, part)
            numbers = [name for name in named if name in self.numbers]
            texts = [name for name in named if name in self.texts]
            if part == "static":
                values, codes = (
                    stacked([self.constants[name].of_series(series) for name in some], _dtype(kind))
                    if some
                    else np.empty((series, 0), _dtype(kind))
                    for some, kind in ((numbers, "static"), (texts, "static_codes"))
                )
                if np.isnan(values).any():
                    return None
            else:
                rows = len(arrays["values"])
                values = arrays.get(part, np.empty((rows, 0), np.float32))
                codes = arrays.get(f"{part}_codes", np.empty((rows, 0), np.int32))
            labels: list[list[str]] = []
            for column, name in enumerate(texts):
                sorted_texts, places = self.texts[name].sorted()
                labels.append(sorted_texts)
                for begin in range(0, len(codes), ROWS_AT_A_TIME):
                    some_rows = slice(begin, begin + ROWS_AT_A_TIME)
                    codes[some_rows, column] = places[codes[some_rows, column]]
            parts[part] = Numbers(numbers, values)
            parts[f"{part}_categories"] = Codes(texts, codes, labels)
        return Covariates(**parts)


def _times(frame: pl.LazyFrame, columns: LongColumns) -> tuple[pl.Expr, str | None]:
    """The times as microseconds, and their zone, which the first rows tell."""
    head = frame.select(columns.time).head(_HEAD_ROWS).collect().to_series()
    table = Table("", head, None, np.empty((len(head), 0), np.float32), is_file=False)
    zone = None
    if not head.null_count():
        _, _, zone = row_times(RowNames(table, [columns.time], [], []), None)
    time = pl.col(columns.time)
    if isinstance(head.dtype, pl.Datetime) and head.dtype.time_zone is not None and zone is None:
        time = time.dt.replace_time_zone(None)  # days of local time
    return time.cast(pl.Datetime("us", zone)).to_physical(), zone


def _joined(ids: pl.DataFrame) -> pl.Series:
    """The names of series, joined as elsewhere."""
    texts = ids.select(pl.all().cast(pl.String))
    if texts.width == 1:
        return texts.to_series()
    escaped = pl.all().str.replace_all(r"([\\/])", r"\${1}")
    return texts.select(pl.concat_str(escaped, separator="/").alias("\0id")).to_series()


def _dtype(array: str) -> type:
    return np.int32 if array.endswith("_codes") else np.float32


def _is_number(dtype: pl.DataType) -> bool:
    return dtype.is_float() or dtype.is_integer() or dtype == pl.Boolean


def _is_text(dtype: pl.DataType) -> bool:
    return dtype in (pl.String, pl.Categorical) or isinstance(dtype, pl.Enum)


def _say_notes(written: _Written, columns: LongColumns, source: str) -> None:
    notes = [
        f"{source}: column {name!r}: {note}"
        for name in [*columns.targets, *columns.covariates]
        if name in written.numbers
        for note in written.numbers[name].notes()
    ]
    for note in notes[:_MOST_NOTES]:
        warnings.warn(note, stacklevel=2)
    if len(notes) > _MOST_NOTES:
        more = len(notes) - _MOST_NOTES
        warnings.warn(f"{source}: {more} more notes on columns like these", stacklevel=2)
