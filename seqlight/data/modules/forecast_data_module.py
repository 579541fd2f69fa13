"""Windows over a data set of series, split by time: what forecasters train on."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqlight.data.errors import DataError
from seqlight.data.modules.covariate_data_module import CovariateDataModule
from seqlight.data.modules.series_data_module import check_positive
from seqlight.data.modules.window_data_module import Part
from seqlight.data.store.building import check_known
from seqlight.data.store.origins import Origin, Origins, check_origin, forecast_origins, origin_note
from seqlight.data.store.series_dataset import SeriesDataset
from seqlight.data.store.series_file import SeriesFile
from seqlight.data.store.series_store import SeriesStore
from seqlight.data.store.splits import Splitter, TimeSplit, training_rows
from seqlight.data.store.training_part import LEAST_ROWS, StoredTrainingPart
from seqlight.data.time.calendar_features import check_features
from seqlight.data.windows.window_dataset import WindowDataset
from seqlight.data.windows.window_loader import WindowLoader


class ForecastDataModule(CovariateDataModule):
    """Windows over the series of a :class:`SeriesDataset`, or of a :class:`SeriesFile` to be read.

    Each series is split on its own grid: the last steps are the test, those before them calibration (of
    intervals) and validation, the rest training, and no cell is a target of two parts. Batches are in
    original units, see ``WindowDataset``; the predict loader gives one window per series, whose forecast
    begins after the series' last row. Scales, statistics and categories are those of the training rows.

    Nothing is read before ``setup`` or before a property needs the data.

    Args:
        dataset: the series.
        context_length: input steps of a window.
        prediction_length: target steps of a window.
        batch_size: windows in a batch.
        val_size: validation part of each series: a fraction (float) or a number of time steps (int). A
            fraction above 0 is at least one horizon.
        calibration_size: part for calibrating intervals, between validation and test, likewise; by default
            there is none.
        test_size: test part, likewise.
        stride: distance between the training windows of a series; other parts use every window.
        tbptt_steps: train on chunks of so many time steps of each window's context, see
            :class:`TBPTTLoader`; None trains on whole windows.
        stateful: train on each series as one long sequence, see :class:`StatefulSampler`.
        missing: "error" refuses missing cells, "mask" carries them as NaN with masks of what is observed.
        calendar_features: known covariates, see :class:`CSVDataModule`.
        season_length: steps of a season; None takes what is usual for the frequency.
        skip_short: leave series out that are too short for a whole window in every part.
        origin: where forecasts begin: "auto", "own" or "common", see :class:`CSVDataModule`.
        seed: of the order of training windows.
        num_workers: worker processes of the loaders.
        persistent_workers: keep workers between epochs.
        pin_memory: load into pinned memory where there is an accelerator.

    Raises:
        DataError: an argument is wrong (at once), or the data is (when it is read).
    """

    def __init__(
        self,
        dataset: SeriesDataset | SeriesFile,
        *,
        context_length: int,
        prediction_length: int,
        batch_size: int = 64,
        val_size: int | float = 0.1,
        calibration_size: int | float = 0.0,
        test_size: int | float = 0.2,
        stride: int = 1,
        tbptt_steps: int | None = None,
        stateful: bool = False,
        missing: Literal["error", "mask"] = "error",
        calendar_features: Sequence[str] = (),
        season_length: int | None = None,
        skip_short: bool = False,
        origin: Origin = "auto",
        seed: int = 0,
        num_workers: int = 0,
        persistent_workers: bool = False,
        pin_memory: bool = False,
    ) -> None:
        calendar_features = list(calendar_features)
        if missing not in ("error", "mask"):
            raise DataError(f"missing: expected 'error' or 'mask', got {missing!r}")
        check_features(calendar_features)
        timed = bool(dataset.time_cols) if isinstance(dataset, SeriesFile) else dataset.store.grid is not None
        if calendar_features and not timed:
            raise DataError("calendar_features: expected none for rows without times, got some")
        schema = dataset.schema
        super().__init__(
            context_length=context_length,
            prediction_length=prediction_length,
            target_cols=list(schema.targets),
            time_col=schema.time,
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
        self.splitter = Splitter(
            context_length,
            prediction_length,
            val_size=val_size,
            calibration_size=calibration_size,
            test_size=test_size,
        )
        if season_length is not None:
            check_positive(season_length=season_length)
        check_origin(origin)
        self._given = dataset
        self._named = schema
        self.id_col = schema.id
        self.val_size = val_size
        self.calibration_size = calibration_size
        self.test_size = test_size
        self.stride = stride
        self.missing = missing
        self.calendar_features = calendar_features
        self.skip_short = skip_short
        self.origin: Origin = origin
        self._season_length = season_length
        self._dataset: SeriesDataset | None = None
        self._ends: NDArray[np.int64] | None = None
        self._split: TimeSplit | None = None
        self._scale: NDArray[np.float32] | None = None

    @property
    def series_dataset(self) -> SeriesDataset:
        """The series with their schema; read when first asked for."""
        if self._dataset is None:
            given = self._given
            if isinstance(given, SeriesFile):
                self._dataset = self._without_short(given.read())
            else:
                check_known(given.store, self.missing, given.schema.targets, given.source, self.id_col)
                self._dataset = self._without_short(given)
        return self._dataset

    def prepare_data(self) -> None:
        """Build the cache of a large file, once on each machine, before the other processes open it."""
        if isinstance(self._given, SeriesFile) and self._given.cache_folder() is not None:
            _ = self.series_dataset

    @property
    def store(self) -> SeriesStore:
        """The series on their grids; read when first asked for."""
        return self.series_dataset.store

    @property
    def ends(self) -> NDArray[np.int64]:
        """Position [S] after each series' last known target, or where :meth:`until` has cut it."""
        return self.store.ends if self._ends is None else self._ends

    def until(self, ends: NDArray[np.int64] | None, splitter: Splitter | None = None) -> "ForecastDataModule":
        """Return the same series as they were known before the positions ``ends`` [S].

        All that is learned of data is learned of the rows before, and the forecast begins at ``ends``; a
        series that ends at 0 or below has none. Nothing is read or copied.

        Args:
            ends: positions on the series' grids; None for what is known now.
            splitter: sizes of the parts; by default these data's, without a test part.
        """
        cut = copy(self)
        cut.splitter = splitter or replace(self.splitter, test_size=0)
        if ends is not None:
            cut._ends = np.clip(np.asarray(ends, np.int64), 0, self.ends)
        cut._split = cut._scale = cut._covariates = None
        return cut

    @property
    def split(self) -> TimeSplit:
        """Where each series' parts end.

        Raises:
            DataError: no series is long enough for all parts.
        """
        if self._split is None:
            self._check_lengths()
            self._split = self.splitter.split(self.ends)
        return self._split

    def setup(self, stage: str) -> None:
        """Read the series; unless they are only to be predicted, split them."""
        super().setup(stage)
        if stage != "predict":
            split = self.split
            self.check_known_ahead(np.zeros_like(split.length), split.length, split.length > 0)

    @property
    def origins(self) -> Origins:
        """The first step to forecast of each series, and which series have no forecast."""
        if self._ends is not None:
            return Origins(self._ends, self._ends == 0)
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
    def scale(self) -> NDArray[np.float32]:
        """MASE denominators [S, C], float32: see ``seasonal_scale``; NaN where undefined."""
        if self._scale is None:
            self._scale = self.store.statistics.mase_scale(self.split.train_stop, self.season_length)
        return self._scale

    def training_target(self) -> tuple[Tensor, Tensor]:
        """Values [N, C] and observed [N, C] of the training part of all series, for fitting transforms."""
        store, stop = self.store, self.split.train_stop
        if len(store) == 1:
            values = store.values[: int(stop[0])]
        else:
            values = store.values[training_rows(store.indptr, stop)]
        tensor = torch.from_numpy(values)
        return tensor, ~torch.isnan(tensor)

    def training_part(self) -> StoredTrainingPart | None:
        """The same rows part by part, where a copy of them would be large; None where it is not."""
        part = StoredTrainingPart(self.store, self.split.train_stop)
        return part if len(part) >= LEAST_ROWS else None

    def dataset(self, part: Part) -> WindowDataset:
        """The windows of a part; "predict" is one per series, where its forecast begins."""
        context, horizon = self.context_length, self.prediction_length
        if part == "predict":  # needs nothing that training needs
            origins = self.origins
            self.check_known_ahead(origins.start, origins.start + horizon, ~origins.ended)
            return self.windows(origins.start, origins.start + horizon, with_future=False)
        split, stride = self.split, 1
        first, stop = split.targets(part)
        if part == "train":
            # A series without one whole window gives one that begins with missing cells.
            first, stride = np.minimum(context, np.maximum(stop - horizon, 1)), self.stride
            if self.stateful:
                stride = context
                first = first + np.maximum(stop - horizon - first, 0) % stride
        return self.windows(first, stop, stride=stride, scale=self.scale)

    def windows(
        self,
        first: NDArray[np.int64],
        stop: NDArray[np.int64],
        *,
        stride: int = 1,
        scale: NDArray[np.float32] | None = None,
        with_future: bool = True,
        beyond_end: bool = False,
    ) -> WindowDataset:
        """The windows whose targets lie in [first, stop) [S] of each series, see :class:`WindowDataset`."""
        return WindowDataset(
            self.store,
            self.context_length,
            self.prediction_length,
            first=first,
            stop=stop,
            stride=stride,
            categories=None if self.covariates is None else self.covariates.numbers(),
            calendar_features=self.calendar_features,
            scale=scale,
            with_observed=self.observed_indicator,
            with_future=with_future,
            beyond_end=beyond_end,
        )

    def use_store(self, store: SeriesStore) -> None:
        """Take series that were read before with the same settings, instead of reading the file again."""
        source = self._given.source
        self._dataset = self._without_short(SeriesDataset(store, self._named, str(source)))
        self._ends = self._split = self._scale = self._covariates = None

    def calibration_dataloader(self) -> WindowLoader | list[Any]:
        """Windows of the calibration part in order; [] where there is none."""
        return self._loader("calibration") if len(self.dataset("calibration")) else []

    def unjudged_series(self) -> NDArray[np.int64]:
        """Return the indices of series that are too short for validation and test, int64."""
        return np.flatnonzero(self.ends < self.splitter.shortest(1))

    def _without_short(self, dataset: SeriesDataset) -> SeriesDataset:
        if self.skip_short:
            whole = dataset.store.ends >= self.splitter.shortest()
            if whole.any() and not whole.all():
                return replace(dataset, store=dataset.store.select(whole))
        return dataset

    def _check_lengths(self) -> None:
        needed = self.splitter.shortest(1)
        if (self.ends >= needed).any():
            return
        longest = int(np.argmax(self.ends))
        which = "the series" if self.id_col is None else f"the longest series, {self.store.ids[longest]!r},"
        raise DataError(
            f"{self.series_dataset.source}: {which} has {self.ends[longest]} time steps up to its last "
            f"known value, {needed} are needed: one step to forecast from, prediction_length "
            f"{self.prediction_length}, and as many again for each part that is held back (validation, "
            "calibration, test); pass a smaller prediction_length"
        )
