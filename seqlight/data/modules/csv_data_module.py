"""Series from a CSV file or a frame, split by time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from seqlight.data.io.columns import as_names
from seqlight.data.io.dialect import CSVDialect, Layout
from seqlight.data.io.frames import is_frame
from seqlight.data.io.sources import open_source, plain_path
from seqlight.data.modules.forecast_data_module import ForecastDataModule
from seqlight.data.modules.found_settings import AUTO, found_columns, sizes_for
from seqlight.data.store.origins import Origin
from seqlight.data.store.series_dataset import SeriesDataset
from seqlight.data.store.series_file import SeriesFile


class CSVDataModule(ForecastDataModule):
    """Windows over the series of a CSV file (plain or gzip) or of a polars or pandas frame.

    Rows are in long form: a time, optionally a series id, and one column per target. Each series lies on its
    own regular grid of one frequency; rows absent from it are missing cells. Each series is split on its own
    grid: the last steps are the test, those before them validation, the rest training, and no cell is a
    target of two parts. Batches are in original units, see ``WindowDataset``; the predict loader gives one
    window per series, whose forecast begins after the series' last row.

    Nothing is read before ``setup`` or before a property needs the data, unless columns or sizes are left to
    be found: ``CSVDataModule("sales.csv")`` reads the file at once, and a warning says what it is taken for.

    Args:
        path: the file (CSV, plain or compressed, Parquet, Arrow, spreadsheet), a folder of Parquet files,
            a pattern or a list of files of the same columns, or a polars or pandas frame.
        time_col: column of timestamps, or columns that make them together, such as date and time of day; None
            takes the rows of each series for its steps, counted from 0. "auto" finds it, and where there are
            several to choose from asks by an error that lists them.
        target_cols: column or columns to forecast; "auto" finds the only column of numbers, and ``id_col``
            where times repeat.
        id_col: column of series ids, or columns that name a series together; None for a single series.
        context_length: input steps of a window; None takes several seasons, as the series' length allows.
        prediction_length: target steps of a window; None takes one season.
        batch_size: windows in a batch.
        val_size: validation part of each series: a fraction (float) or a number of time steps (int). A
            fraction above 0 is at least one horizon.
        calibration_size: part for calibrating intervals, between validation and test, likewise; by default
            there is none.
        test_size: test part, likewise.
        stride: distance between the training windows of a series; other parts use every window.
        tbptt_steps: train on chunks of so many time steps of each window's context, with the state carried
            from one to the next (truncated backpropagation through time, see :class:`TBPTTLoader`); None
            trains on whole windows.
        stateful: train on each series as one long sequence: its windows follow each other without overlap
            (the last one ends with the training part), each row of a batch goes on with the window after
            the one before, and the model carries its state along, see :class:`StatefulSampler`. Together
            with ``tbptt_steps`` the windows are cut further.
        missing: "error" refuses missing cells, "mask" carries them as NaN with masks of what is observed.
        past_covariate_cols: columns, numeric or text, that are known up to now only.
        future_covariate_cols: columns known ahead, also in rows whose targets are empty; a forecast needs
            them for all of its steps.
        static_cols: columns that are constant within a series.
        future: a second file or frame with rows in which covariates are known ahead: the same columns of
            times and ids, and columns of ``future_covariate_cols``. Where both have a row they must agree.
        static: another with one row for each series: the same columns of ids, and ``static_cols``.
        calendar_features: known covariates, out of "minute", "hour", "day_of_week", "day_of_month",
            "day_of_year", "month"; each is a sine and a cosine, so future_covariate_size is twice their
            number.
        season_length: steps of a season, for MASE and the seasonal naive forecast; None takes what is usual
            for the frequency (24 for hours, 48 for half hours, 7 for days, 52 for weeks, 12 for months, 3600
            for seconds; 1, which is none, for steps below a second).
        frequency: the step, such as "1h", "30min", "1d", "1b" (business day), "1w", "1mo", "1q", or a
            calendar: "BME", "SMS", "WOM-2FRI", "30min@Mon-Fri 09:30-16:00", "XNYS", "observed"; None infers.
        skip_short: leave series out that are too short for a whole window in every part.
        origin: where forecasts begin: "own", after each series' last known target; "common", after the latest
            one of all series; "auto", as "own", but a series that ended more than one context before the
            latest has no forecast (NaN, at the times of "common").
        round: round times that jitter around a regular grid to it: that of ``frequency``, or one that is
            found.
        as_of: forecast, train and judge as if targets after this time were not known yet.
        separator: character between the fields; None finds it.
        decimal_comma: numbers are written 1,5 (True) or 1.5 (False); None finds it, and refuses numbers that
            can be read both ways.
        encoding: text encoding, such as "latin-1"; None finds it.
        thousands: what groups thousands: ",", ".", " " or "'"; None finds it, likewise.
        missing_values: cells that stand for a missing value, such as ["-9999", "n/e"], on top of the usual
            spellings.
        skip_rows: lines above the header; None finds it.
        skip_footer: lines below the last row, such as totals or a source.
        layout: "long" (a row for each time of each series), "wide" (each column of numbers is a series) or
            "rows" (each row is a series, whose columns are named by times, or numbered). In the latter two
            ``target_cols`` is what to call the values, likewise ``id_col`` of "wide", ``time_col`` of "rows".
        sheet: of a spreadsheet, its name or its number from 1; None takes the only one that is not empty.
        file_id: of several files, what to call a column of their names, which then are ids.
        time_format: strftime pattern of the timestamps, or "epoch", "epoch_ms", "epoch_us", "epoch_ns",
            "excel", "quarter", "iso_week", "interval"; None finds it. Times with UTC offsets become UTC
            (local days where the steps are days or longer).
        units: by column, what its numbers are in, such as {"load": "MW"}. A model remembers them, and refuses
            data that tell other ones.
        cache: keep what was read in a folder, from which later runs and other processes map it into memory;
            None does so for files of 100 MB or more. See ``SEQLIGHT_CACHE`` and ``seqlight cache``.
        seed: of the order of training windows.
        num_workers: worker processes of the loaders. Batches are gathered in microseconds: 0 is fastest.
            Workers must not raise their number of threads, which is 1: a forked process hangs with more.
        persistent_workers: keep workers between epochs.
        pin_memory: load into pinned memory where there is an accelerator.

    Raises:
        DataError: an argument is wrong (at once), or the data is (when it is read).
    """

    def __init__(
        self,
        path: str | Path | Sequence[str | Path] | pl.DataFrame,
        *,
        time_col: str | list[str] | None = AUTO,
        target_cols: str | list[str] = AUTO,
        id_col: str | list[str] | None = None,
        context_length: int | None = None,
        prediction_length: int | None = None,
        batch_size: int = 64,
        val_size: int | float = 0.1,
        calibration_size: int | float = 0.0,
        test_size: int | float = 0.2,
        stride: int = 1,
        tbptt_steps: int | None = None,
        stateful: bool = False,
        missing: Literal["error", "mask"] = "error",
        past_covariate_cols: str | Sequence[str] = (),
        future_covariate_cols: str | Sequence[str] = (),
        static_cols: str | Sequence[str] = (),
        future: str | Path | pl.DataFrame | None = None,
        static: str | Path | pl.DataFrame | None = None,
        calendar_features: Sequence[str] = (),
        season_length: int | None = None,
        frequency: str | None = None,
        skip_short: bool = False,
        origin: Origin = "auto",
        round: bool = False,
        as_of: str | None = None,
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
        units: Mapping[str, str] | None = None,
        cache: bool | None = None,
        seed: int = 0,
        num_workers: int = 0,
        persistent_workers: bool = False,
        pin_memory: bool = False,
    ) -> None:
        path = plain_path(path)
        future, static = _path_or_frame(future), _path_or_frame(static)
        dialect = CSVDialect(
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
        opened = None
        if AUTO in (time_col, target_cols):
            opened = open_source(path, dialect)
            covariates = (past_covariate_cols, future_covariate_cols, static_cols)
            reading = found_columns(
                opened,
                dialect,
                time_col,
                target_cols,
                id_col,
                covariates=[name for names in covariates for name in as_names(names)],
                time_format=time_format,
            )
            # What is found is what a checkpoint keeps.
            time_col, target_cols = list(reading.time_cols) or None, list(reading.target_cols)
            id_col, layout = list(reading.id_cols) or None, reading.layout
            dialect = replace(dialect, layout=layout)
        file = SeriesFile(
            path,
            time_col=time_col,
            target_cols=target_cols,
            id_col=id_col,
            past_covariate_cols=past_covariate_cols,
            future_covariate_cols=future_covariate_cols,
            static_cols=static_cols,
            future=future,
            static=static,
            missing=missing,
            frequency=frequency,
            time_format=time_format,
            round=round,
            as_of=as_of,
            dialect=dialect,
            units=units,
            cache=cache,
            opened=opened,
        )
        source: SeriesFile | SeriesDataset = file
        if context_length is None or prediction_length is None:
            source = dataset = file.read()
            context_length, prediction_length = sizes_for(
                dataset.store, season_length, context_length, prediction_length
            )
        super().__init__(
            source,
            context_length=context_length,
            prediction_length=prediction_length,
            batch_size=batch_size,
            val_size=val_size,
            calibration_size=calibration_size,
            test_size=test_size,
            stride=stride,
            tbptt_steps=tbptt_steps,
            stateful=stateful,
            missing=missing,
            calendar_features=calendar_features,
            season_length=season_length,
            skip_short=skip_short,
            origin=origin,
            seed=seed,
            num_workers=num_workers,
            persistent_workers=persistent_workers,
            pin_memory=pin_memory,
        )
        # A frame is data, not a setting: it would not load from a checkpoint with weights_only=True.
        sources = {"path": path, "future": future, "static": static}
        frames = [name for name, source in sources.items() if is_frame(source)]
        self.save_hyperparameters(ignore=frames, logger=False)
        self.path = path


def _path_or_frame(source: Any) -> Any:
    """Return a path as text, which checkpoints can hold; a frame, or None, as it is."""
    return source if source is None or is_frame(source) else str(source)
