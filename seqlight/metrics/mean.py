"""A mean over cells, however they were split into batches."""

import torch
from torch import Tensor
from torchmetrics import Metric


class MeanOverCells(Metric):
    """Mean of a quantity from its sums and counts over batches and processes; NaN over no cell."""

    full_state_update = False

    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, total: Tensor, count: Tensor) -> None:
        """Add a batch's sum and its count of cells, two scalars."""
        self.total += total.to(self.total.dtype)
        self.count += count.to(self.count.dtype)

    def compute(self) -> Tensor:
        """Return the mean so far."""
        return self.total / self.count
