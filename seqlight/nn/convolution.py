"""Dilated causal convolution over time, with a state for streaming."""

import math
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from seqlight.nn.torch_conversion import copy_parameters
from seqlight.ops import ConvActivation, causal_conv1d
from seqlight.ops.checks import kind_of


class CausalConv1d(nn.Module):
    r"""Dilated causal convolution over [B, T, C]: the output at t depends on inputs up to t only.

    .. math::
        y_{t,o} = b_o + \sum_{k=0}^{K-1} \sum_i w_{o,i,k} \; x_{t - (K-1-k) d,\, i}

    with kernel size K and dilation d: torch.nn.Conv1d on a sequence padded with (K-1)*d zeros at its
    beginning, and stride 1.

    ``output, state = layer(x, state=None)``: output [B, T, C_out]; state [B, (K-1)*d, C_in], the last inputs.
    Running in chunks with the state handed on equals running whole. The pair, and [B, T, C] rather than
    [B, C, T], keep the layer out of torch.nn.Sequential.

    Parameters, named, shaped and drawn as in torch.nn.Conv1d, so that state dicts are exchangeable:
    ``weight`` [C_out, C_in / groups, K], ``bias`` [C_out] unless ``bias=False``.

    Args:
        in_channels: number of input channels C_in.
        out_channels: number of output channels C_out.
        kernel_size: number of taps K.
        dilation: distance d between the taps in time steps.
        groups: number of groups that both channels are divided into; ``groups = in_channels = out_channels``
            is the depthwise convolution.
        bias: whether to add a bias.
        device: of the parameters.
        dtype: of the parameters. float16 and bfloat16 are computed in float32 and answered in their own
            dtype.

    Raises:
        ValueError: a number below 1, or channels that `groups` does not divide.

    Example:
        >>> layer = seqlight.nn.CausalConv1d(3, 20, kernel_size=2, dilation=4)
        >>> output, state = layer(torch.randn(32, 50, 3))
        >>> output.shape, state.shape
        (torch.Size([32, 50, 20]), torch.Size([32, 4, 3]))
    """

    #: The batch axis of the state, for those who carry it from batch to batch.
    state_batch_dim = 0

    bias: nn.Parameter | None

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
        super().__init__()
        numbers = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "kernel_size": kernel_size,
            "dilation": dilation,
            "groups": groups,
        }
        for name, number in numbers.items():
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                raise ValueError(f"CausalConv1d: {name} expected an integer of at least 1, got {number!r}")
        for name in ("in_channels", "out_channels"):
            if numbers[name] % groups != 0:
                raise ValueError(
                    f"CausalConv1d: {name} expected divisible by groups = {groups}, got {numbers[name]}"
                )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.groups = groups
        self.weight = nn.Parameter(
            torch.empty(out_channels, in_channels // groups, kernel_size, device=device, dtype=dtype)
        )
        self.bias = nn.Parameter(torch.empty(out_channels, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    @property
    def receptive_field(self) -> int:
        """Number of inputs that an output depends on, from the oldest to the current: (K-1)*d + 1."""
        return self.state_length + 1

    @property
    def state_length(self) -> int:
        """Number of time steps in the state: (K-1)*d."""
        return (self.kernel_size - 1) * self.dilation

    def reset_parameters(self) -> None:
        """Draw weight and bias anew as torch.nn.Conv1d does: uniform within 1/sqrt(K * C_in / groups)."""
        bound = 1 / math.sqrt(self.weight[0].numel())
        if is_parametrized(self, "weight"):
            # What is read is computed then, and what is assigned is taken apart.
            drawn: Any = nn.init.uniform_(torch.empty_like(self.weight), -bound, bound)
            self.weight = drawn
        else:
            nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(
        self, x: Tensor, state: Tensor | None = None, *, activation: ConvActivation | None = None
    ) -> tuple[Tensor, Tensor]:
        """Convolve a batch of sequences.

        Args:
            x: [B, T, C_in]; T may be 0.
            state: [B, (K-1)*d, C_in] as returned by an earlier call; None for zeros.
            activation: what to compute in the same pass: None, ``"relu"``, or ``"gate"``, which is tanh of
                the first half of the channels times the logistic function of the second half.

        Returns:
            ``(output, state)``: [B, T, C_out] (with the gate [B, T, C_out / 2]) and [B, (K-1)*d, C_in].

        Raises:
            ValueError: a wrong shape or device.
            TypeError: not a tensor, or a wrong dtype.
        """
        return causal_conv1d(
            x,
            self.weight,
            self.bias,
            dilation=self.dilation,
            groups=self.groups,
            state=state,
            activation=activation,
        )

    def step(self, x_t: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run one time step, for streaming and generation.

        Args:
            x_t: [B, C_in].
            state: as returned by :meth:`forward` or an earlier step; None for zeros.

        Returns:
            ``(output, state)`` with output [B, C_out].

        Raises:
            ValueError: a wrong shape or device.
            TypeError: not a tensor, or a wrong dtype.
        """
        output, state = self.forward(as_one_step(self, x_t, self.in_channels), state)
        return output.squeeze(1), state

    @classmethod
    def from_torch(cls, module: nn.Conv1d) -> Self:
        """Build a layer with copies of the parameters of `module`.

        It computes what `module` does on sequences [B, C, T] padded with (K-1)*d zeros at their beginning,
        whatever zero padding `module` has of its own. Device, dtype, training mode and which parameters are
        trained are taken over.

        Raises:
            TypeError: `module` is not a torch.nn.Conv1d.
            ValueError: `module` has a stride, or a padding mode other than zeros.
        """
        if not isinstance(module, nn.Conv1d) or isinstance(module, nn.LazyConv1d):
            raise TypeError(
                f"CausalConv1d.from_torch: module expected a torch.nn.Conv1d, got {type(module).__name__}"
            )
        if module.stride != (1,):
            raise ValueError(
                f"CausalConv1d.from_torch: module expected with stride=1, got stride={module.stride[0]}"
            )
        if module.padding_mode != "zeros":
            raise ValueError(
                "CausalConv1d.from_torch: module expected with padding_mode='zeros', "
                f"got padding_mode={module.padding_mode!r}"
            )
        layer = cls(
            module.in_channels,
            module.out_channels,
            module.kernel_size[0],
            module.dilation[0],
            module.groups,
            module.bias is not None,
            device=module.weight.device,
            dtype=module.weight.dtype,
        )
        copy_parameters(module, layer)
        return layer

    def to_torch(self) -> nn.Conv1d:
        """Build a torch.nn.Conv1d with copied parameters and ``padding=(K-1)*d``.

        On [B, C, T] its first T outputs are this layer's; torch pads at the end too, which makes (K-1)*d
        further ones.
        """
        module = nn.Conv1d(
            self.in_channels,
            self.out_channels,
            self.kernel_size,
            padding=self.state_length,
            dilation=self.dilation,
            groups=self.groups,
            bias=self.bias is not None,
            device=self.weight.device,
            dtype=self.weight.dtype,
        )
        copy_parameters(self, module)
        return module

    def extra_repr(self) -> str:
        """List the sizes, and what differs from the defaults."""
        options: dict[str, tuple[Any, Any]] = {
            "dilation": (self.dilation, 1),
            "groups": (self.groups, 1),
            "bias": (self.bias is not None, True),
        }
        return ", ".join(
            [
                f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}",
                *(f"{name}={value}" for name, (value, default) in options.items() if value != default),
            ]
        )


def as_one_step(layer: nn.Module, x_t: Tensor, channels: int) -> Tensor:
    """Check `x_t` [B, C] for a ``step`` of `layer` and give it as [B, 1, C].

    Raises:
        TypeError: not a tensor.
        ValueError: a wrong shape.
    """
    name = type(layer).__name__
    if not isinstance(x_t, Tensor):
        raise TypeError(f"{name}: x_t expected a torch.Tensor, got {kind_of(x_t)}")
    if x_t.dim() != 2 or x_t.shape[1] != channels:
        raise ValueError(f"{name}: x_t expected [B, C] with C = {channels}, got {list(x_t.shape)}")
    return x_t.unsqueeze(1)
