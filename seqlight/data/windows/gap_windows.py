"""Windows that cover whole series, gaps included, with the time between their rows."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from seqlight.data.store.series_store import SeriesStore

Batch = dict[str, Tensor]


class GapWindows(Dataset[Batch]):
    """Overlapping windows of ``window_length`` rows that together cover every row of every series.

    The windows of a series begin at rows 0, ``stride``, 2 ``stride``, ...; the last one ends with the series.
    A series that is shorter than a window has one, whose rest is missing. ``dataset[i]`` is one window
    without a batch dimension, ``dataset.__getitems__(indices)`` a whole batch.

    A batch is a dict (B windows, T rows, C channels, K covariates), in original units:
    ``target`` [B, T, C] (float32, missing and hidden cells NaN), ``observed`` [B, T, C] (bool, what is not
    NaN), ``time_gap`` [B, T] (float32, time since the row before, in typical steps of the series),
    ``covariates`` [B, T, K] (float32, if there are any), ``held_out_target`` [B, T, C] (float32, if
    ``held_out`` is given: the true values of hidden cells, NaN elsewhere), ``series_index`` [B] and ``start``
    [B] (int64, the window's first row in its series).

    Where windows overlap, a held-out cell is in ``held_out_target`` of one of them only, the one in whose
    middle it is, so that it is judged once and with context on both sides.

    Args:
        store: the series.
        window_length: T.
        stride: distance between the windows of a series, at most T.
        time_gap: [rows] float32.
        covariates: [rows, K] float32, or None.
        hidden: bool [rows, C], cells that the windows do not show; None hides none.
        held_out: bool [rows, C], hidden cells whose values are to be told; None for no ``held_out_target``.
    """

    def __init__(
        self,
        store: SeriesStore,
        *,
        window_length: int,
        stride: int,
        time_gap: NDArray[np.float32],
        covariates: NDArray[np.float32] | None = None,
        hidden: NDArray[np.bool_] | None = None,
        held_out: NDArray[np.bool_] | None = None,
    ) -> None:
        self.window_length = window_length
        values = torch.from_numpy(store.values)
        self._visible = values if hidden is None else values.masked_fill(torch.from_numpy(hidden), torch.nan)
        self._held_out = None
        if held_out is not None:
            self._held_out = values.masked_fill(~torch.from_numpy(held_out), torch.nan)
        self._time_gap = torch.from_numpy(time_gap)
        self._covariates = None if covariates is None else torch.from_numpy(covariates)
        series, starts, owned = _cover(store.lengths, window_length, stride)
        self._series, self._start = torch.from_numpy(series), torch.from_numpy(starts)
        self._owned = torch.from_numpy(owned)
        self._row = torch.from_numpy(store.indptr[series] + starts)
        self._stop = torch.from_numpy(store.indptr[series + 1])

    def __len__(self) -> int:
        """Number of windows."""
        return len(self._start)

    def __getitem__(self, index: int) -> Batch:
        """One window, without the batch dimension."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        return {name: tensor[0] for name, tensor in self.__getitems__([index % len(self)]).items()}

    def __getitems__(self, indices: Sequence[int] | Tensor) -> Batch:
        """The batch of the windows with these numbers."""
        number = torch.as_tensor(indices, dtype=torch.int64)
        step = torch.arange(self.window_length)
        row = self._row[number, None] + step
        stop = self._stop[number, None]
        beyond = row >= stop  # the rest of a series shorter than a window
        row = torch.minimum(row, stop - 1)
        target = self._visible[row].masked_fill_(beyond[..., None], torch.nan)
        batch = {
            "target": target,
            "observed": ~target.isnan(),
            "time_gap": self._time_gap[row].masked_fill_(beyond, 1.0),
        }
        if self._covariates is not None:
            batch["covariates"] = self._covariates[row].masked_fill_(beyond[..., None], 0.0)
        if self._held_out is not None:
            owned = self._owned[number]
            others = (step < owned[:, :1]) | (step >= owned[:, 1:]) | beyond
            batch["held_out_target"] = self._held_out[row].masked_fill_(others[..., None], torch.nan)
        batch["series_index"] = self._series[number]
        batch["start"] = self._start[number]
        return batch


def _cover(
    lengths: NDArray[np.int64], window_length: int, stride: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Windows over all rows: series [W], first row [W], and the rows [W, 2] of the window that it owns.

    Two windows that overlap share the overlap half and half.
    """
    series, starts, owned = [], [], []
    for index, length in enumerate(lengths.tolist()):
        if not length:
            continue
        last = max(length - window_length, 0)
        begins = np.unique(np.append(np.arange(0, last, stride), last)).astype(np.int64)
        middle = (begins[1:] + begins[:-1] + window_length) // 2
        edges = np.concatenate([[0], middle, [last + window_length]])
        series.append(np.full(len(begins), index, np.int64))
        starts.append(begins)
        owned.append(np.stack([edges[:-1] - begins, edges[1:] - begins], axis=1))
    return np.concatenate(series), np.concatenate(starts), np.concatenate(owned)
