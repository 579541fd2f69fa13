"""Argument checks shared by the ops: errors name the op, the argument, what was expected and what came."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

# By number of gates: the shapes of input weights, recurrent weights and biases. In full, because putting them
# together at each call would cost as much as all the checks.
_WEIGHT_SHAPES = {
    1: ("[H, I]", "[H, H]", "[H]"),
    3: ("[3*H, I]", "[3*H, H]", "[3*H]"),
    4: ("[4*H, I]", "[4*H, H]", "[4*H]"),
}

FLOATING_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def check_tensor(op: str, name: str, value: object) -> None:
    """Raise TypeError unless `value` is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{op}: {name} expected a torch.Tensor, got {kind_of(value)}")


def kind_of(value: object) -> str:
    """Return the name of a value's type, of a NumPy array with what makes it a tensor."""
    name = type(value).__name__
    return f"{name}; pass torch.from_numpy(array)" if name == "ndarray" else name


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
    tensors, outside of torch.func.

    Raises:
        TypeError: not a tensor, or not int64.
        ValueError: wrong shape, or a length outside 0..T.
    """
    check_shape(op, "lengths", lengths, "[B]", (batch_size,))
    if lengths.dtype != torch.int64:
        raise TypeError(f"{op}: lengths expected dtype torch.int64, got {lengths.dtype}; use lengths.long()")
    if torch.compiler.is_compiling() or type(lengths) is not Tensor or not lengths.is_cpu or batch_size == 0:
        return
    if torch._C._are_functorch_transforms_active():
        return
    low, high = (int(bound) for bound in torch.aminmax(lengths))
    if low < 0 or high > steps:
        wrong = low if low < 0 else high
        row = int((lengths == wrong).nonzero()[0])
        raise ValueError(f"{op}: lengths expected values in 0..T = 0..{steps}, got {wrong} in row {row}")


def check_recurrent_noise(
    op: str,
    x: Tensor,
    hidden_size: int,
    hidden_mask: Tensor | None,
    zoneouts: Mapping[str, float],
    zoneout_seed: Tensor | None,
) -> None:
    """Check the mask of recurrent dropout [B, H], the probabilities of zoneout by name, and its seed [1].

    Raises:
        TypeError: a wrong type or dtype.
        ValueError: a wrong shape or device, a probability outside 0..1, or a mask that wants a gradient.
    """
    if hidden_mask is not None:
        check_shape(op, "hidden_mask", hidden_mask, "[B, H]", (x.shape[0], hidden_size))
        check_floating(op, "hidden_mask", hidden_mask)
        if hidden_mask.device != x.device:
            raise ValueError(
                f"{op}: hidden_mask expected on the device of x, {x.device}, got {hidden_mask.device}"
            )
        if hidden_mask.requires_grad:
            raise ValueError(
                f"{op}: hidden_mask expected without requires_grad, as no gradient is computed for it; "
                "use hidden_mask.detach()"
            )
    for name, probability in zoneouts.items():
        check_probability(op, name, probability)
    if zoneout_seed is not None:
        check_shape(op, "zoneout_seed", zoneout_seed, "[1]", (1,))
        if zoneout_seed.dtype != torch.int64:
            raise TypeError(f"{op}: zoneout_seed expected dtype torch.int64, got {zoneout_seed.dtype}")


def check_probability(op: str, name: str, value: object) -> None:
    """Raise unless `value` is a number in 0 <= value < 1.

    Raises:
        TypeError: not a number.
        ValueError: outside.
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{op}: {name} expected a number, got {type(value).__name__}")
    if not 0 <= value < 1:
        raise ValueError(f"{op}: {name} expected a probability p with 0 <= p < 1, got {value}")


def check_recurrent_shapes(
    op: str,
    gate_count: int,
    x: Tensor,
    states: dict[str, Tensor],
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
) -> int:
    """Check what all recurrent ops take; I and H come from `weight_ih`, B and T from `x`.

    Args:
        op: name of the op.
        gate_count: number G of gates whose weights are stacked: x [B, T, I], weight_ih [G*H, I],
            weight_hh [G*H, H], biases [G*H].
        x: the input.
        states: initial states by the names of their arguments, each [B, H].
        weight_ih: input weights.
        weight_hh: recurrent weights.
        bias_ih: bias, or None.
        bias_hh: second bias, or None.

    Returns:
        H.

    Raises:
        TypeError: an argument is not a tensor.
        ValueError: a wrong shape.
    """
    weight_ih_shape, weight_hh_shape, bias_shape = _WEIGHT_SHAPES[gate_count]
    check_tensor(op, "x", x)
    check_tensor(op, "weight_ih", weight_ih)
    if weight_ih.dim() != 2 or weight_ih.shape[0] % gate_count != 0 or 0 in weight_ih.shape:
        raise ValueError(
            f"{op}: weight_ih expected {weight_ih_shape} with H and I at least 1, got {list(weight_ih.shape)}"
        )
    hidden_size, input_size = weight_ih.shape[0] // gate_count, weight_ih.shape[1]
    if x.dim() != 3 or x.shape[2] != input_size:
        raise ValueError(
            f"{op}: x expected [B, T, I] with I = {input_size} as in weight_ih, got {list(x.shape)}"
            + ("; for one sequence use x.unsqueeze(0)" if x.dim() == 2 else "")
        )
    if x.shape[1] == 0:
        raise ValueError(f"{op}: x expected [B, T, I] with at least one time step, got {list(x.shape)}")
    for name, state in states.items():
        check_shape(op, name, state, "[B, H]", (x.shape[0], hidden_size))
    row_count = weight_ih.shape[0]
    check_shape(op, "weight_hh", weight_hh, weight_hh_shape, (row_count, hidden_size))
    if bias_ih is not None:
        check_shape(op, "bias_ih", bias_ih, bias_shape, (row_count,))
    if bias_hh is not None:
        check_shape(op, "bias_hh", bias_hh, bias_shape, (row_count,))
    return hidden_size
