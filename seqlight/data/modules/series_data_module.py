"""What all DataModules share: series, and loaders of their windows."""

import warnings
from abc import abstractmethod
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities.warnings import PossibleUserWarning

from seqlight.data.errors import DataError
from seqlight.data.store.series_store import SeriesStore
from seqlight.data.windows.window_dataset import WindowDataset
from seqlight.data.windows.window_loader import WindowLoader, WindowSampler, even_batch_size


class SeriesDataModule(LightningDataModule):
    """Base of the DataModules of series.

    Attributes:
        target_size: C, channels.
        target_cols: names of the channels.
        time_col: name of the time axis.
    """

    def __init__(
        self,
        *,
        target_cols: list[str],
        time_col: str,
        batch_size: int,
        num_workers: int,
        persistent_workers: bool,
        pin_memory: bool,
        seed: int,
    ) -> None:
        super().__init__()
        check_positive(batch_size=batch_size)
        if num_workers < 0:
            raise DataError(f"num_workers: expected 0 or more, got {num_workers}")
        if seed < 0:
            raise DataError(f"seed: expected 0 or more, got {seed}")
        self.target_cols = target_cols
        self.target_size = len(target_cols)
        self.time_col = time_col
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.persistent_workers = persistent_workers
        self.pin_memory = pin_memory
        self.seed = seed

    def __str__(self) -> str:
        """Name the class. Lightning's own makes every loader, and so may read the data for nothing."""
        return type(self).__name__

    @property
    @abstractmethod
    def store(self) -> SeriesStore:
        """The series, missing cells NaN; read or drawn when first asked for."""

    @property
    def series_ids(self) -> list[str]:
        """Name of each series; ``series_index`` of a batch counts in it."""
        return self.store.ids

    def setup(self, stage: str) -> None:
        """Read or draw the series."""
        if self.num_workers == 0:
            # Lightning advises more workers; a whole batch takes microseconds here, workers would cost more.
            warnings.filterwarnings("ignore", ".*does not have many workers", category=PossibleUserWarning)
        _ = self.store

    def _make_loader(
        self, dataset: Any, *, train: bool, sampler: WindowSampler | None = None
    ) -> WindowLoader:
        """This process' share of a dataset's windows; in training permuted by (seed, epoch) and even."""
        process = self._processes()
        if sampler is None:
            sampler = WindowSampler(dataset, shuffle=train, seed=self.seed, even=train, **process)
        batch_size = self.batch_size
        if not train:
            batch_size = even_batch_size(len(dataset), batch_size, process["num_replicas"])
        return WindowLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=self.persistent_workers and self.num_workers > 0,
            pin_memory=self.pin_memory and torch.accelerator.is_available(),
            collate_fn=WindowDataset.collate,
        )

    def _processes(self) -> dict[str, int]:
        """``num_replicas``, the number of data-parallel processes, and this one's ``rank``."""
        strategy = getattr(self.trainer, "strategy", None)
        kwargs = getattr(strategy, "distributed_sampler_kwargs", None)
        if kwargs:
            return {name: kwargs[name] for name in ("num_replicas", "rank")}
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            world, rank = torch.distributed.get_world_size(), torch.distributed.get_rank()
            return {"num_replicas": world, "rank": rank}
        return {"num_replicas": 1, "rank": 0}


def check_positive(**arguments: int) -> None:
    """Raise DataError unless every argument is a whole number of at least 1."""
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise DataError(f"{name}: expected a whole number of at least 1, got {value!r}")
