"""Argument checks shared by the ops: errors name the op, the argument, what was expected and what came."""

from collections.abc import Iterable

import torch
from torch import Tensor

FLOATING_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def check_tensor(op: str, name: str, value: object) -> None:
    """Raise TypeError unless `value` is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{op}: {name} expected a torch.Tensor, got {type(value).__name__}")


def check_shape(op: str, name: str, tensor: Tensor, dims: str, sizes: tuple[int, ...]) -> None:
    """Raise unless `tensor` is a tensor of shape `sizes`; `dims` spells the shape in letters: ``[4*H, H]``.

    Raises:
        TypeError: not a tensor.
        ValueError: another shape.
    """
    check_tensor(op, name, tensor)
    if tensor.shape != sizes:
        raise ValueError(f"{op}: {name} expected {dims} = {list(sizes)}, got {list(tensor.shape)}")


def check_floating(op: str, name: str, tensor: Tensor) -> None:
    """Raise TypeError unless `tensor` holds real floating-point numbers."""
    if tensor.dtype not in FLOATING_DTYPES:
        known = ", ".join(str(dtype).removeprefix("torch.") for dtype in FLOATING_DTYPES)
        raise TypeError(f"{op}: {name} expected one of the dtypes {known}, got {tensor.dtype}")


def check_alike(op: str, x: Tensor, others: Iterable[tuple[str, Tensor | None]], *, mixed: bool) -> None:
    """Raise unless all tensors are on the device of `x` and of its dtype.

    Args:
        op: name of the op.
        x: the tensor that the others are held against.
        others: their names and themselves; None where an optional one is absent.
        mixed: whether the others may have any floating-point dtype but float64, whatever that of `x`.

    Raises:
        ValueError: on another device.
        TypeError: of another dtype.
    """
    device, dtype = x.device, x.dtype
    for name, tensor in others:
        if tensor is None:
            continue
        if tensor.device != device:
            raise ValueError(f"{op}: {name} expected on the device of x, {device}, got {tensor.device}")
        if tensor.dtype == dtype:
            continue
        if mixed:
            check_floating(op, name, tensor)
        if not mixed or tensor.dtype == torch.float64:
            raise TypeError(
                f"{op}: {name} expected the dtype of x, {dtype}, got {tensor.dtype}; convert one of them"
                + ("" if mixed else ", or use torch.autocast for mixed precision")
            )


def check_lengths(op: str, lengths: Tensor, batch_size: int, steps: int) -> None:
    """Raise unless `lengths` is an int64 tensor [B] with values in 0..T.

    The values are looked at where that takes neither waiting for a device nor tracing of data: on plain CPU
    tensors.

    Raises:
        TypeError: not a tensor, or not int64.
        ValueError: wrong shape, or a length outside 0..T.
    """
    check_shape(op, "lengths", lengths, "[B]", (batch_size,))
    if lengths.dtype != torch.int64:
        raise TypeError(f"{op}: lengths expected dtype torch.int64, got {lengths.dtype}; use lengths.long()")
    if torch.compiler.is_compiling() or type(lengths) is not Tensor or not lengths.is_cpu or batch_size == 0:
        return
    low, high = (int(bound) for bound in torch.aminmax(lengths))
    if low < 0 or high > steps:
        wrong = low if low < 0 else high
        row = int((lengths == wrong).nonzero()[0])
        raise ValueError(f"{op}: lengths expected values in 0..T = 0..{steps}, got {wrong} in row {row}")
