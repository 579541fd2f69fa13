"""Series from a CSV file or a frame, split by time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from torch import Tensor

from seqlight.data.errors import DataError
from seqlight.data.io.columns import as_names, target_columns
from seqlight.data.io.dialect import CSVDialect
from seqlight.data.io.frames import is_frame
from seqlight.data.io.read import read_table
from seqlight.data.modules.covariates_of_module import ModuleCovariates
from seqlight.data.modules.series_data_module import check_positive
from seqlight.data.modules.window_data_module import Part, WindowDataModule
from seqlight.data.store.building import build_store
from seqlight.data.store.mase_scale import seasonal_scale
from seqlight.data.store.origins import Origin, Origins, check_origin, forecast_origins, origin_note
from seqlight.data.store.series_store import SeriesStore
from seqlight.data.store.splits import TimeSplit, check_size, shortest_length, split_by_time
from seqlight.data.time.calendar_features import FEATURE_WIDTH, check_features
from seqlight.data.time.frequency import check_frequency
from seqlight.data.windows.window_dataset import WindowDataset


class CSVDataModule(WindowDataModule):
    """Windows over the series of a CSV file (plain or gzip) or of a polars or pandas frame.

    Rows are in long form: a time, optionally a series id, and one column per target. Each series lies on its
    own regular grid of one frequency; rows absent from it are missing cells. Each series is split on its own
    grid: the last steps are the test, those before them validation, the rest training, and no cell is a
    target of two parts. Batches are in original units, see ``WindowDataset``; the predict loader gives one
    window per series, whose forecast begins after the series' last row.

    Nothing is read before ``setup`` or before a property needs the data.

    Args:
        path: the file, or a polars or pandas frame.
        time_col: column of timestamps, or columns that make them together, such as date and time of day; None
            takes the rows of each series for its steps, counted from 0.
        target_cols: column or columns to forecast.
        id_col: column of series ids, or columns that name a series together; None for a single series.
        context_length: input steps of a window.
        prediction_length: target steps of a window.
        batch_size: windows in a batch.
        val_size: validation part of each series: a fraction (float) or a number of time steps (int). A
            fraction above 0 is at least one horizon.
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
        calendar_features: known covariates, out of "minute", "hour", "day_of_week", "day_of_month",
            "day_of_year", "month"; each is a sine and a cosine, so future_covariate_size is twice their
            number.
        season_length: steps of a season, for MASE and the seasonal naive forecast; None takes what is usual
            for the frequency (24 for hours, 48 for half hours, 7 for days, 52 for weeks, 12 for months).
        frequency: the step, such as "1h", "30min", "1d", "1b" (business day), "1w", "1mo", "1q", or a
            calendar: "BME", "SMS", "WOM-2FRI", "30min@Mon-Fri 09:30-16:00", "XNYS", "observed"; None infers.
        skip_short: leave series out that are too short for a whole window in every part.
        origin: where forecasts begin: "own", after each series' last known target; "common", after the latest
            one of all series; "auto", as "own", but a series that ended more than one context before the
            latest has no forecast (NaN, at the times of "common").
        as_of: forecast, train and judge as if targets after this time were not known yet.
        separator: character between the fields; None finds it.
        decimal_comma: numbers are written 1,5 (True) or 1.5 (False); None finds it, and refuses numbers that
            can be read both ways.
        encoding: text encoding, such as "latin-1"; None finds it.
        thousands: what groups thousands: ",", ".", " " or "'"; None finds it, likewise.
        missing_values: cells that stand for a missing value, such as ["-9999", "n/e"], on top of the usual
            spellings.
        skip_rows: lines above the header; None finds it.
        time_format: strftime pattern of the timestamps, or "epoch", "epoch_ms", "epoch_us", "epoch_ns",
            "excel", "quarter", "iso_week", "interval"; None finds it. Times with UTC offsets become UTC
            (local days where the steps are days or longer).
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
        path: str | Path | pl.DataFrame,
        *,
        time_col: str | list[str] | None,
        target_cols: str | list[str],
        id_col: str | list[str] | None = None,
        context_length: int,
        prediction_length: int,
        batch_size: int = 64,
        val_size: int | float = 0.1,
        test_size: int | float = 0.2,
        stride: int = 1,
        tbptt_steps: int | None = None,
        stateful: bool = False,
        missing: Literal["error", "mask"] = "error",
        past_covariate_cols: str | Sequence[str] = (),
        future_covariate_cols: str | Sequence[str] = (),
        static_cols: str | Sequence[str] = (),
        calendar_features: Sequence[str] = (),
        season_length: int | None = None,
        frequency: str | None = None,
        skip_short: bool = False,
        origin: Origin = "auto",
        as_of: str | None = None,
        separator: str | None = None,
        decimal_comma: bool | None = None,
        encoding: str | None = None,
        thousands: str | None = None,
        missing_values: Sequence[str] = (),
        skip_rows: int | None = None,
        time_format: str | None = None,
        seed: int = 0,
        num_workers: int = 0,
        persistent_workers: bool = False,
        pin_memory: bool = False,
    ) -> None:
        covariate_cols = {
            "past_covariate_cols": as_names(past_covariate_cols),
            "future_covariate_cols": as_names(future_covariate_cols),
            "static_cols": as_names(static_cols),
        }
        target_cols = target_columns(
            target_cols,
            time_col=time_col,
            id_col=id_col,
            covariate_cols=[name for names in covariate_cols.values() for name in names],
        )
        calendar_features = list(calendar_features)
        path = path if is_frame(path) else str(path)
        if missing not in ("error", "mask"):
            raise DataError(f"missing: expected 'error' or 'mask', got {missing!r}")
        check_features(calendar_features)
        if calendar_features and not as_names(time_col):
            raise DataError("calendar_features: expected none where time_col is None, got some")
        super().__init__(
            context_length=context_length,
            prediction_length=prediction_length,
            target_cols=target_cols,
            time_col=" ".join(as_names(time_col)) or "step",
            future_covariate_size=None,
            observed_indicator=missing == "mask",
            batch_size=batch_size,
            num_workers=num_workers,
            persistent_workers=persistent_workers,
            pin_memory=pin_memory,
            seed=seed,
            tbptt_steps=tbptt_steps,
            stateful=stateful,
        )
        check_positive(stride=stride)
        if stateful and stride not in (1, context_length):
            raise DataError(
                f"stride: expected none with stateful=True, whose windows follow each other, got {stride}"
            )
        check_size("val_size", val_size, prediction_length)
        check_size("test_size", test_size, prediction_length)
        if season_length is not None:
            check_positive(season_length=season_length)
        if frequency is not None:
            check_frequency(frequency)
        check_origin(origin)
        # A frame is data, not a setting: it would not load from a checkpoint with weights_only=True.
        self.save_hyperparameters(ignore=["path"] if is_frame(path) else [], logger=False)
        self.path = path
        self.time_cols = as_names(time_col)
        self.id_cols = as_names(id_col)
        self.id_col = "/".join(self.id_cols) if self.id_cols else None
        self._covariate_cols = covariate_cols
        self.val_size = val_size
        self.test_size = test_size
        self.stride = stride
        self.missing = missing
        self.calendar_features = calendar_features
        self.frequency = frequency
        self.skip_short = skip_short
        self.origin: Origin = origin
        self.as_of = as_of
        self.dialect = CSVDialect(
            separator=separator,
            decimal_comma=decimal_comma,
            encoding=encoding,
            thousands=thousands,
            missing_values=missing_values,
            skip_rows=skip_rows,
        )
        self.time_format = time_format
        self._season_length = season_length
        self._store: SeriesStore | None = None
        self._split: TimeSplit | None = None
        self._scale: np.ndarray | None = None
        self._covariates: ModuleCovariates | None = None
        self._trained: dict[str, Any] | None = None  # the schema of a checkpoint
        self._source = ""

    @property
    def store(self) -> SeriesStore:
        """The series on their grids; read when first asked for."""
        if self._store is None:
            self._store = self._read()
        return self._store

    @property
    def split(self) -> TimeSplit:
        """Where each series' parts end.

        Raises:
            DataError: no series is long enough for all parts.
        """
        if self._split is None:
            self._check_lengths(self.store)
            self._split = split_by_time(
                self.store.ends,
                val_size=self.val_size,
                test_size=self.test_size,
                context_length=self.context_length,
                prediction_length=self.prediction_length,
            )
        return self._split

    def setup(self, stage: str) -> None:
        """Read the series; unless they are only to be predicted, split them."""
        super().setup(stage)
        if stage != "predict":
            split = self.split
            self._check_known_ahead(np.zeros_like(split.length), split.length, split.length > 0)

    @property
    def covariates(self) -> ModuleCovariates | None:
        """The columns beside the targets; None for none."""
        if self._covariates is None and any(self._covariate_cols.values()):
            known = None
            if self._trained is not None:
                known = {
                    f"{part}_categories": [
                        column["values"] for column in self._trained.get(f"{part}_categories", [])
                    ]
                    for part in ("past", "future", "static")
                }
            judged = (self.store.ends >= self._shortest(1)).any()
            stop = self.split.train_stop if judged else self.store.ends
            self._covariates = ModuleCovariates(self.store, stop, known)
        return self._covariates

    def _numeric(self, part: str) -> int:
        if not any(self._covariate_cols.values()):  # no file is read for a size that is known
            return 0
        return len(getattr(self.store.covariates, part).names)

    @property
    def past_covariate_size(self) -> int:
        """P, numeric covariates known up to now only."""
        return self._numeric("past")

    @property
    def future_covariate_size(self) -> int:  # type: ignore[override]
        """F, numeric covariates known ahead, and two for each calendar feature."""
        return self._numeric("future") + FEATURE_WIDTH * len(self.calendar_features)

    @property
    def static_covariate_size(self) -> int:  # type: ignore[override]
        """S, numeric covariates that are constant within a series."""
        return self._numeric("static")

    def _cardinalities(self, part: str) -> list[int]:
        covariates = self.covariates
        return [] if covariates is None else [len(known) for known in covariates.vocabularies[part]]

    @property
    def past_cardinalities(self) -> list[int]:
        """Number of known values of each column of text that is known up to now only."""
        return self._cardinalities("past")

    @property
    def future_cardinalities(self) -> list[int]:
        """Likewise, of those known ahead."""
        return self._cardinalities("future")

    @property
    def static_cardinalities(self) -> list[int]:
        """Likewise, of those constant within a series."""
        return self._cardinalities("static")

    def covariate_statistics(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Mean and standard deviation of each numeric covariate over the training rows, by kind."""
        size = FEATURE_WIDTH * len(self.calendar_features)
        if self.covariates is not None:
            return self.covariates.statistics(size)
        return {"future_covariates": (torch.zeros(size), torch.ones(size))} if size else {}

    def schema(self) -> dict[str, Any]:
        """Return what a model trained on these data depends on: columns, categories, step; a plain dict."""
        grid = self.store.grid
        described = {
            "targets": list(self.target_cols),
            "calendar_features": list(self.calendar_features),
            "frequency": "rows without times" if grid is None else grid.frequency.name,
        }
        return described | ({} if self.covariates is None else self.covariates.schema())

    def use_schema(self, schema: Mapping[str, Any]) -> None:
        """Number the texts of columns as in the training of a model with this schema; see :meth:`schema`."""
        self._trained, self._covariates = dict(schema), None

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the data: their schema."""
        return {"schema": self.schema()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Number the texts of columns as in the training that goes on."""
        if "schema" in state_dict:
            self.use_schema(state_dict["schema"])

    def _check_known_ahead(self, begin: np.ndarray, end: np.ndarray, series: np.ndarray) -> None:
        if self.covariates is not None:
            self.covariates.check_known_ahead(begin, end, series)

    @property
    def origins(self) -> Origins:
        """The first step to forecast of each series, and which series have no forecast."""
        return forecast_origins(self.store, self.origin, self.context_length)

    def origin_note(self) -> str:
        """Say in one line where the forecasts begin, and which series have none."""
        return origin_note(self.store, self.origins, self.context_length)

    @property
    def season_length(self) -> int:
        """As given, or what is usual for the frequency (reads the data)."""
        if self._season_length is not None:
            return self._season_length
        grid = self.store.grid
        return 1 if grid is None else grid.frequency.season_length

    @property
    def scale(self) -> np.ndarray:
        """MASE denominators [S, C], float32: see ``seasonal_scale``; NaN where undefined."""
        if self._scale is None:
            store = self.store
            self._scale = seasonal_scale(
                store.values, store.indptr, self.split.train_stop, self.season_length
            )
        return self._scale

    def training_target(self) -> tuple[Tensor, Tensor]:
        """Values [N, C] and observed [N, C] of the training part of all series, for fitting transforms."""
        store, stop = self.store, self.split.train_stop
        if len(store) == 1:
            values = store.values[: int(stop[0])]
        else:
            positions = np.arange(len(store.values)) - np.repeat(store.indptr[:-1], store.lengths)
            values = store.values[positions < np.repeat(stop, store.lengths)]
        tensor = torch.from_numpy(values)
        return tensor, ~torch.isnan(tensor)

    def dataset(self, part: Part) -> WindowDataset:
        """The windows of a part; "predict" is one per series, where its forecast begins."""
        store, context, horizon = self.store, self.context_length, self.prediction_length
        stride, scale = 1, None
        if part == "predict":  # needs nothing that training needs
            origins = self.origins
            first = origins.start
            stop = first + horizon
            self._check_known_ahead(first, stop, ~origins.ended)
        else:
            split, scale = self.split, self.scale
            if part == "train":
                # A series without one whole window gives one that begins with missing cells.
                first = np.minimum(context, np.maximum(split.train_stop - horizon, 1))
                stop, stride = split.train_stop, self.stride
                if self.stateful:
                    stride = context
                    first = first + np.maximum(stop - horizon - first, 0) % stride
            else:
                first, stop = {
                    "val": (split.train_stop, split.val_stop),
                    "test": (split.val_stop, split.length),
                }[part]
        return WindowDataset(
            store,
            context,
            horizon,
            first=first,
            stop=stop,
            stride=stride,
            categories=None if self.covariates is None else self.covariates.numbers(),
            calendar_features=self.calendar_features,
            scale=scale,
            with_observed=self.observed_indicator,
            with_future=part != "predict",
        )

    def _read(self) -> SeriesStore:
        table = read_table(
            self.path,
            time_cols=self.time_cols,
            target_cols=self.target_cols,
            id_cols=self.id_cols,
            covariate_cols=[name for names in self._covariate_cols.values() for name in names],
            dialect=self.dialect,
        )
        store = build_store(
            table,
            time_col=self.time_cols,
            target_cols=self.target_cols,
            id_col=self.id_cols,
            missing=self.missing,
            frequency=self.frequency,
            time_format=self.time_format,
            as_of=self.as_of,
            past_covariate_cols=self._covariate_cols["past_covariate_cols"],
            future_covariate_cols=self._covariate_cols["future_covariate_cols"],
            static_cols=self._covariate_cols["static_cols"],
        )
        self._source = table.source
        return self._without_short(store)

    def use_store(self, store: SeriesStore) -> None:
        """Take series that were read before with the same settings, instead of reading the file again."""
        self._source = str(self.path)
        self._store, self._split, self._scale = self._without_short(store), None, None
        self._covariates = None

    def unjudged_series(self) -> np.ndarray:
        """Return the indices of series that are too short for validation and test, int64."""
        return np.flatnonzero(self.store.ends < self._shortest(1))

    def _without_short(self, store: SeriesStore) -> SeriesStore:
        if self.skip_short:
            whole = store.ends >= self._shortest(self.context_length)
            if whole.any() and not whole.all():
                return store.select(whole)
        return store

    def _shortest(self, context_length: int) -> int:
        return shortest_length(
            val_size=self.val_size,
            test_size=self.test_size,
            context_length=context_length,
            prediction_length=self.prediction_length,
        )

    def _check_lengths(self, store: SeriesStore) -> None:
        needed = self._shortest(1)
        if (store.ends >= needed).any():
            return
        longest = int(np.argmax(store.ends))
        which = "the series" if self.id_col is None else f"the longest series, {store.ids[longest]!r},"
        raise DataError(
            f"{self._source}: {which} has {store.ends[longest]} time steps up to its last known value, "
            f"{needed} are needed: one step to forecast from, prediction_length {self.prediction_length}, "
            "and at least one prediction_length each for val_size and test_size unless 0; make these smaller"
        )
