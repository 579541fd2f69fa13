"""An order of training in which every row of a batch stays on its series."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from seqlight.data.errors import DataError
from seqlight.data.windows.window_loader import WindowSampler


class StatefulSampler(WindowSampler):
    """Orders samples so that row r of each batch continues row r of the batch before.

    Each series is a run of consecutive samples, numbered one series after the other: the first series has
    0 to counts[0] - 1, and so on; each sample begins where the one before it ends. All series, laid end to
    end (in an order drawn from (seed, epoch) if ``shuffle``), are cut into as many stretches of equal
    length as there are rows in the batches of all processes together; row r walks along stretch r. So one
    long series trains in all rows at once, and many short ones follow each other in a row. A batch is
    ``batch_size`` consecutive numbers; :meth:`reset_masks` says which of its rows start anew: those at the
    beginning of a stretch or of a series. The model carries the state of the others, see
    :class:`seqlight.models.CarriesState`.

    Every sample comes once in an epoch. The stretches differ in length by one at most, so the last batch may
    have fewer rows; these continue the first rows of the batch before.

    Of R processes the one of rank r has the rows r, r + R, r + 2R, ..., so that their batches together are
    those of one process with an R times larger batch; all have the same number of batches. Where the last
    batch would have fewer rows than there are processes, it repeats some of them.

    ``CSVDataModule(..., stateful=True)`` uses it. For data of your own, give it to a
    :class:`WindowLoader`, which adds ``reset`` to the batches (dicts) and resumes in the middle of an epoch::

        sampler = StatefulSampler([len(chunks) for chunks in series], batch_size=8)
        loader = WindowLoader(dataset, batch_size=8, sampler=sampler)

    Args:
        counts: [S] number of consecutive samples of each series.
        batch_size: rows of a batch of one process; the loader's must be the same.
        num_replicas: R, the number of processes.
        rank: this one's, 0 to R - 1.
        shuffle: whether to permute the series.
        seed: of the permutation.

    Raises:
        DataError: a number below 1, or no samples.
    """

    def __init__(
        self,
        counts: Sequence[int] | Tensor,
        batch_size: int,
        *,
        num_replicas: int = 1,
        rank: int = 0,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        self.counts = torch.as_tensor(counts, dtype=torch.int64)
        if self.counts.dim() != 1 or bool((self.counts < 0).any()) or not bool(self.counts.any()):
            raise DataError("counts: expected the number of samples of each series, at least one in all")
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise DataError(f"batch_size: expected a whole number of at least 1, got {batch_size!r}")
        total = int(self.counts.sum())
        super().__init__(range(total), num_replicas=num_replicas, rank=rank, shuffle=shuffle, seed=seed)
        self.batch_size = batch_size
        rows = batch_size * num_replicas
        self._full_batches = (total - 1) // rows  # the last one, full or not, is not counted
        self._last_rows = total - self._full_batches * rows

    def order(self) -> Tensor:
        """This process' samples in this epoch's order, int64: ``batch_size`` of each batch in turn."""
        rows = self.batch_size * self.num_replicas
        row = torch.arange(self.rank, rows, self.num_replicas)
        batch = torch.arange(self._full_batches)
        stream = self._stream()
        full = stream[self._begin(row) + batch[:, None]].flatten()
        present = torch.arange(self.rank, max(self._last_rows, self.num_replicas), self.num_replicas)
        last = stream[self._begin(present % self._last_rows) + self._full_batches]
        return torch.cat([full, last])

    def reset_masks(self) -> Tensor:
        """For each sample of :meth:`order`, bool: whether the state of its row starts anew."""
        order = self.order()
        begins = torch.zeros(int(self.counts.sum()) + 1, dtype=torch.bool)
        begins[self.counts.cumsum(0) - self.counts] = True
        reset = begins[order]
        before = order[: -self.batch_size]
        reset[: self.batch_size] = True
        reset[self.batch_size :] |= order[self.batch_size :] != before + 1
        return reset

    def __len__(self) -> int:
        """Number of samples of this process."""
        last = max(self._last_rows, self.num_replicas)
        return self._full_batches * self.batch_size + (last - self.rank - 1) // self.num_replicas + 1

    def _begin(self, row: Tensor) -> Tensor:
        """Where a row's stretch begins: the first rows are one sample longer, as far as the total reaches."""
        return row * self._full_batches + row.clamp(max=self._last_rows)

    def _stream(self) -> Tensor:
        """All samples, one series after the other."""
        if not self.shuffle:
            return torch.arange(int(self.counts.sum()))
        mixed = int(np.random.SeedSequence([self.seed, self.epoch]).generate_state(1)[0])
        series = torch.randperm(len(self.counts), generator=torch.Generator().manual_seed(mixed))
        counts = self.counts[series]
        first = (self.counts.cumsum(0) - self.counts)[series]
        position = torch.arange(int(counts.sum())) - (counts.cumsum(0) - counts).repeat_interleave(counts)
        return first.repeat_interleave(counts) + position
