"""What the forecasters with a convolution in front of recurrent layers share."""

from typing import Any

from torch import nn

from seqlight.models.forecasting.convolution_in_front import ConvolutionInFront
from seqlight.models.forecasting.recurrent import RecurrentForecaster
from seqlight.models.lightning.checks import check_integer


class ConvRecurrentForecaster(RecurrentForecaster):
    """Base of the forecasters with a strided convolution in front of their recurrent layers.

    The convolution turns ``context_length`` steps into (context_length - kernel_size) // stride + 1, see
    :class:`~seqlight.models.convolution_in_front.ConvolutionInFront`: fewer steps to travel through for the
    gradient, each of them wider. Targets are cropped and strided to match, so the every-step strategy has one
    for each step that is left. The recursive strategy has an output for the last step alone to feed back,
    and runs over the whole context again for every future step.

    Args:
        filters: channels of the convolution.
        kernel_size: its taps, at most ``context_length``.
        stride: its stride; 1 keeps all steps but the first ``kernel_size - 1``.
        kwargs: the arguments of :class:`RecurrentForecaster` (``hidden_size``, ``num_layers``, ``dropout``)
            and :class:`Forecaster`.

    """

    def __init__(self, *, filters: int = 20, kernel_size: int = 4, stride: int = 2, **kwargs: Any) -> None:
        check_integer("filters", filters, 1)
        check_integer("kernel_size", kernel_size, 1)
        check_integer("stride", stride, 1)
        super().__init__(**kwargs)

    @property
    def core_input_size(self) -> int:
        """The convolution's channels."""
        filters: int = self.hparams["filters"]
        return filters

    def build_network(self) -> nn.Module:
        """Return the convolution, the recurrent layers and their output layer.

        Raises:
            ValueError: the context is shorter than the convolution's kernel.

        """
        filters, kernel_size, stride = (self.hparams[name] for name in ("filters", "kernel_size", "stride"))
        if self.context_length < kernel_size:
            raise ValueError(
                f"context_length: expected at least kernel_size = {kernel_size}, for the convolution sees "
                f"whole kernels only, got {self.context_length}; lengthen the context or set a smaller "
                "kernel_size"
            )
        convolution = nn.Conv1d(self.input_size, filters, kernel_size, stride)
        return ConvolutionInFront(convolution, super().build_network())
