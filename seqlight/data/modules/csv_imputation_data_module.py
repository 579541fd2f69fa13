"""Series with missing cells from a CSV file or a frame, at whatever times their rows are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.io.columns import as_names, target_columns
from seqlight.data.io.csv_text import CSVText, read_csv_text
from seqlight.data.io.dialect import CSVDialect, Layout
from seqlight.data.io.filled_cells import filled_frame, frame_csv, with_rows
from seqlight.data.io.frames import is_frame, polars_frame
from seqlight.data.io.layouts import SERIES_ID
from seqlight.data.io.sources import FrameFile, SeveralFiles, open_source, plain_path
from seqlight.data.io.text_file import TextFile
from seqlight.data.modules.imputation_data_module import MARK_SUFFIX, ImputationDataModule
from seqlight.data.store.filled_rows import FilledFile, in_files, written_cells
from seqlight.data.store.series_store import SeriesStore
from seqlight.data.store.timed_rows import TimedRows, read_timed_rows
from seqlight.data.time.calendar_features import FEATURE_WIDTH, calendar_features, check_features
from seqlight.data.time.frequency import check_frequency


class CSVImputationDataModule(ImputationDataModule):
    """Windows over all rows of a file (CSV, Parquet, Excel) or of a polars or pandas frame, gaps included.

    The times need not lie on a grid: what the batches tell of them is the time since the row before, in the
    series' typical (median) step, so a row that is absent is a longer gap, not a missing cell, unless
    ``insert_rows`` adds the rows that are absent from a regular grid.

    Args:
        path: the file, several files or a pattern, or a polars or pandas frame.
        time_col: column of timestamps, or columns that make them together; None takes the rows of each series
            for steps.
        target_cols: numeric column or columns with cells to fill; columns without help to fill the others.
            Where columns or rows are series, one name for their values.
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
        layout: "long", "wide" or "rows", see :func:`seqlight.data.read_table`; None is "long".
        sheet: of a spreadsheet, its name or its number from 1.
        file_id: of several files, what to call the ids that are their names.
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
        path: str | Path | Sequence[str | Path] | pl.DataFrame,
        *,
        time_col: str | list[str] | None,
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
        layout: Layout | None = None,
        sheet: str | int | None = None,
        file_id: str | None = None,
        time_format: str | None = None,
        seed: int = 0,
        num_workers: int = 0,
        persistent_workers: bool = False,
        pin_memory: bool = False,
    ) -> None:
        target_cols = target_columns(target_cols, time_col=time_col, id_col=id_col)
        calendar_features = list(calendar_features)
        path = plain_path(path)
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
        if file_id is not None and file_id not in self.id_cols:
            self.id_cols.insert(0, file_id)
        if not self.id_cols and layout in ("wide", "rows"):
            self.id_col: str | None = SERIES_ID
        else:
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
            layout=layout,
            sheet=None if sheet is None else str(sheet),
            file_id=file_id,
        )
        self.time_format = time_format
        self._source: Any = None
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
            if self._source is None:
                self._source = open_source(self.path, self.dialect, in_memory=True)
            self._rows = read_timed_rows(
                self._source,
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

    def times(self, series_index: int) -> NDArray[Any]:
        """[n] ``datetime64[us]`` of a series' rows; int64 steps where rows have no times."""
        begin, end = self.store.indptr[series_index : series_index + 2]
        times = self.rows.times[begin:end]
        if not self.rows.has_times:
            return self.store.numbered(pl.Series(times)).to_numpy()
        return times.astype("datetime64[us]")

    @property
    def written_cells(self) -> NDArray[np.bool_]:
        """``[rows]`` bool: rows with a place in the file; a numbered step that has no column has none."""
        return written_cells(self.rows)

    def filled_csv(
        self, values: NDArray[np.float32], filled: NDArray[np.bool_], *, suffix: str = MARK_SUFFIX
    ) -> bytes:
        """Return what :meth:`filled_files` returns of a single file or frame.

        Raises:
            DataError: there are several files.
        """
        contents = self.filled_files(values, filled, suffix=suffix)
        if len(contents) > 1:
            raise DataError(
                f"path: {len(contents)} files are filled each on its own: call filled_files, or fill them "
                "one by one"
            )
        return contents[0]

    def filled_files(
        self, values: NDArray[np.float32], filled: NDArray[np.bool_], *, suffix: str = MARK_SUFFIX
    ) -> list[bytes]:
        """Return each file as it was but for the filled cells, and new columns that tell which.

        A text file keeps every other byte; of a frame, or a file that holds one, the columns are written as
        CSV. There is one new column for each of the targets ("long") or of the series ("wide"), which holds
        "true" where a cell was filled; where rows are series, there is a single one, which names the columns
        whose cells were filled.

        Args:
            values: [rows, C] in the order of ``store.values``.
            filled: [rows, C] the cells to take from ``values``; all others stay as they are.
            suffix: of the names of the new columns.
        """
        rows = self.rows
        laid_out = in_files(rows, self.target_cols, values, filled)
        opened = self._opened()
        sources = opened.files if isinstance(opened, SeveralFiles) else [opened]
        by_row = self.target_cols[0] if self.dialect.layout == "rows" else None
        contents = []
        for source, file, one in zip(sources, rows.files, laid_out, strict=True):
            if isinstance(source, TextFile):
                assert file.dialect is not None  # of text
                contents.append(self._filled_text(read_csv_text(source, file.dialect), one, suffix, by_row))
            else:
                frame = polars_frame(source.frame if isinstance(source, FrameFile) else source)
                frame = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
                contents.append(self._filled_frame(frame, one, suffix, by_row))
        return contents

    def _filled_text(self, text: CSVText, file: FilledFile, suffix: str, by_row: str | None) -> bytes:
        """The text with its new rows and all filled cells."""
        cells = file.cells
        if len(file.after):
            written = self._written_times(file.times)
            parts = {text.resolved([name])[0]: part.to_list() for name, part in written.items()}
            # The name of a file is no column of it.
            ids = [name for name in text.resolved(self.id_cols) if name in text.names()]
            text, old, new = text.with_rows(file.after, parts, ids)
            cells = cells.joined(file.new, old, new)
        return text.filled(cells.with_marks(suffix, by_row=by_row))

    def _filled_frame(self, frame: pl.DataFrame, file: FilledFile, suffix: str, by_row: str | None) -> bytes:
        """The frame with its new rows and all filled cells."""
        cells = file.cells
        if len(file.after):
            times = {name: frame[name].dtype for name in self.time_cols}
            written = self._written_times(file.times)
            if len(times) == 1 and next(iter(times.values())).is_temporal():
                written = dict.fromkeys(times, file.times)
            parts = {name: _as_column(part, times[name]) for name, part in written.items()}
            frame, old, new = with_rows(frame, file.after, parts, self.id_cols)
            cells = cells.joined(file.new, old, new)
        return frame_csv(filled_frame(frame, cells.with_marks(suffix, by_row=by_row)))

    def _written_times(self, times: pl.Series) -> dict[str, pl.Series]:
        """Times of new rows as text, by the columns that hold them."""
        grid = self.rows.store.grid
        assert grid is not None  # rows are added on a grid only
        text = grid.format(times)
        if self.rows.combined is None:
            return {self.time_cols[0]: text}
        return self.rows.combined.split(text)

    def _opened(self) -> Any:
        """The file or files, or the frame, that the rows came from."""
        _ = self.rows
        return self._source


def _as_column(times: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Times as a column of times has them; text as it is."""
    if not times.dtype.is_temporal() or not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
        return times
    if times.dtype.time_zone is None:  # type: ignore[attr-defined]
        return times.dt.replace_time_zone(dtype.time_zone, ambiguous="earliest")  # local days
    return times.dt.convert_time_zone(dtype.time_zone)
