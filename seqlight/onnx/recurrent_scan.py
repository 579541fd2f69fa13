"""The recurrent ops as an ONNX Scan over time: with layer normalisation, zoneout or a mask on the state.

The same equations as in :mod:`seqlight.ops.reference`. All that does not depend on the state stands before
the Scan, as there before the loop.
"""

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from seqlight.onnx.graph import Builder, constant, record, rows, scan, size_of
from seqlight.ops.reference import LAYER_NORM_EPS

Weights = tuple[ir.Value, ir.Value, ir.Value | None, ir.Value | None]

#: Gives the states after a step; its arguments are the body's builder, the input product and the states.
Cell = Callable[[Builder, ir.Value, Sequence[ir.Value]], tuple[ir.Value, ...]]


class _Product:
    """A product with a weight plus its bias; where there are gains, normalised before the bias.

    Args:
        op: builder of the graph that the weights are in.
        weight: [G*H, I].
        bias: [G*H], or None.
        gains: [G, H], or None for no normalisation.
        parts: how many gates are normalised together, one number for each normalisation.
    """

    def __init__(
        self,
        op: Builder,
        weight: ir.Value,
        bias: ir.Value | None,
        gains: ir.Value | None,
        parts: Sequence[int] = (),
    ) -> None:
        self.transposed = op.Transpose(weight, perm=[1, 0])
        self.bias = bias
        self.norms: list[tuple[ir.Value, ...]] = []
        if gains is None:
            return
        hidden_size = size_of(gains, 1)
        first = 0
        for gates in parts:
            gain = op.Reshape(rows(op, gains, range(first, first + gates)), constant(op, [-1]))
            indices = range(first * hidden_size, (first + gates) * hidden_size)
            self.norms.append((gain,) if bias is None else (gain, rows(op, bias, indices)))
            first += gates
        self.sizes = constant(op, [gates * hidden_size for gates in parts])

    def __call__(self, op: Builder, inputs: ir.Value) -> ir.Value:
        product: ir.Value = op.MatMul(inputs, self.transposed)
        if len(self.norms) == 1:
            return _normalised(op, product, *self.norms[0])
        if self.norms:
            parts = op.Split(product, self.sizes, axis=-1, outputs=len(self.norms))
            normalised = [_normalised(op, part, *norm) for part, norm in zip(parts, self.norms, strict=True)]
            product = op.Concat(*normalised, axis=-1)
        elif self.bias is not None:
            product = op.Add(product, self.bias)
        return product


def _normalised(op: Builder, values: ir.Value, *gain_and_bias: ir.Value) -> ir.Value:
    """Normalise along the last dimension, times a gain, plus a bias where there is one.

    By single operators: onnxruntime's LayerNormalization subtracts the squared mean from the mean square,
    which loses the digits of a small variance, and the recurrence carries the error on.
    """
    axis = constant(op, [-1])
    centred = op.Sub(values, op.ReduceMean(values, axis))
    variance = op.ReduceMean(op.Mul(centred, centred), axis)
    deviation = op.Sqrt(op.Add(variance, constant(op, LAYER_NORM_EPS, np.float32)))
    gain, *bias = gain_and_bias
    made: ir.Value = op.Mul(op.Div(centred, deviation), gain)
    return op.Add(made, *bias) if bias else made


def lstm(
    x: ir.Value,
    states: Sequence[ir.Value],
    weights: Weights,
    weight_peephole: ir.Value | None,
    weight_layer_norm: ir.Value | None,
    hidden_mask: ir.Value | None,
    lengths: ir.Value | None,
    zoneouts: Sequence[float],
    reverse: bool,
) -> tuple[ir.Value, ...]:
    """Give the results of the LSTM op."""
    op = Builder()
    norm = weight_layer_norm
    together = (4,)  # all gates in one normalisation
    input_product, hidden_product = _products(op, weights, norm, together)
    peephole = () if weight_peephole is None else tuple(rows(op, weight_peephole, [row]) for row in range(3))
    cell_norm = () if norm is None else tuple(_row(op, norm, row) for row in (8, 9))

    def cell(op: Builder, from_input: ir.Value, states: Sequence[ir.Value]) -> tuple[ir.Value, ...]:
        h, c = states
        gates = op.Add(from_input, hidden_product(op, _masked(op, h, hidden_mask)))
        i, f, g, o = op.Split(gates, axis=-1, num_outputs=4, outputs=4)
        if peephole:
            i = op.Add(i, op.Mul(peephole[0], c))
            f = op.Add(f, op.Mul(peephole[1], c))
        next_c = op.Add(op.Mul(op.Sigmoid(f), c), op.Mul(op.Sigmoid(i), op.Tanh(g)))
        if peephole:
            o = op.Add(o, op.Mul(peephole[2], next_c))
        shown = _normalised(op, next_c, *cell_norm) if cell_norm else next_c
        return op.Mul(op.Sigmoid(o), op.Tanh(shown)), next_c

    return _run_over_time(op, cell, input_product, x, states, lengths, zoneouts, reverse)


def gru(
    x: ir.Value,
    h0: ir.Value,
    weights: Weights,
    weight_layer_norm: ir.Value | None,
    hidden_mask: ir.Value | None,
    lengths: ir.Value | None,
    zoneouts: Sequence[float],
    reverse: bool,
) -> tuple[ir.Value, ...]:
    """Give the results of the GRU op."""
    op = Builder()
    parts = (2, 1)  # the gates r and z are normalised together, n by itself
    input_product, hidden_product = _products(op, weights, weight_layer_norm, parts)

    def cell(op: Builder, from_input: ir.Value, states: Sequence[ir.Value]) -> tuple[ir.Value, ...]:
        (h,) = states
        from_hidden = hidden_product(op, _masked(op, h, hidden_mask))
        reset_input, update_input, new_input = op.Split(from_input, axis=-1, num_outputs=3, outputs=3)
        reset_hidden, update_hidden, new_hidden = op.Split(from_hidden, axis=-1, num_outputs=3, outputs=3)
        reset_gate = op.Sigmoid(op.Add(reset_input, reset_hidden))
        update_gate = op.Sigmoid(op.Add(update_input, update_hidden))
        new_gate = op.Tanh(op.Add(new_input, op.Mul(reset_gate, new_hidden)))
        return (op.Add(new_gate, op.Mul(update_gate, op.Sub(h, new_gate))),)

    return _run_over_time(op, cell, input_product, x, (h0,), lengths, zoneouts, reverse)


def rnn(
    x: ir.Value,
    h0: ir.Value,
    weights: Weights,
    weight_layer_norm: ir.Value | None,
    hidden_mask: ir.Value | None,
    lengths: ir.Value | None,
    zoneouts: Sequence[float],
    relu: bool,
    reverse: bool,
) -> tuple[ir.Value, ...]:
    """Give the results of the simple recurrent op."""
    op = Builder()
    input_product, hidden_product = _products(op, weights, None)
    norm = () if weight_layer_norm is None else tuple(_row(op, weight_layer_norm, row) for row in (0, 1))

    def cell(op: Builder, from_input: ir.Value, states: Sequence[ir.Value]) -> tuple[ir.Value, ...]:
        (h,) = states
        total = op.Add(from_input, hidden_product(op, _masked(op, h, hidden_mask)))
        if norm:
            total = _normalised(op, total, *norm)
        return (op.Relu(total) if relu else op.Tanh(total),)

    return _run_over_time(op, cell, input_product, x, (h0,), lengths, zoneouts, reverse)


def _products(
    op: Builder, weights: Weights, norm: ir.Value | None, parts: Sequence[int] = ()
) -> tuple[_Product, _Product]:
    """Give the products of input and hidden state; `norm` holds the gains of the first, then the second."""
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    gates = sum(parts)
    gains: list[ir.Value | None] = [None, None]
    if norm is not None:
        for place in range(2):
            gain = rows(op, norm, range(place * gates, (place + 1) * gates))
            gain.shape = ir.Shape([gates, size_of(norm, 1)])
            gains[place] = gain
    return (
        _Product(op, weight_ih, bias_ih, gains[0], parts),
        _Product(op, weight_hh, bias_hh, gains[1], parts),
    )


def _row(op: Builder, tensor: ir.Value, row: int) -> ir.Value:
    """Take one row, without its axis."""
    taken: ir.Value = op.Squeeze(rows(op, tensor, [row]), constant(op, [0]))
    return taken


def _masked(op: Builder, h: ir.Value, hidden_mask: ir.Value | None) -> ir.Value:
    return h if hidden_mask is None else op.Mul(h, hidden_mask)


def _run_over_time(
    op: Builder,
    cell: Cell,
    input_product: _Product,
    x: ir.Value,
    states: Sequence[ir.Value],
    lengths: ir.Value | None,
    zoneouts: Sequence[float],
    reverse: bool,
) -> tuple[ir.Value, ...]:
    """Give the output, the final states and, for what is saved for backward, nothing: [0]."""
    zero = constant(op, 0.0, np.float32)
    probabilities = [
        constant(op, probability, np.float32) if probability else None for probability in zoneouts
    ]
    alive = None
    if lengths is not None:
        steps = op.Range(constant(op, 0), op.Squeeze(op.Shape(x, start=1, end=2)), constant(op, 1))
        in_row = op.Less(op.Unsqueeze(steps, constant(op, [0])), op.Unsqueeze(lengths, constant(op, [1])))
        alive = op.Unsqueeze(in_row, constant(op, [2]))  # [B, T, 1]
        alive.type = ir.TensorType(ir.DataType.BOOL)
        x = op.Where(alive, x, zero)  # padding may hold anything, NaN too
    sequences = [input_product(op, x)]
    sequences[0].type = states[0].type
    if alive is not None:
        sequences.append(alive)

    def step(
        op: Builder, before: Sequence[ir.Value], slices: Sequence[ir.Value]
    ) -> tuple[Sequence[ir.Value], ir.Value]:
        after = [
            new if probability is None else op.Add(new, op.Mul(probability, op.Sub(old, new)))
            for new, old, probability in zip(cell(op, slices[0], before), before, probabilities, strict=True)
        ]
        if alive is None:
            return after, after[0]
        here = slices[1]
        output = op.Where(here, after[0], zero)
        return [op.Where(here, new, old) for new, old in zip(after, before, strict=True)], output

    *final, output = scan(op, step, states, sequences, reverse=reverse)
    results = (output, *final, constant(op, [], np.float32))
    record(op)
    return results
