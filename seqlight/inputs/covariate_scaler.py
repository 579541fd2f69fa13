"""Numeric covariates brought to a scale of about 1."""

import torch
from torch import Tensor, nn


class CovariateScaler(nn.Module):
    """``(x - mean) / std`` of each column, by numbers of the training part that the checkpoint keeps.

    Until :meth:`fit` it leaves values as they are. A column of one value only is moved to 0, not stretched.

    Args:
        size: number K of columns.

    """

    fitted: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("fitted", torch.tensor(False))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    @torch.no_grad()
    def fit(self, mean: Tensor, std: Tensor) -> None:
        """Take over means ``[K]`` and standard deviations ``[K]``; NaN is that of a column without values.

        Raises:
            ValueError: another number of columns.

        """
        for name, value in (("mean", mean), ("std", std)):
            if value.shape != self.mean.shape:
                raise ValueError(
                    f"covariate_statistics: expected a {name} of shape {list(self.mean.shape)}, one for each "
                    f"covariate that the model was built for, got {list(value.shape)}"
                )
        self.mean.copy_(mean.nan_to_num(0.0))
        std = std.nan_to_num(1.0)
        # What rounding leaves of a constant column is no scale.
        constant = std <= 1e-6 * self.mean.abs().clamp(min=1e-30).to(std)
        self.fitted.fill_(True)
        self.std.copy_(torch.where(constant, 1.0, std))

    def forward(self, x: Tensor) -> Tensor:
        """Return scaled values of ``[..., K]``; NaN stays NaN."""
        return (x - self.mean.to(x.dtype)) / self.std.to(x.dtype)
