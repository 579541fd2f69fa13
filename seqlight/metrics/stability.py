"""Stability of forecasts across origins as a torchmetrics class."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from seqlight.metrics.cell_ratio import By, check_parts, counted, sums_of_cells
from seqlight.metrics.functional.stability import forecast_changes


class MeanAbsoluteScaledChange(Metric):
    """Mean of ``|f_new - f_old| / scale`` over all targets that two origins in a row forecast (MASC).

    The vertical stability of Van Belle, Crevits and Verbeke 2023 and of Godahewa et al. 2025, see
    :func:`~seqlight.metrics.functional.forecast_changes`, in units of the denominator of MASE, so that it can
    be set beside MASE; 0 for forecasts that never change. Needs no true values. All forecasts are kept until
    :meth:`compute`, for the window before may be in another batch or process.

    Args:
        by: None, ``"step"`` (a step is that of the newer forecast) or ``"series"``, see :class:`CellRatio`.
        size: the number of steps or of series; needed with ``by``.
        kwargs: of :class:`torchmetrics.Metric`.

    """

    full_state_update = False
    higher_is_better = False

    preds: list[Tensor]
    scales: list[Tensor]
    series: list[Tensor]
    starts: list[Tensor]

    def __init__(self, *, by: By | None = None, size: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_parts(by, size)
        self.by = by
        self.size = size
        for name in ("preds", "scales", "series", "starts"):
            self.add_state(name, [], dist_reduce_fx="cat")  # lists of batches

    def update(self, preds: Tensor, scale: Tensor, series_index: Tensor, start: Tensor) -> None:
        """Add a batch: ``preds`` ``[B, H, C]``, ``scale`` ``[B, C]``, ``series_index``, ``start`` ``[B]``."""
        if scale.shape != (preds.shape[0], preds.shape[-1]):
            raise ValueError(
                f"scale: expected [B, C] = {[preds.shape[0], preds.shape[-1]]}, got {list(scale.shape)}"
            )
        self.preds.append(preds)
        self.scales.append(scale)
        self.series.append(series_index)
        self.starts.append(start)

    def compute(self) -> Tensor:
        """Return the mean: a scalar, ``[H]`` or ``[S]``; NaN where no two origins share a target."""
        if not len(self.preds):
            return torch.full(() if self.size is None else (self.size,), torch.nan)
        preds, scale = dim_zero_cat(self.preds), dim_zero_cat(self.scales)
        series, start = dim_zero_cat(self.series), dim_zero_cat(self.starts)
        usable = torch.where(scale.isfinite() & (scale > 0), scale, torch.nan)
        changes = forecast_changes(preds, series, start).abs().double() / usable[:, None]
        total, count = (
            sums_of_cells(cells, self.by, self.size, series)
            for cells in counted(changes, None, None, leave_out_nan=True)
        )
        return total / count
