"""The WaveNet forecaster."""

from typing import Any

from torch import nn

from seqlight.models.forecasting.forecaster import Forecaster
from seqlight.models.lightning.checks import check_integer
from seqlight.nn import WaveNet


class WaveNetForecaster(Forecaster):
    """A WaveNet: stacked dilated causal convolutions, see :class:`seqlight.nn.WaveNet`.

    The forecast depends on the last ``network.receptive_field`` steps of the context; 1 + (kernel_size - 1) *
    num_blocks * (2^layers_per_block - 1) steps, and kernel_size - 1 more with gates.

    Args:
        hidden_size: channels of the convolutions.
        num_blocks: how often the dilations start anew.
        layers_per_block: layers with dilations 1, 2, 4, ..., 2^(layers_per_block - 1).
        kernel_size: taps of the convolutions.
        gated: whether to build the paper's form, with gates, residual and skip connections, rather than the
            simple stack with ReLU.
        kwargs: the arguments of :class:`Forecaster`.

    """

    def __init__(
        self,
        *,
        hidden_size: int = 32,
        num_blocks: int = 2,
        layers_per_block: int = 4,
        kernel_size: int = 2,
        gated: bool = True,
        **kwargs: Any,
    ) -> None:
        check_integer("hidden_size", hidden_size, 1)
        check_integer("num_blocks", num_blocks, 1)
        check_integer("layers_per_block", layers_per_block, 1)
        check_integer("kernel_size", kernel_size, 1)
        super().__init__(**kwargs)

    def build_network(self) -> nn.Module:
        """Return the WaveNet, from ``input_size`` to ``output_size`` channels."""
        names = ("hidden_size", "num_blocks", "layers_per_block", "kernel_size", "gated")
        options = {name: self.hparams[name] for name in names}
        return WaveNet(self.input_size, self.output_size, **options)
