"""Drawn series with missing cells."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError
from seqlight.data.generators import GENERATORS, trend_and_seasons
from seqlight.data.modules.imputation_data_module import MARK_SUFFIX, ImputationDataModule, filled_table
from seqlight.data.modules.series_data_module import check_positive
from seqlight.data.store.series_store import SeriesStore
from seqlight.data.windows.held_out import gap_pattern, hold_out


class SyntheticImputationDataModule(ImputationDataModule):
    """Series of a generator of which some cells, points and blocks, are missing for good.

    Args:
        generator: name of the generator, a key of ``seqlight.data.generators.GENERATORS``.
        n_series: series to draw.
        series_length: rows of each.
        missing: share of all cells that is missing, in runs of 1 to 16 cells.
        seasons: periods, in steps, of added seasons.
        season_amplitude: largest amplitude of an added season.
        window_length: rows of a window; None takes whole series.
        stride: distance between the training windows of a series; None takes an eighth of a window.
        val_size: share of the known cells that is hidden for validation.
        test_size: share that is hidden for the test.
        batch_size: windows in a batch.
        seed: of the series, of what is missing, of the cells that are hidden, and of the windows' order.
        num_workers: worker processes of the loaders; 0 is fastest.
        persistent_workers: keep workers between epochs.
        pin_memory: load into pinned memory where there is an accelerator.

    Raises:
        DataError: an argument is wrong.
    """

    def __init__(
        self,
        generator: str = "sine_waves",
        *,
        n_series: int = 1000,
        series_length: int = 96,
        missing: float = 0.2,
        seasons: Sequence[int] = (),
        season_amplitude: float = 1.0,
        window_length: int | None = None,
        stride: int | None = None,
        val_size: float = 0.1,
        test_size: float = 0.1,
        batch_size: int = 32,
        seed: int = 42,
        num_workers: int = 0,
        persistent_workers: bool = False,
        pin_memory: bool = False,
    ) -> None:
        if generator not in GENERATORS:
            raise DataError(f"generator: expected one of {', '.join(GENERATORS)}, got {generator!r}")
        check_positive(n_series=n_series)
        if isinstance(series_length, bool) or not isinstance(series_length, int) or series_length < 2:
            raise DataError(f"series_length: expected a whole number of at least 2, got {series_length!r}")
        if not isinstance(missing, int | float) or not 0 <= missing < 1:
            raise DataError(f"missing: expected a share of the cells, 0 to less than 1, got {missing!r}")
        seasons = list(seasons)
        for period in seasons:
            check_positive(seasons=period)
        draw = GENERATORS[generator]
        names = ["y"] if draw.target_size == 1 else [f"y{i}" for i in range(draw.target_size)]
        super().__init__(
            window_length=series_length if window_length is None else window_length,
            stride=stride,
            val_size=val_size,
            test_size=test_size,
            target_cols=names,
            time_col="time",
            covariate_size=draw.covariate_size,
            batch_size=batch_size,
            seed=seed,
            num_workers=num_workers,
            persistent_workers=persistent_workers,
            pin_memory=pin_memory,
        )
        self.save_hyperparameters(logger=False)
        self.generator = generator
        self.n_series = n_series
        self.series_length = series_length
        self.missing = float(missing)
        self.seasons = seasons
        self.season_amplitude = season_amplitude
        self._store: SeriesStore | None = None
        self._covariates: NDArray[np.float32] | None = None

    @property
    def store(self) -> SeriesStore:
        """The series, drawn when first asked for."""
        if self._store is None:
            random = np.random.RandomState(self.seed)
            drawn = GENERATORS[self.generator](self.n_series, self.series_length - 1, 1, random)
            target = drawn.target
            if self.seasons:
                target = target + trend_and_seasons(
                    self.n_series,
                    self.series_length,
                    random,
                    seasons=self.seasons,
                    season_amplitude=self.season_amplitude,
                )
            channels = target.shape[2]
            indptr = np.arange(self.n_series + 1, dtype=np.int64) * self.series_length
            values = np.ascontiguousarray(target, np.float32).reshape(-1, channels)
            there = np.ones(values.shape, np.bool_)
            gone = hold_out(there, indptr, gap_pattern(there, indptr), fraction=self.missing, seed=self.seed)
            values[gone] = np.nan
            self._store = SeriesStore(values, indptr, [str(i) for i in range(self.n_series)])
            if drawn.covariates is not None:
                self._covariates = np.ascontiguousarray(drawn.covariates, np.float32).reshape(
                    -1, self.covariate_size
                )
        return self._store

    @property
    def time_gap(self) -> NDArray[np.float32]:
        """``[rows]`` ones: every row is one step after the one before."""
        return np.ones(len(self.store.values), np.float32)

    @property
    def covariates(self) -> NDArray[np.float32] | None:
        """``[rows, K]`` of the generator, or None."""
        _ = self.store
        return self._covariates

    def filled_csv(
        self, values: NDArray[np.float32], filled: NDArray[np.bool_], *, suffix: str = MARK_SUFFIX
    ) -> bytes:
        """Columns ``series_id``, ``time`` (the row's number in its series), the targets, what was filled."""
        lengths = self.store.lengths
        index = pl.DataFrame(
            {
                "series_id": np.repeat(self.store.ids, lengths),
                self.time_col: np.concatenate([np.arange(length) for length in lengths]),
            }
        )
        return filled_table(self.store, index, self.target_cols, values, filled, suffix)
