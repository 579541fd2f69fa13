r"""The ops' equations in plain PyTorch: the fallback where no kernel runs, and the oracle of the kernels'
tests.

Same names, signatures and semantics as in :mod:`seqlight.ops`, without argument checks and dtype rules:
tensors of one floating-point dtype, on any device, differentiable any number of times in reverse and forward
mode.
"""

import torch
from torch import Tensor
from torch.nn.functional import linear


def lstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    weight_peephole: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run one LSTM layer in one direction; shapes, equations and semantics of :func:`seqlight.ops.lstm`.

    The input product of all time steps is taken at once, before the loop over time.
    """
    steps = x.shape[1]
    step_order = range(steps - 1, -1, -1) if reverse else range(steps)
    alive = None
    if lengths is not None:
        in_row = (torch.arange(steps, device=x.device) < lengths[:, None])[..., None]  # [B, T, 1]
        # Padding may hold anything, NaN too, which would reach the weights' gradients as 0 * NaN.
        x = torch.where(in_row, x, 0)
        alive = in_row.unbind(dim=1)
    # Taken apart at once: the backward pass of T selections would fill T gradients of the full size.
    input_products = linear(x, weight_ih, bias_ih).unbind(dim=1)  # T times [B, 4*H]

    peephole = None if weight_peephole is None else weight_peephole.unbind()
    h, c = h0, c0
    outputs: list[Tensor] = [h0] * steps
    for t in step_order:
        gates = input_products[t] + linear(h, weight_hh, bias_hh)
        input_gate, forget_gate, cell_input, output_gate = gates.chunk(4, dim=1)
        if peephole is not None:
            input_gate = input_gate + peephole[0] * c
            forget_gate = forget_gate + peephole[1] * c
        next_c = forget_gate.sigmoid() * c + input_gate.sigmoid() * cell_input.tanh()
        if peephole is not None:
            output_gate = output_gate + peephole[2] * next_c
        next_h = output_gate.sigmoid() * next_c.tanh()
        if alive is None:
            h, c = next_h, next_c
            outputs[t] = h
        else:
            h, c = torch.where(alive[t], next_h, h), torch.where(alive[t], next_c, c)
            outputs[t] = torch.where(alive[t], next_h, 0)
    return torch.stack(outputs, dim=1), h, c
