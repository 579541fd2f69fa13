"""The network of :class:`~seqlight.models.ConvImputer`: dilated convolutions that see both sides of a gap."""

import torch
from torch import Tensor, nn

from seqlight.models.imputation.gaps import interpolated, nearest_after, nearest_before
from seqlight.nn import CenteredConv1d


class CenteredBlock(nn.Module):
    """A residual block: ``x + dropout(conv(relu(conv(x))))``, both convolutions centred and dilated."""

    def __init__(self, channels: int, kernel_size: int, dilation: int, *, dropout: float) -> None:
        super().__init__()
        self.first = CenteredConv1d(channels, channels, kernel_size, dilation)
        self.second = CenteredConv1d(channels, channels, kernel_size, dilation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, T, channels]`` to the same."""
        h, _ = self.first(x, activation="relu")
        h, _ = self.second(h)
        return x + self.dropout(h)


class ConvolutionalImputation(nn.Module):
    """What has to be added to linear interpolation, by residual blocks of dilations 1, 2, 4, ...

    Args:
        hidden_size: channels of the convolutions.
        num_blocks: residual blocks.
        kernel_size: taps, an odd number.
        target_size: C.
        covariate_size: K.
        dropout: probability of dropping an element of a block's result in training.

    """

    def __init__(
        self,
        hidden_size: int,
        num_blocks: int,
        kernel_size: int,
        *,
        target_size: int,
        covariate_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.entry = nn.Linear(4 * target_size + covariate_size, hidden_size)
        self.blocks = nn.Sequential(
            *(CenteredBlock(hidden_size, kernel_size, 2**i, dropout=dropout) for i in range(num_blocks))
        )
        self.output = nn.Linear(hidden_size, target_size)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(
        self, values: Tensor, observed: Tensor, times: Tensor, covariates: Tensor | None = None
    ) -> tuple[Tensor, tuple[()]]:
        """Return the estimate ``[B, T, C]`` and no directions; see ``ConvImputer``."""
        before = nearest_before(values, observed, times, strictly=False)
        after = nearest_after(values, observed, times, strictly=False)
        line = interpolated(before, after).to(values.dtype)
        parts = [line, observed.to(values.dtype)]
        parts += [torch.log1p(side.distance).to(values.dtype) for side in (before, after)]
        if covariates is not None:
            parts.append(covariates)
        h = self.blocks(torch.relu(self.entry(torch.cat(parts, -1))))
        return line + self.output(torch.relu(h)), ()
