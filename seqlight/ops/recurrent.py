"""What the recurrent ops do once their shapes are checked: dtypes, and the choice of kernel or reference."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqlight.ops.backend import Backend, use_native
from seqlight.ops.checks import check_alike, check_lengths
from seqlight.ops.precision import precision_of
from seqlight.ops.recurrent_native import NativeCell


def run_recurrent(
    op: str,
    cell: NativeCell,
    names: tuple[str, ...],
    tensors: Sequence[Any],
    lengths: Tensor | None,
    *flags: bool,
    backend: Backend,
) -> tuple[Tensor, ...]:
    """Check dtypes, devices and lengths, and run the kernel or the reference.

    Args:
        op: name of the op, for messages and for the choice of the backend.
        cell: its native ops.
        names: the arguments' names behind x.
        tensors: x and those arguments, None where an optional one is absent; of the right shapes.
        lengths: int64 [B], or None.
        flags: the cell's options, as its ops take them.
        backend: see :mod:`seqlight.ops.backend`.

    Returns:
        Output and final states.
    """
    x = tensors[0]
    precision = precision_of(op, x)
    check_alike(op, x, zip(names, tensors[1:], strict=True), mixed=precision.autocast)
    if lengths is not None:
        check_lengths(op, lengths, x.shape[0], x.shape[1])
        lengths = lengths.to(x.device)
    run = cell if use_native(op, backend, x.device, precision.compute) else cell.reference

    if precision.autocast or precision.compute != precision.result:
        tensors = [None if tensor is None else tensor.to(precision.compute) for tensor in tensors]
    if precision.autocast and run is not cell:
        with torch.autocast(x.device.type, enabled=False):
            results = run(tensors, lengths, *flags)
    else:
        results = run(tensors, lengths, *flags)
    if precision.compute != precision.result:
        return tuple(result.to(precision.result) for result in results)
    return results
