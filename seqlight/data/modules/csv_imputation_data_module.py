"""Series with missing cells from a CSV file or a frame, at whatever times their rows are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.io.columns import as_names, target_columns
from seqlight.data.io.csv_text import CSVText, read_csv_text
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.frames import is_frame
from seqlight.data.io.sources import open_source
from seqlight.data.io.text_file import TextFile
from seqlight.data.modules.imputation_data_module import MARK_SUFFIX, ImputationDataModule, filled_table
from seqlight.data.store.series_store import SeriesStore
from seqlight.data.store.timed_rows import TimedRows, read_timed_rows
from seqlight.data.time.calendar_features import FEATURE_WIDTH, calendar_features, check_features
from seqlight.data.time.frequency import check_frequency


class CSVImputationDataModule(ImputationDataModule):
    """Windows over all rows of a file (CSV, Parquet, Excel) or of a polars or pandas frame, gaps included.

    Rows are in long form: a time, optionally a series id, and one column per target. The times need not lie
    on a grid: what the batches tell of them is the time since the row before, in the series' typical
    (median) step, so a row that is absent is a longer gap, not a missing cell, unless ``insert_rows`` adds
    the rows that are absent from a regular grid.

    Args:
        path: the file, or a polars or pandas frame.
        time_col: column of timestamps, or columns that make them together.
        target_cols: numeric column or columns with cells to fill; columns without help to fill the others.
        id_col: column of series ids, or columns that name a series together; None for a single series.
        window_length: rows of a window.
        stride: distance between the training windows of a series; None takes an eighth of a window.
        val_size: share of the known cells that is hidden for validation.
        test_size: share that is hidden for the test.
        batch_size: windows in a batch.
        calendar_features: known covariates, see :class:`~seqlight.data.CSVDataModule`.
        insert_rows: add rows between the first and the last time of each series where its regular grid has
            none, to be filled; the times must then lie on a grid.
        frequency: step of that grid, such as "1h"; None infers it.
        separator: character between the fields; this and what follows is found where it is None.
        decimal_comma: numbers are written 1,5 (True) or 1.5 (False).
        encoding: text encoding, such as "latin-1".
        thousands: what groups thousands: ",", ".", " " or "'".
        missing_values: cells to fill beside the empty ones and the usual spellings, such as ["-9999", "n/e"].
        skip_rows: lines above the header.
        skip_footer: lines below the last row, such as totals or a source.
        sheet: of a spreadsheet, its name or its number from 1.
        time_format: as in :class:`~seqlight.data.CSVDataModule`; None finds it.
        seed: of the cells that are hidden and of the order of training windows.
        num_workers: worker processes of the loaders; 0 is fastest.
        persistent_workers: keep workers between epochs.
        pin_memory: load into pinned memory where there is an accelerator.

    Raises:
        DataError: an argument is wrong (at once), or the data is (when it is read).
    """

    def __init__(
        self,
        path: str | Path | pl.DataFrame,
        *,
        time_col: str | list[str],
        target_cols: str | list[str],
        id_col: str | list[str] | None = None,
        window_length: int = 168,
        stride: int | None = None,
        val_size: float = 0.1,
        test_size: float = 0.1,
        batch_size: int = 16,
        calendar_features: Sequence[str] = (),
        insert_rows: bool = False,
        frequency: str | None = None,
        separator: str | None = None,
        decimal_comma: bool | None = None,
        encoding: str | None = None,
        thousands: str | None = None,
        missing_values: Sequence[str] = (),
        skip_rows: int | None = None,
        skip_footer: int | None = None,
        sheet: str | int | None = None,
        time_format: str | None = None,
        seed: int = 0,
        num_workers: int = 0,
        persistent_workers: bool = False,
        pin_memory: bool = False,
    ) -> None:
        target_cols = target_columns(target_cols, time_col=time_col, id_col=id_col)
        calendar_features = list(calendar_features)
        path = path if is_frame(path) else str(path)
        check_features(calendar_features)
        if frequency is not None:
            check_frequency(frequency)
        super().__init__(
            window_length=window_length,
            stride=stride,
            val_size=val_size,
            test_size=test_size,
            target_cols=target_cols,
            time_col=" ".join(as_names(time_col)),
            covariate_size=FEATURE_WIDTH * len(calendar_features),
            batch_size=batch_size,
            seed=seed,
            num_workers=num_workers,
            persistent_workers=persistent_workers,
            pin_memory=pin_memory,
        )
        # A frame is data, not a setting: it would not load from a checkpoint with weights_only=True.
        self.save_hyperparameters(ignore=["path"] if is_frame(path) else [], logger=False)
        self.path = path
        self.time_cols = as_names(time_col)
        self.id_cols = as_names(id_col)
        self.id_col = "/".join(self.id_cols) if self.id_cols else None
        self.calendar_features = calendar_features
        self.insert_rows = insert_rows
        self.frequency = frequency
        self.dialect = CSVDialect(
            separator=separator,
            decimal_comma=decimal_comma,
            encoding=encoding,
            thousands=thousands,
            missing_values=missing_values,
            skip_rows=skip_rows,
            skip_footer=skip_footer,
            sheet=None if sheet is None else str(sheet),
        )
        self.time_format = time_format
        self._source: Any = None
        self._file: TextFile | None = None
        self._rows: TimedRows | None = None
        self._time_gap: NDArray[np.float32] | None = None
        self._covariates: NDArray[np.float32] | None = None

    def use_source(self, source: Any) -> None:
        """Take a file that :func:`~seqlight.data.io.sources.open_source` has opened, instead of the path."""
        self._source, self._rows = source, None

    @property
    def rows(self) -> TimedRows:
        """The rows sorted by series and time; read when first asked for."""
        if self._rows is None:
            # Its text is written again, cell by cell: one and the same, whatever becomes of the file.
            source = (
                open_source(self.path, self.dialect, in_memory=True) if self._source is None else self._source
            )
            self._file = source if isinstance(source, TextFile) else None
            self._rows = read_timed_rows(
                source,
                time_col=self.time_cols,
                target_cols=self.target_cols,
                id_col=self.id_cols,
                dialect=self.dialect,
                time_format=self.time_format,
                insert_rows=self.insert_rows,
                frequency=self.frequency,
            )
        return self._rows

    @property
    def store(self) -> SeriesStore:
        """The series; read when first asked for."""
        return self.rows.store

    @property
    def time_gap(self) -> NDArray[np.float32]:
        """[rows] time since the row before, in the series' median step; 1 at a series' first row."""
        if self._time_gap is None:
            rows = self.rows
            self._time_gap = np.ones(len(rows.times), np.float32)
            for begin, end in zip(rows.store.indptr[:-1], rows.store.indptr[1:], strict=True):
                steps = np.diff(rows.times[begin:end])
                if len(steps):
                    self._time_gap[begin + 1 : end] = steps / np.median(steps)
        return self._time_gap

    @property
    def covariates(self) -> NDArray[np.float32] | None:
        """[rows, K] calendar features, or None."""
        if self._covariates is None and self.calendar_features:
            self._covariates = calendar_features(self.rows.times, self.calendar_features)
        return self._covariates

    def times(self, series_index: int) -> NDArray[np.datetime64]:
        """[n] ``datetime64[us]`` of a series' rows."""
        begin, end = self.store.indptr[series_index : series_index + 2]
        return self.rows.times[begin:end].astype("datetime64[us]")

    def filled_csv(
        self, values: NDArray[np.float32], filled: NDArray[np.bool_], *, suffix: str = MARK_SUFFIX
    ) -> bytes:
        """The file itself, every byte as it was but the filled cells and one more column per target.

        Of a frame: its time, id and target columns as CSV, sorted by series and time.
        """
        rows = self.rows
        if self._file is None or rows.dialect is None:
            times = pl.Series(self.time_col, rows.times).cast(pl.Datetime("us"))
            series = np.repeat(rows.store.ids, rows.store.lengths)
            columns = {self.time_col: times} | ({} if self.id_col is None else {self.id_col: series})
            return filled_table(rows.store, pl.DataFrame(columns), self.target_cols, values, filled, suffix)
        text = read_csv_text(self._file, rows.dialect)
        line = rows.order.copy()  # the row of the text that each row of the store is
        if (line < 0).any():
            text, line = self._with_added_rows(text)
        position = np.argsort(line)
        return text.filled(
            {name: values[position, channel] for channel, name in enumerate(self.target_cols)},
            {name: filled[position, channel] for channel, name in enumerate(self.target_cols)},
            suffix,
        )

    def _with_added_rows(self, text: CSVText) -> tuple[CSVText, NDArray[np.int64]]:
        """The text with rows for the added times, and the row of it that each row of the store is."""
        rows = self.rows
        added = np.flatnonzero(rows.order < 0)
        # A series begins with a row of the file, so there always is one above.
        above = np.maximum.accumulate(np.where(rows.order >= 0, np.arange(len(rows.order)), -1))
        after = rows.order[above[added]]
        times: dict[int, str] = {}
        for series, begin in enumerate(rows.store.indptr[:-1]):
            own = added[(added >= begin) & (added < rows.store.indptr[series + 1])]
            if len(own):
                assert rows.store.grid is not None  # rows are added on a grid only
                length = int(own[-1] - begin) + 1
                written = rows.store.grid.format(rows.store.timestamps(series, 0, length))
                times |= {int(row): written[int(row - begin)] for row in own}
        names = text.resolved(self.time_cols)
        cells = {names[0]: [times[int(row)] for row in added]}
        if rows.combined is not None:
            parts = rows.combined.split(pl.Series("time", cells[names[0]], pl.String))
            cells = dict(zip(names, (part.to_list() for part in parts.values()), strict=True))
        text, old, new = text.with_rows(after, cells, text.resolved(self.id_cols))
        line = np.where(rows.order >= 0, old[rows.order], -1)
        line[added] = new
        return text, line
