"""What the gates of a recurrent layer do, step by step: for looking, not for training."""

import torch
from torch import Tensor
from torch.nn.functional import linear

from seqlight.nn.gru import GRU
from seqlight.nn.lstm import LSTM


def gate_activations(
    layer: LSTM | GRU, x: Tensor, state: tuple[Tensor, Tensor] | Tensor | None = None
) -> dict[str, Tensor]:
    """Recompute the gates of an LSTM or GRU at every time step from its weights.

    The fused kernels keep their gates to themselves. This runs the equations of :class:`~seqlight.nn.LSTM` or
    :class:`~seqlight.nn.GRU` once more, in plain PyTorch, and keeps everything.

    Args:
        layer: one layer in one direction, with or without peephole connections, without layer normalisation.
        x: [B, T, C].
        state: as the layer itself takes it; None for zeros.

    Returns:
        Tensors [B, T, H] by name. Of an LSTM: ``input_gate``, ``forget_gate``, ``output_gate`` (between 0 and
        1), ``cell_input`` (between -1 and 1), and the states ``c`` and ``h`` after each step. Of a GRU:
        ``reset_gate``, ``update_gate`` (between 0 and 1; near 1 the old state is kept), ``candidate``
        (between -1 and 1), and the state ``h``. ``h`` is the layer's output.

    Raises:
        TypeError: `layer` is neither an LSTM nor a GRU of :mod:`seqlight.nn`.
        ValueError: `layer` has several layers, two directions or layer normalisation; or a wrong shape.

    Example:
        >>> layer = seqlight.nn.LSTM(1, 20, peephole=True)
        >>> gates = seqlight.nn.gate_activations(layer, torch.randn(1, 50, 1))
        >>> gates["forget_gate"].shape
        torch.Size([1, 50, 20])
    """
    if not isinstance(layer, LSTM | GRU):
        raise TypeError(
            f"gate_activations: layer expected a seqlight.nn.LSTM or GRU, got {type(layer).__name__}"
        )
    if layer.num_layers > 1 or layer.bidirectional:
        raise ValueError(
            "gate_activations: layer expected a single layer in one direction, got "
            f"num_layers={layer.num_layers}, bidirectional={layer.bidirectional}; copy the parameters of one "
            "layer into a layer of its own, and give it that layer's input"
        )
    if getattr(layer, "layer_norm", False):
        raise ValueError("gate_activations: layer expected one without layer normalisation")
    given = layer._checked_states(x, state)  # type: ignore[arg-type]
    zeros = x.new_zeros(x.shape[0], layer.hidden_size)
    states = (zeros,) * layer.state_count if given is None else tuple(s[0].detach() for s in given)
    run = _lstm if isinstance(layer, LSTM) else _gru
    steps = run({name: p.detach() for name, p in layer.named_parameters()}, x.detach(), states)
    return {name: torch.stack([step[name] for step in steps], dim=1) for name in steps[0]} if steps else {}


def _lstm(weights: dict[str, Tensor], x: Tensor, states: tuple[Tensor, ...]) -> list[dict[str, Tensor]]:
    h, c = states
    peephole = weights.get("weight_peephole_l0")
    steps = []
    for product in linear(x, weights["weight_ih_l0"], weights.get("bias_ih_l0")).unbind(dim=1):
        sums = product + linear(h, weights["weight_hh_l0"], weights.get("bias_hh_l0"))
        i, f, g, o = sums.chunk(4, dim=1)
        if peephole is not None:
            i, f = i + peephole[0] * c, f + peephole[1] * c
        i, f, g = i.sigmoid(), f.sigmoid(), g.tanh()
        c = f * c + i * g
        o = (o if peephole is None else o + peephole[2] * c).sigmoid()
        h = o * c.tanh()
        steps.append({"input_gate": i, "forget_gate": f, "output_gate": o, "cell_input": g, "c": c, "h": h})
    return steps


def _gru(weights: dict[str, Tensor], x: Tensor, states: tuple[Tensor, ...]) -> list[dict[str, Tensor]]:
    (h,) = states
    steps = []
    for product in linear(x, weights["weight_ih_l0"], weights.get("bias_ih_l0")).unbind(dim=1):
        reset_input, update_input, new_input = product.chunk(3, dim=1)
        reset_hidden, update_hidden, new_hidden = linear(
            h, weights["weight_hh_l0"], weights.get("bias_hh_l0")
        ).chunk(3, dim=1)
        r = (reset_input + reset_hidden).sigmoid()
        z = (update_input + update_hidden).sigmoid()
        n = (new_input + r * new_hidden).tanh()
        h = (1 - z) * n + z * h
        steps.append({"reset_gate": r, "update_gate": z, "candidate": n, "h": h})
    return steps
