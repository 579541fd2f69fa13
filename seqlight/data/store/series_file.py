"""Where series are read from, and how."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from seqlight.data.errors import DataError
from seqlight.data.io.column_names import column_names
from seqlight.data.io.columns import as_names, target_columns
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.frames import is_frame
from seqlight.data.io.layouts import SERIES_ID
from seqlight.data.io.read import read_table
from seqlight.data.io.sources import SeveralFiles, as_it_is_now, open_source
from seqlight.data.io.table import Table
from seqlight.data.store.building import build_store
from seqlight.data.store.cache import LEAST_BYTES, cache_folder, cached, fingerprint
from seqlight.data.store.schema import Schema
from seqlight.data.store.series_dataset import SeriesDataset
from seqlight.data.store.source_files import files_of, one_frame
from seqlight.data.store.streamed import LongColumns, can_stream, stream_store
from seqlight.data.time.frequency import check_frequency

_MOST_NAMED = 20


class SeriesFile:
    """A file or frame, and how to read series from it; nothing is read before :meth:`read`.

    Args:
        source: see :func:`seqlight.data.read_table`.
        time_col: column of timestamps, or columns that make them together; None takes the rows of each series
            for its steps.
        target_cols: column or columns to forecast.
        id_col: column of series ids, or columns that name a series together; None for a single series.
        past_covariate_cols: columns, numeric or text, that are known up to now only.
        future_covariate_cols: columns known ahead, also in rows whose targets are empty.
        static_cols: columns that are constant within a series.
        future: a second source with rows in which covariates are known ahead, in long form: the same columns
            of times and ids, and columns of ``future_covariate_cols``; without ids its rows hold for every
            series. Where rows of the first are series, it has the covariates of all times.
        static: a third with one row for each series: the same columns of ids, and columns of ``static_cols``.
        missing: "error" refuses missing cells, "mask" carries them as NaN.
        frequency: the step, such as "1h", or a calendar; None infers it.
        time_format: strftime pattern of text timestamps; None finds it.
        round: round times that jitter around a regular grid to it.
        as_of: targets after this time are taken for unknown.
        dialect: how the file is written; what is None in it is found.
        units: by column, what its numbers are in.
        cache: keep what was read in a folder, from which later runs and other processes map it into memory;
            None does so for files of 100 MB or more. See ``SEQLIGHT_CACHE`` and ``seqlight cache``.
        opened: what :func:`~seqlight.data.io.sources.open_source` gave of ``source``, where it was opened
            before; None opens it.

    Attributes:
        schema: the columns as they were named; what the data tell is still open in it.

    Raises:
        DataError: an argument is wrong (at once), or the data are (when they are read).
    """

    def __init__(
        self,
        source: Any,
        *,
        time_col: str | Sequence[str] | None,
        target_cols: str | Sequence[str],
        id_col: str | Sequence[str] | None = None,
        past_covariate_cols: str | Sequence[str] = (),
        future_covariate_cols: str | Sequence[str] = (),
        static_cols: str | Sequence[str] = (),
        future: Any = None,
        static: Any = None,
        missing: Literal["error", "mask"] = "error",
        frequency: str | None = None,
        time_format: str | None = None,
        round: bool = False,
        as_of: str | None = None,
        dialect: CSVDialect | None = None,
        units: Mapping[str, str] | None = None,
        cache: bool | None = None,
        opened: Any = None,
    ) -> None:
        past, ahead, constant = map(as_names, (past_covariate_cols, future_covariate_cols, static_cols))
        targets = target_columns(
            target_cols, time_col=time_col, id_col=id_col, covariate_cols=[*past, *ahead, *constant]
        )
        if missing not in ("error", "mask"):
            raise DataError(f"missing: expected 'error' or 'mask', got {missing!r}")
        if frequency is not None:
            check_frequency(frequency)
        for argument, cols, table, columns in (
            ("future", "future_covariate_cols", future, ahead),
            ("static", "static_cols", static, constant),
        ):
            if table is not None and not columns:
                raise DataError(f"{argument}: no column of it is named; pass {cols}")
        self.source = source
        self.future, self.static = future, static
        self.time_cols, self.id_cols = as_names(time_col), as_names(id_col)
        self.dialect = dialect or CSVDialect()
        ids = "/".join(self.id_cols) if self.id_cols else None
        if ids is None and self.dialect.layout in ("wide", "rows"):
            ids = SERIES_ID
        if self.dialect.file_id is not None and self.dialect.file_id not in self.id_cols:
            self.id_cols = [self.dialect.file_id, *self.id_cols]
            ids = "/".join(self.id_cols)
        self.schema = Schema(
            targets=tuple(targets),
            past=tuple(past),
            future=tuple(ahead),
            static=tuple(constant),
            time=" ".join(self.time_cols) if self.time_cols else "step",
            id=ids,
            units=dict(units or {}),
        )
        self.missing = missing
        self.frequency = frequency
        self.time_format = time_format
        self.round = round
        self.as_of = as_of
        self.cache = cache
        self._opened = opened

    def read(self) -> SeriesDataset:
        """Read the series, or open them in the cache.

        Raises:
            DataError: the data cannot be read, or are not what they should be, or change while they are read.
        """
        paths = self._paths()
        folder = self.cache_folder()
        if folder is None:
            return self._read_unchanged(paths)
        return cached(paths, self._options(), lambda scratch: self._read_unchanged(paths, scratch), folder)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open file out, which no other process can read."""
        return vars(self) | {"_opened": None}

    def cache_folder(self) -> Path | None:
        """Return the folder of the cache; None for frames, small files, and where no cache is wanted."""
        if self.cache is False or any(files_of(source) is None for source in self._sources()):
            return None
        if self.cache is None and sum(os.path.getsize(path) for path in self._paths()) < LEAST_BYTES:
            return None
        return cache_folder()

    def _sources(self) -> list[Any]:
        return [source for source in (self.source, self.future, self.static) if source is not None]

    def _paths(self) -> list[str]:
        """All files that are read, in the order of reading; frames have none."""
        return [path for source in self._sources() for path in files_of(source) or ()]

    def _open(self) -> Any:
        """The source, opened; what was opened before is used once, if it is what is there now."""
        opened, self._opened = self._opened, None
        if opened is None or isinstance(opened, SeveralFiles):  # one of which may be another by now
            opened = self.source
        return open_source(as_it_is_now(opened), self.dialect)

    def _options(self) -> dict[str, Any]:
        """All that decides what is read from the files, as JSON can hold it."""
        others = ("source", "future", "static", "cache", "_opened")
        options = {name: value for name, value in vars(self).items() if name not in others}
        which = {"has_future": self.future is not None, "has_static": self.static is not None}
        return options | which | {"schema": asdict(self.schema), "dialect": vars(self.dialect)}

    def _read_unchanged(self, paths: Sequence[str], scratch: Path | None = None) -> SeriesDataset:
        """Read; once more if a file was changed meanwhile."""
        for _ in range(2):
            before = fingerprint(paths)
            dataset = None if scratch is None else self._streamed(scratch)
            if dataset is None:
                dataset = self._read()
            if fingerprint(paths) == before:
                return dataset
        raise DataError(f"{', '.join(paths)}: changes while it is read; wait until it is written to its end")

    def _streamed(self, scratch: Path) -> SeriesDataset | None:
        """Read files larger than memory part by part; None for any that is better read as a whole."""
        plain = self.dialect.layout in (None, "long") and not self.dialect.missing_values
        more = (self.future, self.static, self.as_of, self.round)
        if not plain or len(self.time_cols) != 1 or any(one is not None and one is not False for one in more):
            return None
        opened = self._open()
        frame = one_frame(opened, self.dialect.file_id)
        schema = self.schema
        columns = LongColumns(
            self.time_cols[0], self.id_cols, schema.targets, schema.past, schema.future, schema.static
        )
        if frame is None or not can_stream(frame, columns):
            return None
        store = stream_store(
            frame, columns, scratch, source=opened.name, missing=self.missing, frequency=self.frequency
        )
        return None if store is None else SeriesDataset(store, schema, opened.name)

    def _read(self) -> SeriesDataset:
        schema = self.schema
        source = self._open()  # once, for its names and its rows
        times = self.time_cols or (["time"] if self.dialect.layout == "rows" else [])
        future = self._other("future", self.future, schema.future, times)
        static = self._other("static", self.static, schema.static, [])
        tables = [table for table in (future, static) if table is not None]
        elsewhere = [name for table in tables for name in table.covariates.columns]
        covariates: Sequence[str] = schema.covariates
        if elsewhere:
            there = column_names(source, self.dialect)
            covariates = [name for name in covariates if name in there or name not in elsewhere]
        table = read_table(
            source,
            time_cols=self.time_cols,
            target_cols=schema.targets,
            id_cols=self.id_cols,
            covariate_cols=covariates,
            dialect=self.dialect,
        )
        store = build_store(
            table,
            time_col=self.time_cols or ([] if table.time is None else [table.time.name]),
            target_cols=schema.targets,
            id_col=self.id_cols,
            missing=self.missing,
            frequency=self.frequency,
            time_format=self.time_format,
            as_of=self.as_of,
            round=self.round,
            past_covariate_cols=schema.past,
            future_covariate_cols=schema.future,
            static_cols=schema.static,
            future=future,
            static=static,
        )
        if not self.time_cols and store.grid is not None:  # the names of the columns are times
            schema = replace(schema, time="time")
        return SeriesDataset(store, schema, table.source)

    def _other(
        self, argument: str, source: Any, columns: Sequence[str], time_cols: Sequence[str]
    ) -> Table | None:
        """Read those of ``columns`` that another source has; None where there is no such source."""
        if source is None:
            return None
        dialect = replace(self.dialect, layout="long", file_id=None, sheet=None)
        if not is_frame(source):
            called, source = source, open_source(source, dialect)
        else:
            called = f"the {argument} frame"
        there = column_names(source, dialect)
        found = [name for name in columns if name in there]
        if not found:
            raise DataError(
                f"{argument}: {called} has none of the columns "
                f"{', '.join(map(repr, columns))}; it has {', '.join(map(repr, there[:_MOST_NAMED]))}"
            )
        if self.dialect.layout == "rows" and any(name not in there for name in time_cols):
            raise DataError(
                f"{argument}: {called} has no column {time_cols[0]!r}; with layout='rows' time_col is what "
                "to call the times, so pass their name there; it has "
                f"{', '.join(map(repr, there[:_MOST_NAMED]))}"
            )
        ids = self.id_cols or [SERIES_ID] * (self.dialect.layout in ("wide", "rows"))
        if argument == "future" and not any(name in there for name in ids):
            ids = []  # what holds for every series
        table = read_table(
            source,
            time_cols=time_cols,
            target_cols=(),
            id_cols=ids,
            covariate_cols=found,
            dialect=dialect,
        )
        if is_frame(source):
            table.source = f"{argument} frame"
        return table
