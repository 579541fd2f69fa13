"""What the recurrent ops do once their shapes are checked: dtypes, and the choice of what runs."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from seqlight.ops.backend import Backend, choose
from seqlight.ops.checks import check_alike, check_lengths
from seqlight.ops.precision import precision_of
from seqlight.ops.recurrent_autograd import Constants
from seqlight.ops.recurrent_native import NativeCell
from seqlight.ops.torch_layer import run_torch_layer, torch_has_it


def run_recurrent(
    op: str,
    cell: NativeCell,
    names: tuple[str, ...],
    tensors: Sequence[Any],
    constants: Constants,
    *flags: float,
    packed: Tensor | None,
    backend: Backend,
) -> tuple[Tensor, ...]:
    """Check dtypes, devices and lengths, and run the kernel, torch's layer or the reference.

    Args:
        op: name of the op, for messages and for the choice of the backend.
        cell: its native ops.
        names: the arguments' names behind x.
        tensors: x and those arguments, None where an optional one is absent; of the right shapes.
        constants: hidden_mask, zoneout_seed and lengths, None where one is absent; the first two checked.
        flags: the cell's options, as its ops take them.
        packed: packed weights for the kernel, or None.
        backend: see :mod:`seqlight.ops.backend`.

    Returns:
        Output and final states.
    """
    x = tensors[0]
    precision = precision_of(op, x)
    check_alike(op, x, zip(names, tensors[1:], strict=True), mixed=precision.autocast)
    hidden_mask, zoneout_seed, lengths = constants
    if hidden_mask is not None or zoneout_seed is not None or lengths is not None:
        constants = _checked_constants(op, x, constants, precision.compute)
    if precision.autocast or precision.compute != precision.result:
        tensors = [None if tensor is None else tensor.to(precision.compute) for tensor in tensors]
    in_torch = torch_has_it(cell, tensors, constants, flags)
    implementation = choose(op, backend, x.device, precision.compute, torch_has_it=in_torch)
    if implementation == "native":
        results = cell(tensors, constants, *flags, packed=packed)
    else:
        # What is computed in float32 is not to be cast again.
        off = torch.autocast(x.device.type, enabled=False) if precision.autocast else nullcontext()
        with off:
            if implementation == "torch":
                results = run_torch_layer(cell, tensors, constants, flags)
            else:
                results = cell.reference(tensors, constants, *flags)
    if precision.compute != precision.result:
        return tuple(result.to(precision.result) for result in results)
    return results


def _checked_constants(op: str, x: Tensor, constants: Constants, compute: torch.dtype) -> Constants:
    """Check the lengths; bring all constants to the device of `x`, and the mask to the dtype `compute`."""
    hidden_mask, zoneout_seed, lengths = constants
    if hidden_mask is not None:
        hidden_mask = hidden_mask.to(compute)
    if zoneout_seed is not None:
        zoneout_seed = zoneout_seed.to(x.device)
    if lengths is not None:
        check_lengths(op, lengths, x.shape[0], x.shape[1])
        lengths = lengths.to(x.device)
    return hidden_mask, zoneout_seed, lengths
