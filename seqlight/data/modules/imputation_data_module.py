"""What the DataModules for filling gaps share: cells held out, windows over whole series, loaders."""

from abc import abstractmethod
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqlight.data.errors import DataError
from seqlight.data.modules.series_data_module import SeriesDataModule, check_positive
from seqlight.data.store.series_store import SeriesStore
from seqlight.data.windows.gap_windows import GapWindows
from seqlight.data.windows.held_out import GapPattern, gap_pattern, hold_out
from seqlight.data.windows.window_loader import WindowLoader

ImputationPart = Literal["train", "val", "test", "predict"]
MARK_SUFFIX = "_filled"


class ImputationDataModule(SeriesDataModule):
    """Base of the DataModules of series with missing cells; a subclass reads or draws the series.

    There is no split by time: a model that fills gaps may learn from what comes after them. Instead a share
    of the known cells is hidden for validation and another for the test, chosen once by ``seed``, in runs as
    long as the data's own gaps (:func:`~seqlight.data.windows.held_out.gap_pattern`). The windows of
    training, validation and test show none of these cells; the windows for prediction show all that is known.

    Batches are those of :class:`~seqlight.data.windows.gap_windows.GapWindows`, in original units.

    Args:
        window_length: T, rows of a window.
        stride: distance between the training windows of a series; None takes an eighth of a window. The
            windows of other parts overlap by half.
        val_size: share of the known cells that is hidden for validation, 0 to less than 1.
        test_size: share that is hidden for the test.
        batch_size: windows in a batch.
        seed: of the cells that are hidden and of the order of training windows.
        num_workers: worker processes of the loaders; 0 is fastest.
        persistent_workers: keep workers between epochs.
        pin_memory: load into pinned memory where there is an accelerator.

    Attributes:
        target_size: C, channels.
        covariate_size: K, known covariates.
        target_cols: names of the channels.

    Raises:
        DataError: an argument is wrong.
    """

    def __init__(
        self,
        *,
        window_length: int,
        stride: int | None,
        val_size: float,
        test_size: float,
        target_cols: list[str],
        time_col: str,
        covariate_size: int,
        batch_size: int,
        seed: int,
        num_workers: int,
        persistent_workers: bool,
        pin_memory: bool,
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
        check_positive(window_length=window_length)
        stride = max(1, window_length // 8) if stride is None else stride
        check_positive(stride=stride)
        if stride > window_length:
            raise DataError(
                f"stride: expected at most window_length = {window_length}, so that windows leave no row "
                f"out, got {stride}"
            )
        for name, size in (("val_size", val_size), ("test_size", test_size)):
            if isinstance(size, bool) or not isinstance(size, int | float) or not 0 <= size < 1:
                raise DataError(
                    f"{name}: expected a share of the known cells, 0 to less than 1, got {size!r}"
                )
        if val_size + test_size >= 1:
            raise DataError(
                f"val_size, test_size: expected less than 1 together, got {val_size} and {test_size}"
            )
        self.covariate_size = covariate_size
        self.window_length = window_length
        self.stride = stride
        self.val_size = float(val_size)
        self.test_size = float(test_size)
        self._held_out: dict[str, NDArray[np.bool_]] | None = None

    @property
    @abstractmethod
    def time_gap(self) -> NDArray[np.float32]:
        """``[rows]`` time since the row before in the series' typical steps; 1 at a series' first row."""

    @property
    @abstractmethod
    def covariates(self) -> NDArray[np.float32] | None:
        """``[rows, K]`` known covariates, or None."""

    @abstractmethod
    def filled_csv(
        self, values: NDArray[np.float32], filled: NDArray[np.bool_], *, suffix: str = MARK_SUFFIX
    ) -> bytes:
        """The data as CSV with missing cells filled, and one column per target that says which were.

        Args:
            values: [rows, C] in the order of ``store.values``.
            filled: [rows, C] the cells to take from ``values``; all others stay as they are.
            suffix: of the names of the columns that say "true" where a cell was filled.
        """

    @property
    def pattern(self) -> GapPattern:
        """Lengths of the runs in which cells are held out."""
        return gap_pattern(~np.isnan(self.store.values), self.store.indptr)

    def held_out(self, part: Literal["val", "test"]) -> NDArray[np.bool_]:
        """``[rows, C]`` bool: the known cells that are hidden to judge a model."""
        if self._held_out is None:
            store, pattern = self.store, self.pattern
            observed = ~np.isnan(store.values)
            val = hold_out(observed, store.indptr, pattern, fraction=self.val_size, seed=self.seed)
            rest = observed & ~val
            # A share of all known cells, of which validation has taken its own.
            share = self.test_size / (1 - self.val_size)
            test = hold_out(rest, store.indptr, pattern, fraction=share, seed=self.seed + 1)
            self._held_out = {"val": val, "test": test}
        return self._held_out[part]

    @property
    def hidden(self) -> NDArray[np.bool_]:
        """``[rows, C]`` bool: all cells that are held out."""
        return self.held_out("val") | self.held_out("test")

    def training_target(self) -> tuple[Tensor, Tensor]:
        """Values [N, C] without the held-out cells, and observed [N, C], for fitting transforms."""
        values = torch.from_numpy(np.where(self.hidden, np.float32(np.nan), self.store.values))
        return values, ~values.isnan()

    def dataset(self, part: ImputationPart) -> GapWindows:
        """The windows of a part."""
        return GapWindows(
            self.store,
            window_length=self.window_length,
            stride=self.stride if part == "train" else max(1, self.window_length // 2),
            time_gap=self.time_gap,
            covariates=self.covariates,
            hidden=None if part == "predict" else self.hidden,
            held_out=self.held_out(part) if part in ("val", "test") else None,
        )

    def train_dataloader(self) -> WindowLoader:
        """Windows without the held-out cells, in an order drawn from (seed, epoch)."""
        return self._loader("train")

    def val_dataloader(self) -> WindowLoader | list[Any]:
        """Windows with the cells to validate on; [] where none are held out."""
        return self._loader("val") if self.held_out("val").any() else []

    def test_dataloader(self) -> WindowLoader:
        """Windows with the cells to test on."""
        if not self.held_out("test").any():
            raise DataError("test_size: no cell is held out for the test; expected more than 0")
        return self._loader("test")

    def predict_dataloader(self) -> WindowLoader:
        """Windows with all that is known."""
        return self._loader("predict")

    def _loader(self, part: ImputationPart) -> WindowLoader:
        return self._make_loader(self.dataset(part), train=part == "train")


def filled_table(
    store: SeriesStore,
    index: pl.DataFrame,
    target_cols: list[str],
    values: NDArray[np.float32],
    filled: NDArray[np.bool_],
    suffix: str,
) -> bytes:
    """The CSV of data that did not come from one: columns of ``index``, the targets, what was filled."""
    complete = np.where(filled, values, store.values)
    return (
        index.with_columns(
            *(
                pl.Series(name, complete[:, channel]).fill_nan(None)
                for channel, name in enumerate(target_cols)
            ),
            *(pl.Series(name + suffix, filled[:, channel]) for channel, name in enumerate(target_cols)),
        )
        .write_csv()
        .encode()
    )
