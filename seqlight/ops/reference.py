r"""The ops' equations in plain PyTorch: the fallback where no kernel runs, and the oracle of the kernels'
tests.

Same names, signatures and semantics as in :mod:`seqlight.ops`, without argument checks and dtype rules:
tensors of one floating-point dtype, on any device, differentiable any number of times in reverse and forward
mode.
"""

from collections.abc import Callable
from typing import Literal

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
    """Run one LSTM layer in one direction; shapes, equations and semantics of :func:`seqlight.ops.lstm`."""
    peephole = None if weight_peephole is None else weight_peephole.unbind()

    def step(input_product: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        h, c = states
        gates = input_product + linear(h, weight_hh, bias_hh)
        input_gate, forget_gate, cell_input, output_gate = gates.chunk(4, dim=1)
        if peephole is not None:
            input_gate = input_gate + peephole[0] * c
            forget_gate = forget_gate + peephole[1] * c
        next_c = forget_gate.sigmoid() * c + input_gate.sigmoid() * cell_input.tanh()
        if peephole is not None:
            output_gate = output_gate + peephole[2] * next_c
        return output_gate.sigmoid() * next_c.tanh(), next_c

    output, (h_n, c_n) = _run_over_time(step, x, (h0, c0), weight_ih, bias_ih, lengths, reverse)
    return output, h_n, c_n


def gru(
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """Run one GRU layer in one direction; shapes, equations and semantics of :func:`seqlight.ops.gru`."""

    def step(input_product: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (h,) = states
        reset_input, update_input, new_input = input_product.chunk(3, dim=1)
        reset_hidden, update_hidden, new_hidden = linear(h, weight_hh, bias_hh).chunk(3, dim=1)
        reset_gate = (reset_input + reset_hidden).sigmoid()
        update_gate = (update_input + update_hidden).sigmoid()
        new_gate = (new_input + reset_gate * new_hidden).tanh()
        return (new_gate + update_gate * (h - new_gate),)

    output, (h_n,) = _run_over_time(step, x, (h0,), weight_ih, bias_ih, lengths, reverse)
    return output, h_n


def rnn(
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    *,
    nonlinearity: Literal["tanh", "relu"] = "tanh",
    lengths: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """Run one simple recurrent layer in one direction, as :func:`seqlight.ops.rnn` does."""
    activation = torch.relu if nonlinearity == "relu" else torch.tanh

    def step(input_product: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (h,) = states
        return (activation(input_product + linear(h, weight_hh, bias_hh)),)

    output, (h_n,) = _run_over_time(step, x, (h0,), weight_ih, bias_ih, lengths, reverse)
    return output, h_n


def _run_over_time(
    step: Callable[[Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]],
    x: Tensor,
    states: tuple[Tensor, ...],
    weight_ih: Tensor,
    bias_ih: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over all time steps.

    ``step(input_product [B, G*H], states) -> states`` gives the states [B, H] after one step, of which the
    first is the output. The input product of all time steps is taken at once, before the loop over time.
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
    input_products = linear(x, weight_ih, bias_ih).unbind(dim=1)  # T times [B, G*H]

    outputs: list[Tensor] = [states[0]] * steps
    for t in step_order:
        next_states = step(input_products[t], states)
        if alive is None:
            states = next_states
            outputs[t] = states[0]
        else:
            here = alive[t]
            outputs[t] = torch.where(here, next_states[0], 0)
            states = tuple(
                torch.where(here, after, before) for after, before in zip(next_states, states, strict=True)
            )
    return torch.stack(outputs, dim=1), states
