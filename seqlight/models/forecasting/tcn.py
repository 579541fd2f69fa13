"""The TCN forecaster."""

from typing import Any

from torch import nn

from seqlight.models.forecasting.forecaster import Forecaster
from seqlight.models.forecasting.network import SequenceNetwork
from seqlight.models.lightning.checks import check_integer, check_number
from seqlight.nn import TCN


class TCNForecaster(Forecaster):
    """A temporal convolutional network, see :class:`seqlight.nn.TCN`, and a linear output layer.

    The forecast depends on the last 1 + 2 * (kernel_size - 1) * (2^num_blocks - 1) steps of the context.

    Args:
        hidden_size: channels of the convolutions.
        num_blocks: residual blocks, with dilations 1, 2, 4, ..., 2^(num_blocks - 1).
        kernel_size: taps of the convolutions.
        dropout: probability of dropping an element after a convolution, in training.
        kwargs: the arguments of :class:`Forecaster`.

    """

    def __init__(
        self,
        *,
        hidden_size: int = 32,
        num_blocks: int = 4,
        kernel_size: int = 3,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        check_integer("hidden_size", hidden_size, 1)
        check_integer("num_blocks", num_blocks, 1)
        check_integer("kernel_size", kernel_size, 1)
        check_number("dropout", dropout, 0.0, below=1.0)
        super().__init__(**kwargs)

    def build_network(self) -> nn.Module:
        """Return the TCN with its output layer."""
        hidden_size = self.hparams["hidden_size"]
        names = ("num_blocks", "kernel_size", "dropout")
        core = TCN(self.input_size, hidden_size, **{name: self.hparams[name] for name in names})
        head = nn.Linear(hidden_size, self.output_size)
        return SequenceNetwork(core, head, last_only=self.strategy.sequence_to_vector)
