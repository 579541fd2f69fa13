"""Quantiles of counts as a Loop: ONNX has no operator for them.

The probabilities of 0, 1, 2, ... are added up until every cell has reached its own, in float64, as in
:mod:`seqlight.heads.count_quantiles`. The time goes with the largest quantile.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

from seqlight.onnx.graph import Builder, constant, record

MOST = 5.5
"""Scores beyond it are taken for it, as heads do."""
LARGEST = 1_000_000
"""A quantile beyond it is NaN."""
TERMS = 128
"""Of the series of the normal distribution; at 5.5, the last one is below 1e-20."""


def translations() -> dict[Any, Callable[..., Any]]:
    """Give the translation of the heads' operator, where heads were imported."""
    if not hasattr(torch.ops.seqlight_heads, "count_at"):
        return {}
    return {torch.ops.seqlight_heads.count_at.default: count_at}


def count_at(mean: ir.Value, dispersion: ir.Value, score: ir.Value) -> ir.Value:
    """Translate the smallest counts whose probability with all below is at least Phi(score), float64."""
    op = Builder()
    one = _number(op, 1.0)
    m, a, s = (op.Cast(value, to=ir.DataType.DOUBLE) for value in (mean, dispersion, score))
    wanted = _normal_distribution(op, op.Clip(s, _number(op, -MOST), _number(op, MOST)))
    spread = op.Add(one, op.Mul(a, m))
    some = op.Greater(a, _number(op, 0.0))
    shape = op.Where(some, a, one)
    log_none = op.Where(some, op.Neg(op.Div(op.Log(spread), shape)), op.Neg(m))
    log_step = op.Log(op.Div(m, spread))

    def step(body: Builder, number: ir.Value, states: Sequence[ir.Value]) -> tuple[ir.Value, list[ir.Value]]:
        log_probability, total, found = states
        below = body.Less(total, wanted)
        count = body.Add(body.Cast(number, to=ir.DataType.DOUBLE), one)
        times = body.Div(body.Add(one, body.Mul(a, body.Sub(count, one))), count)
        grown = body.Add(log_probability, body.Add(log_step, body.Log(times)))
        more = body.Add(found, body.Cast(below, to=ir.DataType.DOUBLE))
        anywhere = body.ReduceMax(body.Cast(below, to=ir.DataType.FLOAT), keepdims=0)
        goes_on = body.Cast(anywhere, to=ir.DataType.BOOL)
        return goes_on, [grown, body.Add(total, body.Exp(grown)), more]

    nothing = op.Mul(_number(op, 0.0), op.Add(m, wanted))  # of the shape of both; NaN stays NaN
    _, _, found = loop(op, step, [log_none, op.Exp(log_none), nothing], LARGEST + 1)
    result: ir.Value = op.Where(op.Greater(found, _number(op, LARGEST)), _number(op, np.nan), found)
    result.type = ir.TensorType(ir.DataType.DOUBLE)
    record(op)
    return result


def _normal_distribution(op: Builder, x: ir.Value) -> ir.Value:
    """Give Phi(x) by its series, for onnxruntime has no Erf in float64.

    ``1/2 + phi(x) (x + x^3 / 3 + x^5 / 15 + ...)``, which converges everywhere.
    """
    square = op.Mul(x, x)

    def step(body: Builder, number: ir.Value, states: Sequence[ir.Value]) -> tuple[None, list[ir.Value]]:
        term, total = states
        place = body.Cast(number, to=ir.DataType.DOUBLE)
        odd = body.Add(body.Mul(place, _number(body, 2.0)), _number(body, 3.0))
        following = body.Div(body.Mul(term, square), odd)
        return None, [following, body.Add(total, following)]

    _, total = loop(op, step, [x, x], TERMS)
    density = op.Mul(op.Exp(op.Mul(square, _number(op, -0.5))), _number(op, 1 / np.sqrt(2 * np.pi)))
    value: ir.Value = op.Add(_number(op, 0.5), op.Mul(density, total))
    return value


def loop(
    builder: Builder,
    step: Callable[[Builder, ir.Value, Sequence[ir.Value]], tuple[ir.Value | None, list[ir.Value]]],
    states: Sequence[ir.Value],
    most: int,
) -> Sequence[ir.Value]:
    """Make a Loop of float64 states.

    Args:
        builder: of the surrounding graph, whose values the body may use as they are.
        step: makes the body: gives whether to go on (None: always), and the next states.
        states: before the first step.
        most: number of steps at most.

    Returns:
        The states at the end.

    """
    number = ir.Value(type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape([]))
    before = ir.Value(type=ir.TensorType(ir.DataType.BOOL), shape=ir.Shape([]))
    double = ir.TensorType(ir.DataType.DOUBLE)
    carried = [ir.Value(type=double) for _ in states]
    body = Builder()
    goes_on, following = step(body, number, carried)
    # Each result a value of its own: a body may not return one value twice.
    results = [body.Identity(value) for value in (before if goes_on is None else goes_on, *following)]
    for result, kind in zip(results, (before.type, *[double] * len(states)), strict=True):
        result.type = kind
    results[0].shape = ir.Shape([])
    graph = ir.Graph([number, before, *carried], results, nodes=body.nodes, name="step")
    steps, always = constant(builder, most), constant(builder, True, np.bool_)
    made = builder.Loop(steps, always, *states, body=graph, outputs=len(states))
    return made if len(states) > 1 else [made]


def _number(op: Builder, value: float) -> ir.Value:
    return constant(op, value, np.float64)
