"""What all DataModules of windows share: loaders, plotting access, and the attributes a model needs."""

import warnings
from abc import abstractmethod
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import Tensor

from seqlight.data.errors import DataError
from seqlight.data.modules.series_data_module import SeriesDataModule, check_positive
from seqlight.data.windows.stateful_sampler import StatefulSampler
from seqlight.data.windows.tbptt_loader import TBPTTLoader
from seqlight.data.windows.window_dataset import WindowDataset
from seqlight.data.windows.window_loader import WindowLoader

Part = Literal["train", "val", "calibration", "test", "predict"]


class WindowDataModule(SeriesDataModule):
    """Base of the DataModules: a subclass reads or draws series and says which windows make each part.

    Attributes:
        context_length: L, input steps of a window.
        prediction_length: H, target steps of a window.
        target_size: C, channels.
        future_covariate_size: F, covariates that are known ahead.
        static_covariate_size: S, numbers of each series, ``static_covariates`` [B, S] of a batch; 0 for
            none.
        num_classes: classes of the labels, int64 ``label`` of a batch; 0 where there are none.
        label_size: O, numbers of a series' label, float32 ``label`` [B, O] of a batch; 0 where there are
            none.
        observed_indicator: whether batches carry ``past_observed`` and ``future_observed``.
        target_cols: names of the channels.
        time_col: name of the time axis.
        tbptt_steps: time steps of the chunks that training batches are cut into, see :class:`TBPTTLoader`;
            None for whole windows.
        stateful: whether each row of the training batches stays on its series, see :class:`StatefulSampler`.
            The training windows of a series must then follow each other without overlap.
    """

    static_covariate_size: int = 0
    num_classes: int = 0
    label_size: int = 0

    def __init__(
        self,
        *,
        context_length: int,
        prediction_length: int,
        target_cols: list[str],
        time_col: str,
        future_covariate_size: int | None,
        observed_indicator: bool,
        batch_size: int,
        num_workers: int,
        persistent_workers: bool,
        pin_memory: bool,
        seed: int,
        tbptt_steps: int | None = None,
        stateful: bool = False,
    ) -> None:
        super().__init__(
            target_cols=target_cols,
            time_col=time_col,
            batch_size=batch_size,
            num_workers=num_workers,
            persistent_workers=persistent_workers,
            pin_memory=pin_memory,
            seed=seed,
        )
        check_positive(context_length=context_length, prediction_length=prediction_length)
        if tbptt_steps is not None:
            check_positive(tbptt_steps=tbptt_steps)
        self.context_length = context_length
        if future_covariate_size is not None:  # else the subclass has it as a property
            self.future_covariate_size = future_covariate_size
        self.prediction_length = prediction_length
        self.observed_indicator = observed_indicator
        self.tbptt_steps = tbptt_steps
        self.stateful = stateful

    @property
    def covariate_size(self) -> int:
        """The name of ``future_covariate_size`` before 0.2."""
        warnings.warn("covariate_size is now called future_covariate_size", FutureWarning, 2)
        return self.future_covariate_size

    @property
    def static_size(self) -> int:
        """The name of ``static_covariate_size`` before 0.2."""
        warnings.warn("static_size is now called static_covariate_size", FutureWarning, 2)
        return self.static_covariate_size

    @property
    @abstractmethod
    def season_length(self) -> int:
        """Steps of the season in which MASE is scaled and the seasonal naive forecast repeats."""

    @abstractmethod
    def dataset(self, part: Part) -> WindowDataset:
        """The windows of a part: "train", "val", "test" or "predict"."""

    @abstractmethod
    def training_target(self) -> tuple[Tensor, Tensor]:
        """Values [N, C] (float32, original units) and observed [N, C] (bool) of the training part."""

    def timestamps(self, series_index: int, start: int, count: int) -> pl.Series:
        """Times of ``count`` steps of a series from grid position ``start``, continued beyond the last row.

        Returns:
            A Datetime("us") polars Series (int64 positions if the series have no times).
        """
        return self.store.timestamps(series_index, start, count)

    def format_timestamps(self, times: pl.Series) -> list[str]:
        """Times as text in the format in which the data writes them."""
        return self.store.format(times).to_list()

    def series(self, series_index: int) -> tuple[pl.Series, NDArray[np.float32]]:
        """Times [n] and values [n, C] (original units, missing cells NaN) of a whole series."""
        values = self.store.series(series_index)
        return self.timestamps(series_index, 0, len(values)), values

    def history(self, series_index: int, count: int) -> tuple[pl.Series, NDArray[np.float32]]:
        """Times and values of a series' last ``count`` steps up to its last known value."""
        values = self.store.series(series_index)[: int(self.store.ends[series_index])]
        start = max(0, len(values) - count)
        return self.timestamps(series_index, start, len(values) - start), values[start:]

    def train_dataloader(self) -> WindowLoader | TBPTTLoader:
        """Windows of the training part in an order drawn from (seed, epoch), or their chunks of time."""
        loader = self._loader("train")
        if self.tbptt_steps is None:
            return loader
        return TBPTTLoader(loader, self.tbptt_steps, length=self.context_length)

    def val_dataloader(self) -> WindowLoader | list[Any]:
        """Windows of the validation part in order; [] where there is none."""
        return self._loader("val") if len(self.dataset("val")) else []

    def test_dataloader(self) -> WindowLoader:
        """Windows of the test part in order."""
        return self._loader("test")

    def predict_dataloader(self) -> WindowLoader:
        """Windows without targets, in the order of the series."""
        return self._loader("predict")

    def _loader(self, part: Part) -> WindowLoader:
        dataset = self.dataset(part)
        if not len(dataset):
            raise DataError(f"the {part} part has no windows; make it larger or the windows shorter")
        sampler = None
        if part == "train" and self.stateful:
            sampler = StatefulSampler(
                dataset.counts, self.batch_size, shuffle=True, seed=self.seed, **self._processes()
            )
        return self._make_loader(dataset, train=part == "train", sampler=sampler)
