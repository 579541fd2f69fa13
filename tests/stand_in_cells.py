"""The fused cells that torch's own recurrent layers ask a device other than the CPU for, in plain PyTorch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Tensors = tuple[Tensor | None, ...]


def _with(gates: Tensor, bias: Tensor | None) -> Tensor:
    return gates if bias is None else gates + bias


def lstm_cell(
    of_x: Tensor, of_h: Tensor, c: Tensor, bias_x: Tensor | None = None, bias_h: Tensor | None = None
) -> Tensors:
    i, f, g, o = (_with(of_x, bias_x) + _with(of_h, bias_h)).chunk(4, 1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    after = f * c + i * g
    return o * after.tanh(), after, torch.cat([i, f, g, o], 1)


def lstm_cell_backward(
    grad_h: Tensor | None, grad_c: Tensor | None, c: Tensor, after: Tensor, gates: Tensor, has_bias: bool
) -> Tensors:
    i, f, g, o = gates.chunk(4, 1)
    grad_h = torch.zeros_like(c) if grad_h is None else grad_h
    squashed = after.tanh()
    grad = grad_h * o * (1 - squashed**2) + (0 if grad_c is None else grad_c)
    parts = [grad * g * i * (1 - i), grad * c * f * (1 - f), grad * i * (1 - g**2)]
    grad_gates = torch.cat([*parts, grad_h * squashed * o * (1 - o)], 1)
    return grad_gates, grad * f, grad_gates.sum(0) if has_bias else None


def gru_cell(
    of_x: Tensor, of_h: Tensor, h: Tensor, bias_x: Tensor | None = None, bias_h: Tensor | None = None
) -> Tensors:
    r_x, z_x, n_x = _with(of_x, bias_x).chunk(3, 1)
    r_h, z_h, n_h = _with(of_h, bias_h).chunk(3, 1)
    r, z = (r_x + r_h).sigmoid(), (z_x + z_h).sigmoid()
    n = (n_x + r * n_h).tanh()
    return n + z * (h - n), torch.cat([r, z, n, h, n_h], 1)


def gru_cell_backward(grad: Tensor, kept: Tensor, has_bias: bool) -> Tensors:
    r, z, n, h, n_h = kept.chunk(5, 1)
    of_z = grad * (h - n) * z * (1 - z)
    of_n = grad * (1 - z) * (1 - n**2)
    of_r = of_n * n_h * r * (1 - r)
    of_input, of_hidden = torch.cat([of_r, of_z, of_n], 1), torch.cat([of_r, of_z, of_n * r], 1)
    biases = (of_input.sum(0), of_hidden.sum(0)) if has_bias else (None, None)
    return of_input, of_hidden, grad * z, *biases


aten = torch.ops.aten
CELLS: dict[Any, Callable[..., Tensors]] = {
    aten._thnn_fused_lstm_cell.default: lstm_cell,
    aten._thnn_fused_lstm_cell_backward_impl.default: lstm_cell_backward,
    aten._thnn_fused_gru_cell.default: gru_cell,
    aten._thnn_fused_gru_cell_backward.default: gru_cell_backward,
}
