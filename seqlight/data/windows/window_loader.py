"""Order and loading of windows: seeded, right in distributed runs, resumable in the middle of an epoch."""

from collections.abc import Iterator, Sized
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, DistributedSampler

from seqlight.data.windows.shuffled import Shuffled
from seqlight.data.windows.time_chunks import RESET
from seqlight.data.windows.window_dataset import Batch

MOST_PERMUTED = 1 << 20
"""Windows up to which a random order is drawn as a whole."""

_CHUNK = 1 << 16


class WindowSampler(DistributedSampler[int]):
    """One process' share of the windows, in order or in an order drawn from (seed, epoch).

    Of the (permuted) windows 0..N - 1 the process of rank r takes r, r + R, r + 2R, ..., so that batch i of
    all R processes together is batch i of one process with an R times larger batch. It is a
    DistributedSampler, in which Lightning puts no other one.

    Args:
        dataset: the windows; only their number counts.
        num_replicas: R, the number of processes.
        rank: r, 0 to R - 1.
        shuffle: whether to permute.
        seed: of the permutation.
        even: give every process ceil(N / R) windows by repeating the first few (training, where each step
            needs every process); otherwise every window is given once, as metrics want it.
    """

    def __init__(
        self,
        dataset: Sized,
        *,
        num_replicas: int = 1,
        rank: int = 0,
        shuffle: bool = False,
        seed: int = 0,
        even: bool = True,
    ) -> None:
        sizes: Any = dataset  # of which DistributedSampler asks nothing but len
        super().__init__(sizes, num_replicas=num_replicas, rank=rank, shuffle=shuffle, seed=seed)
        self.even = even
        self.skip = 0  # windows of this process that the next iteration leaves out

    def order(self) -> torch.Tensor:
        """This process' windows in this epoch's order, int64."""
        total = len(self.dataset)  # type: ignore[arg-type]
        if self.shuffle:
            # torch's CPU generator keeps 32 bits of a seed: mix seed and epoch into them.
            mixed = int(np.random.SeedSequence([self.seed, self.epoch]).generate_state(1)[0])
            order = torch.randperm(total, generator=torch.Generator().manual_seed(mixed))
        else:
            order = torch.arange(total)
        missing = -total % self.num_replicas
        if total and missing and (self.even or total < self.num_replicas):
            order = torch.cat([order, order.repeat(missing // total + 1)[:missing]])
        return order[self.rank :: self.num_replicas]

    def __iter__(self) -> Iterator[int]:
        """Window numbers."""
        total = len(self.dataset)  # type: ignore[arg-type]
        begin, self.skip = self.skip, 0
        if self.shuffle and total > MOST_PERMUTED:
            # A permutation of all would take 8 bytes each, and seconds: this one is computed part by part.
            shuffled = Shuffled(total, [self.seed, self.epoch])
            for first in range(begin, len(self), _CHUNK):
                mine = np.arange(first, min(first + _CHUNK, len(self)), dtype=np.int64)
                yield from shuffled((mine * self.num_replicas + self.rank) % total).tolist()
            return
        for chunk in self.order()[begin:].split(_CHUNK):  # a list of all numbers would take 36 bytes each
            yield from chunk.tolist()

    def __len__(self) -> int:
        """Number of windows of this process."""
        total = len(self.dataset)  # type: ignore[arg-type]
        if self.even or total < self.num_replicas:
            return -(-total // self.num_replicas)
        return (total - self.rank - 1) // self.num_replicas + 1

    @property
    def repeats(self) -> bool:
        """Whether this process evaluates what another one has: there are fewer windows than processes."""
        return not self.even and self.rank >= len(self.dataset)  # type: ignore[arg-type]


class WindowLoader(DataLoader[Batch]):
    """A DataLoader of whole batches that knows how far it has come.

    ``state_dict()`` holds the epoch and the number of batches handed out; after ``load_state_dict`` the next
    iteration goes on after them. Lightning saves and restores both in its checkpoints. A finished iteration
    moves on to the next epoch's order by itself, unless ``sampler.set_epoch`` says otherwise.

    Iterating draws no number from torch's global generator, unlike any other DataLoader: a run resumed
    between training and validation would differ by those of the validation that Lightning then leaves out.

    With a :class:`StatefulSampler` every batch gets an entry ``reset``, bool [B]: which rows start anew.
    Where evaluation has fewer windows than there are processes, those that are given the window of another
    have its targets as unknown, so that metrics over all processes count each window once.
    """

    _epoch: int | None = None  # of the last iteration
    _batches = 0
    _resume_at = 0
    _resume_epoch = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("generator") is None:
            kwargs["generator"] = torch.Generator().manual_seed(torch.initial_seed())
        super().__init__(*args, **kwargs)

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Batches of one epoch, or what is left of it after ``load_state_dict``."""
        sampler = self.sampler
        epoch = getattr(sampler, "epoch", 0)
        # If the epoch was set to another one since, the one of the state was finished, early perhaps.
        self._batches = self._resume_at if epoch == self._resume_epoch else 0
        self._resume_at = 0
        self._epoch = epoch
        size = self.batch_size or 1
        if isinstance(sampler, WindowSampler):
            sampler.skip = self._batches * size
        reset_masks = getattr(sampler, "reset_masks", None)
        masks = None if reset_masks is None else reset_masks().split(size)
        for batch in super().__iter__():
            if masks is not None:
                batch[RESET] = masks[self._batches]
            if isinstance(sampler, WindowSampler) and sampler.repeats:
                batch = _unscored(batch)
            self._batches += 1
            yield batch
        if isinstance(sampler, WindowSampler) and sampler.epoch == epoch:
            sampler.set_epoch(epoch + 1)

    def state_dict(self) -> dict[str, Any]:
        """Position: {"epoch", "batches"}."""
        epoch = getattr(self.sampler, "epoch", 0) if self._epoch is None else self._epoch
        return {"epoch": epoch, "batches": self._batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from ``state``; one that is at the end of its epoch starts the next from its beginning."""
        batches = int(state["batches"])
        finished = batches >= len(self)
        self._batches = self._resume_at = 0 if finished else batches
        self._epoch = self._resume_epoch = int(state["epoch"]) + finished
        if isinstance(self.sampler, WindowSampler):
            self.sampler.set_epoch(self._resume_epoch)


def _unscored(batch: Batch) -> Batch:
    """Return a batch whose targets are unknown: NaN, -100 for classes."""
    made = dict(batch)
    for name in ("future_target", "held_out_target", "label"):
        if name in made:
            unknown = float("nan") if made[name].is_floating_point() else -100
            made[name] = torch.full_like(made[name], unknown)
    if "future_observed" in made:
        made["future_observed"] = torch.zeros_like(made["future_observed"])
    return made


def even_batch_size(windows: int, batch_size: int, num_replicas: int) -> int:
    """The smallest batch size from ``batch_size`` with which every process has as many batches.

    Without repeating windows, processes have N // R or one more. If N // R is a multiple of the batch size,
    one window more is one batch more, and the process without it leaves the others waiting.
    """
    share, rest = divmod(windows, num_replicas)
    while rest and share and share % batch_size == 0:
        batch_size += 1
    return batch_size
