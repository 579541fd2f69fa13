r"""The ops' equations in plain PyTorch: the fallback where no kernel runs, and the oracle of the kernels'
tests.

Same names, signatures and semantics as in :mod:`seqlight.ops`, without argument checks and dtype rules:
tensors of one floating-point dtype, on any device, differentiable any number of times in reverse and forward
mode.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import linear

from seqlight.ops import philox

LAYER_NORM_EPS = 1e-5


def lstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    weight_peephole: Tensor | None = None,
    weight_layer_norm: Tensor | None = None,
    *,
    hidden_mask: Tensor | None = None,
    zoneout_h: float = 0.0,
    zoneout_c: float = 0.0,
    zoneout_seed: Tensor | None = None,
    lengths: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run one LSTM layer in one direction; shapes, equations and semantics of :func:`seqlight.ops.lstm`."""
    peephole = None if weight_peephole is None else weight_peephole.unbind()
    norm = weight_layer_norm
    together = (weight_ih.shape[0],)  # all gates in one normalisation
    gain_ih = None if norm is None else norm[:4].flatten()
    gain_hh = None if norm is None else norm[4:8].flatten()

    def step(input_product: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        h, c = states
        gates = input_product + _product(_masked(h, hidden_mask), weight_hh, bias_hh, gain_hh, together)
        input_gate, forget_gate, cell_input, output_gate = gates.chunk(4, dim=1)
        if peephole is not None:
            input_gate = input_gate + peephole[0] * c
            forget_gate = forget_gate + peephole[1] * c
        next_c = forget_gate.sigmoid() * c + input_gate.sigmoid() * cell_input.tanh()
        if peephole is not None:
            output_gate = output_gate + peephole[2] * next_c
        shown = next_c if norm is None else _normalised(next_c) * norm[8] + norm[9]
        return output_gate.sigmoid() * shown.tanh(), next_c

    output, (h_n, c_n) = _run_over_time(
        step,
        lambda inputs: _product(inputs, weight_ih, bias_ih, gain_ih, together),
        x,
        (h0, c0),
        (zoneout_h, zoneout_c),
        zoneout_seed,
        lengths,
        reverse,
    )
    return output, h_n, c_n


def gru(
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    weight_layer_norm: Tensor | None = None,
    *,
    hidden_mask: Tensor | None = None,
    zoneout: float = 0.0,
    zoneout_seed: Tensor | None = None,
    lengths: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """Run one GRU layer in one direction; shapes, equations and semantics of :func:`seqlight.ops.gru`."""
    hidden_size = weight_hh.shape[1]
    parts = (2 * hidden_size, hidden_size)  # the gates r and z are normalised together, n by itself
    gain_ih = None if weight_layer_norm is None else weight_layer_norm[:3].flatten()
    gain_hh = None if weight_layer_norm is None else weight_layer_norm[3:].flatten()

    def step(input_product: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (h,) = states
        hidden_product = _product(_masked(h, hidden_mask), weight_hh, bias_hh, gain_hh, parts)
        reset_input, update_input, new_input = input_product.chunk(3, dim=1)
        reset_hidden, update_hidden, new_hidden = hidden_product.chunk(3, dim=1)
        reset_gate = (reset_input + reset_hidden).sigmoid()
        update_gate = (update_input + update_hidden).sigmoid()
        new_gate = (new_input + reset_gate * new_hidden).tanh()
        return (new_gate + update_gate * (h - new_gate),)

    output, (h_n,) = _run_over_time(
        step,
        lambda inputs: _product(inputs, weight_ih, bias_ih, gain_ih, parts),
        x,
        (h0,),
        (zoneout,),
        zoneout_seed,
        lengths,
        reverse,
    )
    return output, h_n


def rnn(
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    weight_layer_norm: Tensor | None = None,
    *,
    nonlinearity: Literal["tanh", "relu"] = "tanh",
    hidden_mask: Tensor | None = None,
    zoneout: float = 0.0,
    zoneout_seed: Tensor | None = None,
    lengths: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """Run one simple recurrent layer in one direction, as :func:`seqlight.ops.rnn` does."""
    activation = torch.relu if nonlinearity == "relu" else torch.tanh

    def step(input_product: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (h,) = states
        total = input_product + linear(_masked(h, hidden_mask), weight_hh, bias_hh)
        if weight_layer_norm is not None:
            total = _normalised(total) * weight_layer_norm[0] + weight_layer_norm[1]
        return (activation(total),)

    output, (h_n,) = _run_over_time(
        step,
        lambda inputs: linear(inputs, weight_ih, bias_ih),
        x,
        (h0,),
        (zoneout,),
        zoneout_seed,
        lengths,
        reverse,
    )
    return output, h_n


def _masked(h: Tensor, hidden_mask: Tensor | None) -> Tensor:
    return h if hidden_mask is None else h * hidden_mask


def _normalised(values: Tensor) -> Tensor:
    """Give `values` with mean 0 and variance 1 along the last dimension."""
    centred = values - values.mean(dim=-1, keepdim=True)
    return centred * (centred.square().mean(dim=-1, keepdim=True) + LAYER_NORM_EPS).rsqrt()


def _product(
    inputs: Tensor, weight: Tensor, bias: Tensor | None, gain: Tensor | None, parts: tuple[int, ...]
) -> Tensor:
    """Give the product with `weight` plus `bias`; with a `gain`, each of the `parts` normalised before."""
    if gain is None:
        return linear(inputs, weight, bias)
    product = linear(inputs, weight)
    product = torch.cat([_normalised(part) for part in product.split(parts, dim=-1)], dim=-1) * gain
    return product if bias is None else product + bias


def _run_over_time(
    step: Callable[[Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]],
    take_input_product: Callable[[Tensor], Tensor],
    x: Tensor,
    states: tuple[Tensor, ...],
    zoneouts: tuple[float, ...],
    zoneout_seed: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over all time steps.

    ``step(input_product [B, G*H], states) -> states`` gives the states [B, H] after one step, of which the
    first is the output, before zoneout. The input product of all time steps is taken at once, before the loop
    over time. `zoneouts` has a probability for each state.
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
    input_products = take_input_product(x).unbind(dim=1)  # T times [B, G*H]
    kept_states: tuple[Sequence[Tensor] | None, ...] = (None,) * len(states)
    if zoneout_seed is not None and any(zoneouts):
        kept_states = _draw_kept(zoneouts, zoneout_seed, x.shape[0], steps, states[0].shape[1])

    outputs: list[Tensor] = [states[0]] * steps
    for t in step_order:
        next_states = step(input_products[t], states)
        if any(zoneouts):
            next_states = tuple(
                _zoned(probability, None if kept is None else kept[t], before, after)
                for probability, kept, before, after in zip(
                    zoneouts, kept_states, states, next_states, strict=True
                )
            )
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


def _draw_kept(
    zoneouts: tuple[float, ...], seed: Tensor, batch_size: int, steps: int, hidden_size: int
) -> tuple[Sequence[Tensor] | None, ...]:
    """Draw for each state which units keep their value: T times [B, H], or None where none ever does.

    The words' counters are (unit, time step, row, 0); a state takes the word of its own number.
    """
    units = torch.arange(hidden_size, device=seed.device)
    times = torch.arange(steps, device=seed.device)[:, None]
    rows = torch.arange(batch_size, device=seed.device)[:, None, None]
    words = philox.philox4x32(seed, (units, times, rows, 0))
    return tuple(
        (word < philox.threshold(probability)).unbind(dim=1) if probability > 0 else None
        for probability, word in zip(zoneouts, words, strict=False)
    )


def _zoned(probability: float, kept: Tensor | None, before: Tensor, after: Tensor) -> Tensor:
    """Give the state after zoneout: the one before where `kept`; where nothing was drawn, the expectation."""
    if probability == 0:
        return after
    if kept is None:
        return after + probability * (before - after)
    return torch.where(kept, before, after)
