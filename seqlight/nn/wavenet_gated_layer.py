"""One layer of the gated WaveNet."""

from typing import Any

import torch
from torch import Tensor, nn

from seqlight.nn.convolution import CausalConv1d
from seqlight.ops import wavenet_layer

# Up to this many rows (batch times steps) packing the weights for the fused layer costs more than it gives.
_FEW_ROWS = 8


class GatedLayer(nn.Module):
    """One layer of the gated WaveNet: dilated convolution, gate, 1x1 residual and skip.

    Parameters: ``conv`` with 2 * `channels` outputs, those of tanh first; ``project``, the 1x1 convolutions
    of residual and skip in one, the residual's outputs first; ``condition`` and ``static``, what the
    conditions add before the gate.

    Args:
        channels: of input and residual.
        skip_size: channels of the skip connection.
        kernel_size: of the dilated convolution.
        dilation: of the dilated convolution.
        condition_size: channels of the local condition, 0 for none.
        static_size: channels of the global condition, 0 for none.
        residual: whether there is a residual output; the last layer needs none.
        device: of the parameters.
        dtype: of the parameters.
    """

    def __init__(
        self,
        channels: int,
        skip_size: int,
        kernel_size: int,
        dilation: int,
        *,
        condition_size: int = 0,
        static_size: int = 0,
        residual: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        self.residual = residual
        self.skip_size = skip_size
        self.conv = CausalConv1d(channels, 2 * channels, kernel_size, dilation, **options)
        self.project = nn.Linear(channels, (channels if residual else 0) + skip_size, **options)
        # The convolution has a bias already.
        self.condition = _optional_linear(condition_size, 2 * channels, **options)
        self.static = _optional_linear(static_size, 2 * channels, **options)

    def forward(
        self,
        h: Tensor,
        state: Tensor | None,
        skip: Tensor | None = None,
        condition: Tensor | None = None,
        static: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Give the next layer's input [B, T, C], the sum of skip connections [B, T, S] and the new state."""
        term = None if self.static is None else self.static(static)
        fused = torch.compiler.is_compiling() or h.shape[0] * h.shape[1] > _FEW_ROWS
        parts = [self.conv, self.project, *([] if self.condition is None else [self.condition])]
        if fused and all(map(is_its_weights, parts)) and self.conv.bias is not None:
            return wavenet_layer(
                h,
                self.conv.weight,
                self.conv.bias,
                self.project.weight,
                self.project.bias,
                dilation=self.conv.dilation,
                state=state,
                skip=skip,
                condition=condition,
                condition_weight=None if self.condition is None else self.condition.weight,
                static_term=term,
                residual=self.residual,
            )
        if self.condition is None and self.static is None:
            z, new_state = self.conv(h, state, activation="gate")
        else:
            before, new_state = self.conv(h, state)
            if self.condition is not None:
                before = before + self.condition(condition)
            if term is not None:
                before = before + term.unsqueeze(1)
            filtered, gate = before.chunk(2, dim=2)
            z = filtered.tanh() * gate.sigmoid()
        projected = self.project(z)
        if self.residual:
            residual, projected = projected.split([h.shape[2], self.skip_size], dim=2)
            h = h + residual
        return h, projected if skip is None else skip + projected, new_state


def is_its_weights(module: nn.Module) -> bool:
    """Say whether a convolution or linear layer does what its weights say and nothing else.

    Not so where it was replaced, as by an adapter or a quantised one, or where hooks want to be called.
    """
    return type(module).forward in (CausalConv1d.forward, nn.Linear.forward) and not (
        module._forward_pre_hooks
        or module._forward_hooks
        or module._backward_pre_hooks
        or module._backward_hooks
        or "forward" in module.__dict__
    )


def _optional_linear(
    size: int, channels: int, device: torch.device | str | None, dtype: torch.dtype | None
) -> nn.Linear | None:
    return nn.Linear(size, channels, bias=False, device=device, dtype=dtype) if size else None
