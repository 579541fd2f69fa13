"""A stack of LSTM layers that look back several steps at a time."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import pad

from seqlight.nn.lstm import LSTM


class DilatedLSTM(nn.Module):
    r"""LSTM layers with peepholes whose state at t goes on from that at :math:`t - d` (Chang et al., "Dilated
    recurrent neural networks", 2017), in blocks with residual connections, as in Smyl, "A hybrid method of
    exponential smoothing and recurrent neural networks for time series forecasting" (2020).

    A layer of dilation d runs over d sequences of every d-th step, which are rows of one call. The input of a
    block is added to its output, but for the first block, whose input has another size.

    The layers are not causal in chunks: the end of the sequence is what counts, and steps are filled with
    zeros in front where d does not divide their number. So there is no state to go on from.

    Args:
        input_size: channels of the input.
        hidden_size: units of each layer.
        dilations: of the layers of each block, such as ``[[1, 2], [4, 8]]``.

    Raises:
        ValueError: no layer, or a dilation below 1.

    """

    def __init__(self, input_size: int, hidden_size: int, dilations: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.dilations = [list(block) for block in dilations]
        every = [dilation for block in self.dilations for dilation in block]
        if not every or not all(self.dilations) or min(every) < 1:
            raise ValueError(f"dilations: expected blocks such as [[1, 2], [4, 8]], got {dilations}")
        self.layers = nn.ModuleList(
            LSTM(hidden_size if number else input_size, hidden_size, peephole=True)
            for number in range(len(every))
        )

    def forward(self, x: Tensor, state: None = None) -> tuple[Tensor, None]:
        """Return the output ``[B, T, hidden_size]`` of ``[B, T, input_size]``, and no state."""
        layers = iter(self.layers)
        for number, block in enumerate(self.dilations):
            before = x
            for dilation in block:
                x = _dilated(next(layers), x, dilation)
            if number:
                x = x + before
        return x, None

    def extra_repr(self) -> str:
        """Show the dilations."""
        return f"dilations={self.dilations}"


def _dilated(layer: Any, x: Tensor, dilation: int) -> Tensor:
    """Run a layer over every ``dilation``-th step of ``[B, T, C]``, the last step last."""
    if dilation == 1:
        output: Tensor = layer(x)[0]
        return output
    batch, length, _ = x.shape
    in_front = -length % dilation
    rows = pad(x, (0, 0, in_front, 0)).unflatten(1, (-1, dilation)).transpose(1, 2).flatten(0, 1)
    output = layer(rows)[0].unflatten(0, (batch, dilation)).transpose(1, 2).flatten(1, 2)
    return output[:, in_front:]
