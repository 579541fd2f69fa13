"""Temporal convolutional network: residual blocks of dilated causal convolutions."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch.nn.utils.parametrizations import weight_norm

from seqlight.nn.convolution import CausalConv1d, as_one_step

State = tuple[Tensor, ...]


class TCN(nn.Module):
    r"""Temporal convolutional network over [B, T, C] (Bai, Kolter and Koltun, "An empirical evaluation of
    generic convolutional and recurrent networks for sequence modeling", 2018).

    `num_blocks` residual blocks, block i of dilation 2^i: twice a dilated causal convolution with weight
    normalisation, ReLU and dropout; the block's input (through a 1x1 convolution where the widths differ) is
    added and goes through a last ReLU.

    ``output, state = net(x, state=None)``: output [B, T, hidden_size]; the state is a tuple of one tensor per
    dilated convolution, the last inputs of each. Running in chunks with the state handed on equals running
    whole.

    Args:
        input_size: number of input channels.
        hidden_size: channels of the convolutions and of the output.
        num_blocks: number of residual blocks.
        kernel_size: taps of the convolutions.
        dropout: probability of dropping an element after a convolution, in training.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        ValueError: a size below 1, or a dropout outside 0..1.

    Example:
        >>> net = seqlight.nn.TCN(3, 32, num_blocks=4, kernel_size=3)
        >>> output, state = net(torch.randn(8, 100, 3))
        >>> output.shape, net.receptive_field
        (torch.Size([8, 100, 32]), 61)
    """

    #: The batch axis of the state's tensors, for those who carry it from batch to batch.
    state_batch_dim = 0

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_blocks: int = 4,
        kernel_size: int = 3,
        dropout: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        sizes = {
            "input_size": input_size,
            "hidden_size": hidden_size,
            "num_blocks": num_blocks,
            "kernel_size": kernel_size,
        }
        for name, size in sizes.items():
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise ValueError(f"TCN: {name} expected an integer of at least 1, got {size!r}")
        if not 0 <= dropout <= 1:
            raise ValueError(f"TCN: dropout expected a probability between 0 and 1, got {dropout!r}")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.kernel_size = kernel_size
        self.dilations = tuple(2**block for block in range(num_blocks))
        widths = [input_size] + [hidden_size] * (num_blocks - 1)
        self.blocks = nn.ModuleList(
            TCNBlock(width, hidden_size, kernel_size, dilation, dropout=dropout, device=device, dtype=dtype)
            for width, dilation in zip(widths, self.dilations, strict=True)
        )

    @property
    def receptive_field(self) -> int:
        """Number of inputs that an output depends on, from the oldest to the current."""
        return 2 * (self.kernel_size - 1) * sum(self.dilations) + 1

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run over a batch of sequences.

        Args:
            x: [B, T, input_size].
            state: as returned by an earlier call; None for zeros.

        Returns:
            ``(output, state)``: [B, T, hidden_size] and two tensors per block.

        Raises:
            ValueError: a wrong shape.
            TypeError: not a tensor, a wrong dtype, or a state that is no tuple of tensors.
        """
        count = 2 * len(self.blocks)
        before: tuple[Tensor | None, ...] = (None,) * count
        if state is not None:
            if not isinstance(state, tuple | list) or not all(isinstance(part, Tensor) for part in state):
                raise TypeError(
                    f"TCN: state expected the tuple of tensors that forward returned, "
                    f"got {type(state).__name__}"
                )
            if len(state) != count:
                raise ValueError(f"TCN: state expected {count} tensors, two per block, got {len(state)}")
            before = tuple(state)
        after: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            x, new = block(x, before[2 * index : 2 * index + 2])
            after.extend(new)
        return x, tuple(after)

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run one time step, for streaming.

        Args:
            x_t: [B, input_size].
            state: as returned by :meth:`forward` or an earlier step; None for zeros.

        Returns:
            ``(output, state)`` with output [B, hidden_size].

        Raises:
            ValueError: a wrong shape.
            TypeError: not a tensor, a wrong dtype, or a state that is no tuple of tensors.
        """
        output, state = self.forward(as_one_step(self, x_t, self.input_size), state)
        return output.squeeze(1), state


class TCNBlock(nn.Module):
    """One residual block: twice convolution, weight normalisation, ReLU and dropout; then add and ReLU.

    Args:
        in_channels: of the input.
        channels: of both convolutions and the output.
        kernel_size: of the convolutions.
        dilation: of the convolutions.
        dropout: probability of dropping an element after a convolution, in training.
        device: of the parameters.
        dtype: of the parameters.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel_size: int,
        dilation: int,
        *,
        dropout: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.dropout = float(dropout)
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        self.convs = nn.ModuleList(
            weight_norm(CausalConv1d(width, channels, kernel_size, dilation, **options))
            for width in (in_channels, channels)
        )
        self.shortcut = nn.Linear(in_channels, channels, **options) if in_channels != channels else None

    def forward(
        self, x: Tensor, state: tuple[Tensor | None, ...] = (None, None)
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Give the output [B, T, channels] and the new states of both convolutions."""
        h, after = x, []
        for conv, old in zip(self.convs, state, strict=True):
            h, new = conv(h, old, activation="relu")
            if self.dropout > 0:
                h = dropout(h, self.dropout, self.training)
            after.append(new)
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return torch.relu(h + shortcut), tuple(after)
