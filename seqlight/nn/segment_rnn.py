"""A recurrent layer over segments of a window, decoded at all future segments at once."""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from seqlight.nn.gru import GRU
from seqlight.nn.lstm import LSTM
from seqlight.nn.recurrent import Recurrent
from seqlight.nn.rnn import RNN

_CELLS: dict[str, type[Recurrent[Any]]] = {"gru": GRU, "lstm": LSTM, "rnn": RNN}


class SegmentRNN(nn.Module):
    r"""Reads a window in segments of w steps, and answers with all steps of the future (Lin et al., "SegRNN:
    Segment recurrent neural network for long-term time series forecasting", 2023).

    A window of L steps becomes n = L / w vectors, over which one recurrent layer takes n steps in place of L.
    From its last state s the same layer takes one single step for each of the m = H / w segments of the
    future, side by side, from an input that says which segment, and which channel, is wanted:

    .. math::
        e_i &= \text{relu}(W_e [x_{(i-1) w + 1}, \ldots, x_{i w}] + b_e) & i &= 1 \ldots n \\
        s &= \text{cell}(e_1, \ldots, e_n) \\
        g_j &= \text{cell}([p_j, q_c]; s) & j &= 1 \ldots m \\
        [y_{(j-1) w + 1}, \ldots, y_{j w}] &= W_o \, \text{dropout}(g_j) + b_o

    with p a learned vector for each future segment and q one for each channel. So the number of steps in
    which errors and gradients travel is that of segments. Where w does not divide L, the first segment is
    filled with zeros in front; where it does not divide H, the last one is cut.

    With ``skip_size`` the first channels of the input also reach the output by one linear layer beside all
    this, :math:`y + W_s x + b_s`, so that the recurrence learns what a linear forecast leaves.

    Args:
        input_size: channels I of each input step.
        output_size: channels K of each future step.
        context_length: number L of input steps.
        prediction_length: number H of future steps.
        segment_length: number w of steps of a segment.
        hidden_size: units d of the recurrent layer, an even number where there is more than one channel.
        cell: ``"gru"``, ``"lstm"`` or ``"rnn"``.
        channels: C, where rows are channels of a window, one after the other, as those of
            :class:`ChannelIndependent` are: row r then has the vector q of channel ``r % C``. 1 for none.
        dropout: probability of dropping an element of g, in training.
        skip_size: channels of the input, the first ones, of the linear layer from input to output; 0 for no
            such layer.

    Raises:
        ValueError: a size below 1, an unknown cell, or an odd ``hidden_size`` with several channels.

    Example:
        >>> net = seqlight.nn.SegmentRNN(1, 1, 96, 48, segment_length=24, hidden_size=64)
        >>> output, _ = net(torch.randn(32, 96, 1))
        >>> output.shape
        torch.Size([32, 1, 48])
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        context_length: int,
        prediction_length: int,
        *,
        segment_length: int = 24,
        hidden_size: int = 128,
        cell: Literal["gru", "lstm", "rnn"] = "gru",
        channels: int = 1,
        dropout: float = 0.0,
        skip_size: int = 0,
    ) -> None:
        super().__init__()
        sizes = {
            "input_size": input_size,
            "output_size": output_size,
            "context_length": context_length,
            "prediction_length": prediction_length,
            "segment_length": segment_length,
            "hidden_size": hidden_size,
            "channels": channels,
        }
        for name, size in sizes.items():
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise ValueError(f"SegmentRNN: {name} expected an integer of at least 1, got {size!r}")
        if cell not in _CELLS:
            raise ValueError(f"SegmentRNN: cell expected one of {', '.join(_CELLS)}, got {cell!r}")
        if isinstance(skip_size, bool) or not isinstance(skip_size, int) or not 0 <= skip_size <= input_size:
            raise ValueError(
                f"SegmentRNN: skip_size expected an integer from 0 to input_size = {input_size}, got "
                f"{skip_size!r}"
            )
        if channels > 1 and hidden_size % 2:
            raise ValueError(
                f"SegmentRNN: hidden_size expected an even number, half of which tells the {channels} "
                f"channels apart, got {hidden_size}"
            )
        self.context_length = context_length
        self.prediction_length = prediction_length
        self.segment_length = segment_length
        self.channels = channels
        self.segments = math.ceil(prediction_length / segment_length)
        self.embedding = nn.Linear(segment_length * input_size, hidden_size)
        self.core = _CELLS[cell](hidden_size, hidden_size)
        of_position = hidden_size if channels == 1 else hidden_size // 2
        self.positions = nn.Parameter(torch.randn(self.segments, of_position))
        self.channel_embedding: nn.Parameter | None = None
        if channels > 1:
            self.channel_embedding = nn.Parameter(torch.randn(channels, hidden_size - of_position))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, segment_length * output_size)
        self.skip_size = skip_size
        self.skip: nn.Linear | None = None
        if skip_size:
            self.skip = nn.Linear(context_length * skip_size, prediction_length * output_size)

    def forward(self, x: Tensor, state: None = None) -> tuple[Tensor, None]:
        """Return the future ``[B, 1, H * K]``, steps first, of a window ``[B, L, I]``, and no state."""
        if x.shape[1] != self.context_length:
            raise ValueError(f"x: expected {self.context_length} steps, got {x.shape[1]}")
        in_front = -self.context_length % self.segment_length
        segments = pad(x, (0, 0, in_front, 0)).unflatten(1, (-1, self.segment_length)).flatten(2)
        _, state_of_past = self.core(relu(self.embedding(segments)))
        repeated = _repeated(state_of_past, self.segments)
        decoded, _ = self.core(self._wanted(x.shape[0]), repeated)
        future = self.head(self.dropout(decoded)).view(x.shape[0], self.segments * self.segment_length, -1)
        output = future[:, : self.prediction_length].flatten(1)
        if self.skip is not None:
            output = output + self.skip(x[:, :, : self.skip_size].flatten(1))
        return output.unsqueeze(1), None

    def _wanted(self, rows: int) -> Tensor:
        """Return the decoder's inputs ``[rows * m, 1, d]``."""
        positions = self.positions
        if self.channel_embedding is None:
            return positions.expand(rows, -1, -1).reshape(rows * self.segments, 1, -1)
        per_channel = torch.cat(
            [
                positions.unsqueeze(0).expand(self.channels, -1, -1),
                self.channel_embedding.unsqueeze(1).expand(-1, self.segments, -1),
            ],
            dim=2,
        )
        windows = rows // self.channels
        return per_channel.expand(windows, -1, -1, -1).reshape(rows * self.segments, 1, -1)

    def output_steps(self, length: int) -> range:
        """Return the last step: the one output has seen the whole window."""
        return range(length - 1, length)

    def extra_repr(self) -> str:
        """List the sizes."""
        return (
            f"context_length={self.context_length}, prediction_length={self.prediction_length}, "
            f"segment_length={self.segment_length}, channels={self.channels}"
        )


def _repeated(state: Any, times: int) -> Any:
    """Return a state ``[1, B, H]``, or a tuple of such, with each row repeated ``times``."""
    if isinstance(state, tuple):
        return tuple(_repeated(part, times) for part in state)
    return state.repeat_interleave(times, dim=1)
