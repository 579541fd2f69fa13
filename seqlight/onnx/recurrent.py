"""The recurrent ops as ONNX's own LSTM, GRU and RNN.

Those have neither layer normalisation nor zoneout nor a mask on the hidden state; with one of them the op
becomes a Scan, see :mod:`seqlight.onnx.recurrent_scan`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

from seqlight.onnx import recurrent_scan
from seqlight.onnx.graph import Builder, constant, record, rows, size_of

# Where ONNX's gates stand among ours.
_LSTM_GATES = (0, 3, 1, 2)  # i, o, f, c of i, f, g, o
_LSTM_PEEPHOLES = (0, 2, 1)  # i, o, f of i, f, o
_GRU_GATES = (1, 0, 2)  # z, r, h of r, z, n
_RNN_GATES = (0,)


def translations() -> dict[Any, Callable[..., Any]]:
    """Give the translation of each recurrent op that this build has."""
    return {
        getattr(torch.ops.seqlight, f"{cell.__name__}_forward").default: cell
        for cell in (lstm, gru, rnn)
        if hasattr(torch.ops.seqlight, f"{cell.__name__}_forward")
    }


def lstm(
    x: ir.Value,
    h0: ir.Value,
    c0: ir.Value,
    weight_ih: ir.Value,
    weight_hh: ir.Value,
    bias_ih: ir.Value | None,
    bias_hh: ir.Value | None,
    weight_peephole: ir.Value | None,
    weight_layer_norm: ir.Value | None,
    hidden_mask: ir.Value | None = None,
    zoneout_seed: ir.Value | None = None,
    lengths: ir.Value | None = None,
    zoneout_h: float = 0.0,
    zoneout_c: float = 0.0,
    reverse: bool = False,
    *_: Any,
) -> tuple[ir.Value, ...]:
    """Translate ``torch.ops.seqlight.lstm_forward``."""
    _refuse_noise("lstm", zoneout_seed)
    weights = (weight_ih, weight_hh, bias_ih, bias_hh)
    if weight_layer_norm is not None or hidden_mask is not None or zoneout_h or zoneout_c:
        return recurrent_scan.lstm(
            x,
            (h0, c0),
            weights,
            weight_peephole,
            weight_layer_norm,
            hidden_mask,
            lengths,
            (zoneout_h, zoneout_c),
            reverse,
        )
    return _sequence("LSTM", x, (h0, c0), weights, _LSTM_GATES, lengths, reverse, weight_peephole)


def gru(
    x: ir.Value,
    h0: ir.Value,
    weight_ih: ir.Value,
    weight_hh: ir.Value,
    bias_ih: ir.Value | None,
    bias_hh: ir.Value | None,
    weight_layer_norm: ir.Value | None,
    hidden_mask: ir.Value | None = None,
    zoneout_seed: ir.Value | None = None,
    lengths: ir.Value | None = None,
    zoneout: float = 0.0,
    reverse: bool = False,
    *_: Any,
) -> tuple[ir.Value, ...]:
    """Translate ``torch.ops.seqlight.gru_forward``."""
    _refuse_noise("gru", zoneout_seed)
    weights = (weight_ih, weight_hh, bias_ih, bias_hh)
    if weight_layer_norm is not None or hidden_mask is not None or zoneout:
        return recurrent_scan.gru(
            x, h0, weights, weight_layer_norm, hidden_mask, lengths, (zoneout,), reverse
        )
    # torch's variant: the reset gate multiplies the product and its bias.
    return _sequence("GRU", x, (h0,), weights, _GRU_GATES, lengths, reverse, linear_before_reset=1)


def rnn(
    x: ir.Value,
    h0: ir.Value,
    weight_ih: ir.Value,
    weight_hh: ir.Value,
    bias_ih: ir.Value | None,
    bias_hh: ir.Value | None,
    weight_layer_norm: ir.Value | None,
    hidden_mask: ir.Value | None = None,
    zoneout_seed: ir.Value | None = None,
    lengths: ir.Value | None = None,
    zoneout: float = 0.0,
    relu: bool = False,
    reverse: bool = False,
    *_: Any,
) -> tuple[ir.Value, ...]:
    """Translate ``torch.ops.seqlight.rnn_forward``."""
    _refuse_noise("rnn", zoneout_seed)
    weights = (weight_ih, weight_hh, bias_ih, bias_hh)
    if weight_layer_norm is not None or hidden_mask is not None or zoneout:
        return recurrent_scan.rnn(
            x, h0, weights, weight_layer_norm, hidden_mask, lengths, (zoneout,), relu, reverse
        )
    activations = ["Relu" if relu else "Tanh"]
    return _sequence("RNN", x, (h0,), weights, _RNN_GATES, lengths, reverse, activations=activations)


def _sequence(
    operator: str,
    x: ir.Value,
    states: Sequence[ir.Value],
    weights: recurrent_scan.Weights,
    gates: Sequence[int],
    lengths: ir.Value | None,
    reverse: bool,
    weight_peephole: ir.Value | None = None,
    **attributes: Any,
) -> tuple[ir.Value, ...]:
    """Build ONNX's operator of that name and what goes around it."""
    op = Builder()
    results = getattr(op, operator)(
        _time_first(op, x),
        *_weights(op, gates, *weights),
        _sequence_lengths(op, lengths),
        *(_as_batch_of_one(op, state) for state in states),
        *(() if weight_peephole is None else (_peepholes(op, weight_peephole),)),
        hidden_size=size_of(weights[1], 1),
        direction="reverse" if reverse else "forward",
        outputs=1 + len(states),
        **attributes,
    )
    return _finished(op, results)


def _refuse_noise(op: str, zoneout_seed: ir.Value | None) -> None:
    if zoneout_seed is not None:
        raise NotImplementedError(
            f"{op}: zoneout_seed draws random numbers, which no ONNX operator reproduces; "
            "export in evaluation mode, where zoneout is its expectation"
        )


def _time_first(op: Builder, x: ir.Value) -> ir.Value:
    """Turn [B, T, I] to ONNX's [T, B, I]; onnxruntime knows no other layout."""
    turned: ir.Value = op.Transpose(x, perm=[1, 0, 2])
    return turned


def _as_batch_of_one(op: Builder, tensor: ir.Value) -> ir.Value:
    """Give `tensor` the axis of directions, of which there is one."""
    made: ir.Value = op.Unsqueeze(tensor, constant(op, [0]))
    return made


def _peepholes(op: Builder, weight: ir.Value) -> ir.Value:
    """Give ONNX's P: in its order, one after the other, with the axis of directions."""
    made: ir.Value = op.Reshape(rows(op, weight, _LSTM_PEEPHOLES), constant(op, [1, -1]))
    return made


def _weights(
    op: Builder,
    gates: Sequence[int],
    weight_ih: ir.Value,
    weight_hh: ir.Value,
    bias_ih: ir.Value | None,
    bias_hh: ir.Value | None,
) -> tuple[ir.Value, ir.Value, ir.Value | None]:
    """Give ONNX's W, R and B: in its order of gates, with the axis of directions."""
    size = size_of(weight_hh, 1)
    order = [gate * size + unit for gate in gates for unit in range(size)]

    def in_order(tensor: ir.Value | None) -> ir.Value:
        if tensor is None:
            return constant(op, np.zeros(len(order)), np.float32)
        return tensor if len(gates) == 1 else rows(op, tensor, order)

    bias = None
    if bias_ih is not None or bias_hh is not None:
        bias = _as_batch_of_one(op, op.Concat(in_order(bias_ih), in_order(bias_hh), axis=0))
    return _as_batch_of_one(op, in_order(weight_ih)), _as_batch_of_one(op, in_order(weight_hh)), bias


def _sequence_lengths(op: Builder, lengths: ir.Value | None) -> ir.Value | None:
    if lengths is None:
        return None
    cast: ir.Value = op.Cast(lengths, to=ir.DataType.INT32)
    return cast


def _finished(op: Builder, results: Sequence[ir.Value]) -> tuple[ir.Value, ...]:
    """Give output [B, T, H], the states [B, H] and, for what is saved for backward, nothing: [0]."""
    output, *states = results
    without_directions = op.Squeeze(output, constant(op, [1]))
    finished = (
        op.Transpose(without_directions, perm=[1, 0, 2]),
        *(op.Squeeze(state, constant(op, [0])) for state in states),
        constant(op, [], np.float32),
    )
    record(op)
    return finished
