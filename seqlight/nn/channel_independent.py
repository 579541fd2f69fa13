"""One network for every channel of a window by itself."""

from typing import Any

import torch
from torch import Tensor, nn


def fold_channels(x: Tensor, channels: int, of_each: int) -> Tensor:
    """Return rows of one channel each, ``[B * C, T, of_each + rest]``, those of a row one after the other.

    Args:
        x: ``[B, T, of_each * C + rest]``; first what each channel has, kind after kind, then what is common
            to all, which every row is given.
        channels: C.
        of_each: number of kinds, such as a target and whether it was observed.

    """
    batch, length, size = x.shape
    own = x[:, :, : of_each * channels].reshape(batch, length, of_each, channels)
    own = own.permute(0, 3, 1, 2)
    common = x[:, :, of_each * channels :].unsqueeze(1)
    common = common.expand(batch, channels, length, size - of_each * channels)
    return (
        torch.cat([part.reshape(batch * channels, length, -1) for part in (own, common)], dim=2)
        if (size > of_each * channels)
        else own.reshape(batch * channels, length, of_each)
    )


def unfold_channels(output: Tensor, channels: int, horizon: int) -> Tensor:
    """Return the outputs ``[B, T, horizon * C * K]`` of rows ``[B * C, T, horizon * K]`` of one channel each.

    Args:
        output: K numbers for each of ``horizon`` steps.
        channels: C.
        horizon: steps of an output.

    """
    length = output.shape[1]
    parts = output.reshape(-1, channels, length, horizon, output.shape[2] // horizon)
    return parts.permute(0, 2, 3, 1, 4).flatten(2)


class ChannelIndependent(nn.Module):
    """Runs a network on every channel by itself, with one set of weights for all.

    What is known beside the target, such as covariates, is given to each channel. Rows are folded into the
    batch and so cost no loop; the network's state has ``B * C`` rows.

    Args:
        network: ``network(x [B * C, T, I], state) -> (output [B * C, T', horizon * K], state)``, or one with
            ``encode`` and ``decode`` as :class:`EncoderDecoder` has them.
        channels: number C of channels.
        horizon: steps that one of the network's outputs holds.
        of_each: input channels that belong to one channel of the target: 1, or 2 with an indicator.

    """

    def __init__(self, network: nn.Module, channels: int, horizon: int, *, of_each: int = 1) -> None:
        super().__init__()
        self.network = network
        self.channels = channels
        self.horizon = horizon
        self.of_each = of_each

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return the outputs ``[B, T', horizon * C * K]`` and the network's state."""
        output, state = self.network(fold_channels(x, self.channels, self.of_each), state)
        return unfold_channels(output, self.channels, self.horizon), state

    def output_steps(self, length: int) -> range:
        """Return the input step that each output has seen last."""
        declared = getattr(self.network, "output_steps", None)
        return range(length) if declared is None else declared(length)

    def encode(self, x: Tensor) -> Any:
        """Return the state of an encoder after the past."""
        return self.network.encode(fold_channels(x, self.channels, self.of_each))  # type: ignore[operator]

    def decode(self, decoder_inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Run a decoder: outputs ``[B, H, horizon * C * K]`` and its state."""
        folded = fold_channels(decoder_inputs, self.channels, self.of_each)
        output, state = self.network.decode(folded, state)  # type: ignore[operator]
        return unfold_channels(output, self.channels, self.horizon), state

    def extra_repr(self) -> str:
        """List the sizes."""
        return f"channels={self.channels}, horizon={self.horizon}, of_each={self.of_each}"
