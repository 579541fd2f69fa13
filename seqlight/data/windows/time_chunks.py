"""Cutting a batch of sequences into chunks of time."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from seqlight.data.errors import DataError

Batch = dict[str, Tensor]

RESET = "reset"
"""The batch entry, bool [B], that says which rows start anew instead of continuing the batch before."""

LENGTHS = "lengths"
"""The batch entry, int [B], that says how many steps of each padded row count."""

# What lies over a window's past, and what goes on with it over the future; None where nothing is known of it.
_OVER_PAST_AND_FUTURE = {
    "past_target": "future_target",
    "past_observed": "future_observed",
    "past_covariates": None,
    "past_categories": None,
    "historic_future_covariates": "future_covariates",
    "historic_future_categories": "future_categories",
}


def is_window_batch(batch: Mapping[str, Tensor]) -> bool:
    """Whether a batch holds windows with a past and a future, as those of :class:`WindowDataset`."""
    return "past_target" in batch and "future_target" in batch


def sequence_length(batch: Mapping[str, Tensor], sequence_keys: Collection[str] | None = None) -> int:
    """Return T, the number of time steps that a batch is cut along.

    Args:
        batch: windows, or tensors of which those named have time as their second axis.
        sequence_keys: these; None for all tensors of two axes or more.

    Raises:
        DataError: nothing to cut, or tensors that disagree about T.
    """
    if is_window_batch(batch):
        return int(batch["past_target"].shape[1])
    keys = [key for key, value in batch.items() if isinstance(value, Tensor) and value.dim() > 1]
    if sequence_keys is not None:
        missing = [key for key in sequence_keys if key not in keys]
        if missing:
            raise DataError(
                f"sequence_keys: expected names of the batch's tensors [B, T, ...], got {missing[0]!r}; it "
                f"has {', '.join(map(repr, keys)) or 'none'}"
            )
        keys = [key for key in keys if key in sequence_keys]
    lengths = {key: int(batch[key].shape[1]) for key in keys}
    if not lengths:
        raise DataError("batch: expected at least one tensor [B, T, ...] to cut along time, got none")
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"batch: expected one number of time steps (axis 1) in all sequences, got {lengths}; name those "
            "to cut with sequence_keys, the others go into every chunk whole"
        )
    return next(iter(lengths.values()))


def time_chunk(
    batch: Mapping[str, Tensor], begin: int, end: int, sequence_keys: Collection[str] | None = None
) -> Batch:
    """Return the steps ``begin`` to ``end - 1`` of a batch, with its reset mask.

    Of windows (``past_target`` [B, L, C], ``future_target`` [B, H, C] and what belongs to them) these are the
    steps of the past, with the H steps that follow them as the future, so that the targets of all chunks
    together are those of the window. ``start`` and ``phase`` move along.

    Of other batches every sequence [B, T, ...] is cut, and ``lengths`` [B] becomes the number of steps of
    each row that fall into the chunk. Everything else goes into every chunk whole.

    The mask ``reset`` [B] is the batch's own (all True if it has none) in the first chunk, False in others.
    """
    windows = is_window_batch(batch)
    chunk = dict(batch)
    if windows:
        past, future = batch["past_target"].shape[1], batch["future_target"].shape[1]
        for over_past, over_future in _OVER_PAST_AND_FUTURE.items():
            if batch.get(over_past) is None:
                continue
            chunk[over_past] = batch[over_past][:, begin:end]
            if over_future is not None and batch.get(over_future) is not None:
                # The future of a chunk begins in the past of its window.
                following = torch.cat([batch[over_past][:, end : end + future], batch[over_future]], dim=1)
                chunk[over_future] = following[:, :future]
        for name in ("start", "phase"):
            if batch.get(name) is not None:
                chunk[name] = batch[name] - (past - end)
        rows = batch["past_target"]
    else:
        keys = [key for key, value in batch.items() if isinstance(value, Tensor) and value.dim() > 1]
        keys = keys if sequence_keys is None else [key for key in keys if key in sequence_keys]
        for key in keys:
            chunk[key] = batch[key][:, begin:end]
        if batch.get(LENGTHS) is not None:
            chunk[LENGTHS] = (batch[LENGTHS] - begin).clamp(0, end - begin)
        rows = batch[keys[0]]
    if begin > 0 or batch.get(RESET) is None:
        chunk[RESET] = torch.full((len(rows),), begin == 0, dtype=torch.bool, device=rows.device)
    return chunk
