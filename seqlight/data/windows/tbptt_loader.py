"""Truncated backpropagation through time as a loader: each chunk of time is one ordinary batch."""

import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset

from seqlight.data.errors import DataError
from seqlight.data.windows.time_chunks import LENGTHS, Batch, is_window_batch, sequence_length, time_chunk


class TBPTTLoader:
    """Cuts the batches of a loader into chunks of at most ``steps`` time steps and gives these as batches.

    Truncated backpropagation through time (Williams and Peng 1990): the model trains on one chunk after the
    other and carries its state, detached, from each to the next, so that memory depends on the chunk's length
    and not on the sequence's. To Lightning each chunk is an ordinary batch: gradient clipping, accumulation,
    mixed precision, schedulers, logging and the progress bar (``len(loader)`` counts chunks) work as ever.

    Every batch gets an entry ``reset``, bool [B], True for the rows whose state starts anew: all rows in the
    first chunk of a batch (or those that the batch's own ``reset`` names), none in the others. A model
    carries its state with :class:`seqlight.models.CarriesState`; the forecasters do so by themselves. With
    ``steps`` at least as large as T there is one chunk, and training is ordinary backpropagation through
    time.

    What is cut: of windows (``past_target`` and ``future_target``) the past, each chunk with the H steps that
    follow it as its future. Of any other dict the tensors [B, T, ...], or those in ``sequence_keys``; an
    entry ``lengths`` [B] becomes each row's steps within the chunk, as the layers of :mod:`seqlight.nn`
    take it.

    **Resuming**: ``state_dict()`` holds the inner loader's state and the chunk, if that loader has one
    (:class:`WindowLoader`, torchdata's StatefulDataLoader); Lightning puts it into its checkpoints. Without
    ``length``, Lightning fetches a batch ahead of time, so a run resumed in the middle of an epoch then
    misses one chunk: pass it.

    **Distributed training** needs the same number of chunks in every process: pass ``length``, or batches
    that are equally long everywhere; others raise an error. Lightning puts no DistributedSampler into a
    loader that it does not see, so give the inner one its own.

    Args:
        loader: gives dicts of tensors, batch first, or tuples of tensors (see ``names``).
        steps: time steps of a chunk; the last one of a batch may be shorter.
        length: T, time steps of every batch; it makes ``len`` known. None for batches of different lengths;
            with ``lengths`` they then end with their longest row.
        sequence_keys: names of the tensors to cut; None for all of two axes or more, which must then agree in
            T.
        names: names of the tensors where the loader gives tuples, such as ``("x", "y")`` for a TensorDataset.

    Raises:
        DataError: an argument is wrong (at once), or a batch is (when it comes): no dict, sequences that
            disagree about T, another T than ``length``, or another number of chunks than in other processes.

    Example:
        >>> loader = DataLoader(TensorDataset(x, y), batch_size=16)  # x [N, 5000, 3], y [N, 5000, 1]
        >>> chunks = TBPTTLoader(loader, 100, length=5000, names=("x", "y"))
        >>> trainer.fit(model, chunks)
    """

    def __init__(
        self,
        loader: Iterable[Any],
        steps: int,
        *,
        length: int | None = None,
        sequence_keys: Collection[str] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        for name, value in (("steps", steps), ("length", length)):
            if value is None and name == "length":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise DataError(f"{name}: expected a whole number of at least 1, got {value!r}")
        if isinstance(sequence_keys, str) or isinstance(names, str):
            raise DataError("sequence_keys and names: expected a list of names, got a single text")
        self.loader = loader
        self.steps = steps
        self.length = length
        self.sequence_keys = None if sequence_keys is None else tuple(sequence_keys)
        self.names = None if names is None else tuple(names)
        self._before: Any = None  # the inner loader's state before the batch that is being handed out
        self._chunk = 0  # chunks of it that were handed out; 0 if all were
        self._resume_at = 0
        self._resume_epoch: int | None = None

    def __len__(self) -> int:
        """Number of chunks of an epoch; TypeError where ``length`` is None or the inner loader has no len."""
        if self.length is None:
            raise TypeError("TBPTTLoader has no length, for it was made with length=None")
        return len(self.loader) * -(-self.length // self.steps)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Batch]:
        """Chunks of one epoch, or what is left of it after ``load_state_dict``."""
        self._check_sampler()
        same_epoch = self._resume_epoch == getattr(self.sampler, "epoch", None)
        skip, self._resume_at, self._resume_epoch = (self._resume_at if same_epoch else 0), 0, None
        self._chunk = 0
        batches = iter(self.loader)
        while True:
            self._before = self._inner_state()
            try:
                batch = self._named(next(batches))
            except StopIteration:
                break
            total = self._chunk_end(batch)
            count = -(-total // self.steps)
            for index in range(skip, count):
                begin = index * self.steps
                self._chunk = (index + 1) % count
                yield time_chunk(batch, begin, min(begin + self.steps, total), self.sequence_keys)
            skip = 0

    def state_dict(self) -> dict[str, Any]:
        """Position: {"loader": the inner loader's state or None, "chunk": chunks of its next batch given}."""
        return {"loader": self._before if self._chunk else self._inner_state(), "chunk": self._chunk}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from ``state``; an inner loader without a state starts its epoch anew."""
        inner, load = state["loader"], getattr(self.loader, "load_state_dict", None)
        self._before = inner
        self._chunk = self._resume_at = 0
        if inner is not None and load is not None:
            load(inner)
            self._chunk = self._resume_at = int(state["chunk"])
        self._resume_epoch = getattr(self.sampler, "epoch", None)

    @property
    def sampler(self) -> Any:
        """The inner loader's sampler, whose epoch Lightning sets; None if it has none."""
        return getattr(self.loader, "sampler", None)

    @property
    def batch_sampler(self) -> Any:
        """The inner loader's batch sampler; None if it has none."""
        return getattr(self.loader, "batch_sampler", None)

    def _inner_state(self) -> Any:
        state_dict = getattr(self.loader, "state_dict", None)
        return None if state_dict is None else state_dict()

    def _named(self, batch: Any) -> Mapping[str, Tensor]:
        if isinstance(batch, Mapping):
            return batch
        if not isinstance(batch, tuple | list) or self.names is None:
            raise DataError(
                f"batch: expected a dict of tensors, got {type(batch).__name__}; where a loader gives "
                "tuples, say what their tensors are: TBPTTLoader(loader, steps, names=('x', 'y'))"
            )
        if len(batch) != len(self.names):
            raise DataError(
                f"names: expected {len(batch)}, one for each tensor of the batch, got {self.names}"
            )
        return dict(zip(self.names, batch, strict=True))

    def _chunk_end(self, batch: Mapping[str, Tensor]) -> int:
        """Time steps of a batch that are cut into chunks."""
        total = sequence_length(batch, self.sequence_keys)
        if self.length is not None:
            if total != self.length:
                raise DataError(
                    f"length: expected every batch to have {self.length} time steps, got one of {total}; "
                    "pass length=None for batches of different lengths"
                )
            return total
        if batch.get(LENGTHS) is not None and not is_window_batch(batch):
            total = max(int(batch[LENGTHS].max()), 1) if len(batch[LENGTHS]) else total
        if _processes() > 1:
            counts: list[Any] = [None] * _processes()
            torch.distributed.all_gather_object(counts, -(-total // self.steps))
            if len(set(counts)) > 1:
                raise DataError(
                    f"batch: expected the same number of time chunks in all processes, got {counts}; pad the "
                    "batches of all processes to one length"
                )
        return total

    def _check_sampler(self) -> None:
        if _processes() == 1 or not isinstance(self.loader, DataLoader):
            return
        if isinstance(self.sampler, DistributedSampler) or isinstance(self.loader.dataset, IterableDataset):
            return
        warnings.warn(
            f"TBPTTLoader: the inner loader has no DistributedSampler, so each of the {_processes()} "
            "processes trains on all of its batches; make it with sampler=DistributedSampler(dataset)",
            stacklevel=3,
        )


def _processes() -> int:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_world_size()
    return 1
