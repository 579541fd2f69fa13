"""Dilated convolution that sees as many steps after as before."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from seqlight.nn.convolution import CausalConv1d
from seqlight.ops import ConvActivation


class CenteredConv1d(CausalConv1d):
    r"""Dilated convolution over [B, T, C] whose taps lie symmetrically around each step.

    .. math::
        y_{t,o} = b_o + \sum_{k=0}^{K-1} \sum_i w_{o,i,k} \; x_{t + (k - (K-1)/2) d,\, i}

    zero beyond both ends: torch.nn.Conv1d with ``padding="same"``. It runs on the causal convolution's
    kernel, (K-1)/2 * d steps late. For sequences that are known whole, so it has no state and no ``step``;
    ``output, None = layer(x)``.

    Parameters and arguments are those of :class:`CausalConv1d`; ``kernel_size`` must be odd.

    Raises:
        ValueError: a number below 1, channels that `groups` does not divide, or an even kernel size.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, dilation, groups, bias, device=device, dtype=dtype
        )
        if kernel_size % 2 == 0:
            raise ValueError(
                f"CenteredConv1d: kernel_size expected an odd number, so that there is a middle, "
                f"got {kernel_size}"
            )

    def forward(  # type: ignore[override]
        self, x: Tensor, state: None = None, *, activation: ConvActivation | None = None
    ) -> tuple[Tensor, None]:
        """Convolve a batch of sequences: ``(output [B, T, C_out], None)``.

        Args:
            x: [B, T, C_in].
            state: None; there is none.
            activation: None, ``"relu"`` or ``"gate"``, see :meth:`CausalConv1d.forward`.

        Raises:
            ValueError: a wrong shape or device, or a state.
            TypeError: not a tensor, or a wrong dtype.
        """
        if state is not None:
            raise ValueError("CenteredConv1d: state expected None: it sees the steps to come, in one piece")
        late = self.state_length // 2
        output, _ = super().forward(pad(x, (0, 0, 0, late)), activation=activation)
        return output[:, late:], None

    def step(self, x_t: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Refuse: the output needs steps to come."""
        raise RuntimeError("CenteredConv1d: step cannot run, for the output needs the steps to come")
