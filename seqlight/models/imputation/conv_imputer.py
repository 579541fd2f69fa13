"""The convolutional imputer."""

from typing import Any

from torch import nn

from seqlight.models.imputation.convolutional_imputation import ConvolutionalImputation
from seqlight.models.imputation.imputer import Imputer
from seqlight.models.lightning.checks import check_integer, check_number


class ConvImputer(Imputer):
    """Fills gaps by dilated convolutions that see both sides, as a correction to linear interpolation.

    The input of every row is, per channel, the linear interpolation in time of the observed cells, whether
    the cell is observed, and the logarithms of the times to the last and to the next observed cell (time
    gaps of irregular rows enter there), and the covariates. Residual blocks of two centred convolutions
    (:class:`seqlight.nn.CenteredConv1d`, on the fused causal kernel) with dilations 1, 2, 4, ... follow;
    the last layer begins at zero, so the imputer starts as linear interpolation.

    An estimate sees ``1 + 2 (kernel_size - 1) (2^num_blocks - 1)`` rows around it; wide gaps need that many.
    Its own cell is among them where it is observed, so only hidden cells are trained on.

    Args:
        hidden_size: channels of the convolutions.
        num_blocks: residual blocks.
        kernel_size: taps of the convolutions, an odd number.
        dropout: probability of dropping an element of a block's result in training.
        kwargs: the arguments of :class:`Imputer`; the reconstruction and consistency weights have no effect.

    """

    def __init__(
        self,
        *,
        hidden_size: int = 48,
        num_blocks: int = 6,
        kernel_size: int = 3,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        check_integer("hidden_size", hidden_size, 1)
        check_integer("num_blocks", num_blocks, 1)
        if check_integer("kernel_size", kernel_size, 1) % 2 == 0:
            raise ValueError(
                f"kernel_size: expected an odd number, so that there is a middle, got {kernel_size}"
            )
        check_number("dropout", dropout, 0.0, below=1.0)
        super().__init__(**kwargs)

    def build_network(self) -> nn.Module:
        """Return the convolutions."""
        sizes = (self.hparams[name] for name in ("hidden_size", "num_blocks", "kernel_size"))
        return ConvolutionalImputation(
            *sizes,
            target_size=self.target_size,
            covariate_size=self.covariate_size,
            dropout=self.hparams["dropout"],
        )
