"""Finding the values of the training part that a transform is fitted on."""

from collections.abc import Iterable, Mapping
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from seqlight.transforms.training_part import TrainingPart

MOST_CELLS = 10_000_000
"""Cells taken from a data loader at most, so that an endless one does not hang."""


def values_of_loader(
    loader: Iterable[Any], *, as_windows: bool = False, prefix: str = "past_"
) -> tuple[Tensor, Tensor] | None:
    """Collect the past windows of a data loader, leaving the random state as it was.

    Args:
        loader: the batches.
        as_windows: whether to keep the windows, which then must have one length, or just their rows.
        prefix: of the batches' keys ``target`` and ``observed``.

    Returns:
        ``(values, observed)``, both ``[N, C]`` or, as windows, ``[N, L, C]``; None if no batch is a dict with
        such a target. Rows that many windows share come as often as that.

    """
    values, observed, cells = [], [], 0
    with isolate_rng():
        for batch in loader:
            if not isinstance(batch, Mapping) or f"{prefix}target" not in batch:
                return None
            past = batch[f"{prefix}target"]
            known = ~past.isnan()
            if batch.get(f"{prefix}observed") is not None:
                known &= batch[f"{prefix}observed"].bool()
            values.append(past if as_windows else past.flatten(0, 1))
            observed.append(known if as_windows else known.flatten(0, 1))
            cells += past.numel()
            if cells >= MOST_CELLS:
                break
    return (torch.cat(values), torch.cat(observed)) if values else None


def large_part_of(data: Any) -> TrainingPart | None:
    """Return the training part of a DataModule where it is too large for a copy; None where there is none."""
    part: TrainingPart | None = data.training_part() if hasattr(data, "training_part") else None
    return part


def values_of_trainer(
    trainer: lightning.Trainer, *, as_windows: bool = False, prefix: str = "past_"
) -> tuple[Tensor, Tensor] | None:
    """Find the training part of what ``Trainer.fit`` was given.

    A DataModule's ``training_target()`` (each row once) comes before the batches of its training loader.

    Args:
        trainer: the Trainer.
        as_windows: whether windows are wanted, and so the loader's batches in any case.
        prefix: of the batches' keys ``target`` and ``observed``.

    Returns:
        ``(values, observed)``, both ``[N, C]`` or, as windows, ``[N, L, C]``; None if there is nothing to
        find.

    """
    training_target = getattr(trainer.datamodule, "training_target", None)  # type: ignore[attr-defined]
    if training_target is not None and not as_windows:
        values, observed = training_target()
        return values, observed
    # Lightning has no public name for the loaders it was given before it has set them up, which comes too
    # late.
    source = trainer.fit_loop._data_source
    loader = source.dataloader() if source.is_defined() else None
    found = None
    if isinstance(loader, Iterable):
        found = values_of_loader(loader, as_windows=as_windows, prefix=prefix)
    if found is None or trainer.world_size == 1:
        return found
    # A loader may hold one process's share of the windows only; the transform is to be that of all of them.
    shares: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(shares, found)
    return torch.cat([values for values, _ in shares]), torch.cat([observed for _, observed in shares])
