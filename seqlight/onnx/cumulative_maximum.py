"""``torch.cummax``, by which imputers find the last observed cell, as a Scan: ONNX has no operator for it."""

from collections.abc import Sequence

import onnx_ir as ir

from seqlight.onnx.graph import Builder, constant, record, scan


def cummax(x: ir.Value, dim: int) -> tuple[ir.Value, ir.Value]:
    """Translate ``torch.cummax`` of int64 [B, T, C] over T: the values and the rows that they are from."""
    if x.dtype != ir.DataType.INT64 or x.shape is None or len(x.shape) != 3 or dim not in (1, -2):
        raise NotImplementedError("torch.cummax: only of int64 [B, T, C] over the second axis")
    op = Builder()
    first = op.Squeeze(op.Slice(x, *(constant(op, [bound]) for bound in (0, 1, 1))), constant(op, [1]))
    first.type = x.type
    none = op.Sub(first, first)
    none.type = x.type
    rows = op.Range(constant(op, 0), op.Squeeze(op.Shape(x, start=1, end=2)), constant(op, 1))
    numbered = op.Unsqueeze(rows, constant(op, [0, 2]))  # [1, T, 1]
    numbered.type = x.type

    def running(place: int) -> ir.Value:
        def step(
            op: Builder, before: Sequence[ir.Value], slices: Sequence[ir.Value]
        ) -> tuple[list[ir.Value], ir.Value]:
            new = op.GreaterOrEqual(slices[0], before[0])
            states = [op.Where(new, now, old) for now, old in zip(slices, before, strict=True)]
            return states, states[place]

        return scan(op, step, (first, none), (x, numbered))[-1]

    found = running(0), running(1)  # what nobody uses of the two, the optimiser takes away
    record(op)
    return found
