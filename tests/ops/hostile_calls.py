"""Hostile calls of the private ops, made from the valid ones of hostile_bases.py, each run and judged.

As a program, it runs those of the ops named: ``hostile_calls.py first-case op ...``. Before each call it
writes its number and name, after it what was wrong, if anything; so whoever reads knows which call a crash
was. Without an op it writes the names of those in the table.
"""

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from guarded_memory import guarded, guarded_as
from hostile_bases import Base, all_bases
from torch import Tensor

#: Seconds that one call may take; the process is then killed by the signal of this alarm.
CALL_SECONDS = 10
#: Bytes that the process may map, so that results of huge sizes are refused alike on every machine.
MOST_MEMORY = 16 << 30

# What an op may raise, by torch or by itself; MemoryError: std::bad_alloc.
CLEAN = (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError, MemoryError)
# Huge sizes: the ends of int32 and int64, and what overflows when multiplied.
HUGE = (2**31 - 1, 2**31, 2**32, 2**40, 2**62)
INTEGERS = (-1, 0, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63))
FLOATS = (float("nan"), float("inf"), -float("inf"), -0.5, 0.0, 1.0, 1e300)


class Case(NamedTuple):
    """A call, and what must come of it.

    ``"right"``: right results. ``"refused"``: an exception. ``"either"``: one of these. ``"any"``: an
    exception, or results that are not compared, since the other arguments follow from what this one was.
    ``"unread"``: likewise, as the op need not look at this one.
    """

    name: str
    arguments: list[Any]
    must: str


def replaced(arguments: list[Any], place: tuple[int, ...], value: Any) -> list[Any]:
    """Give a copy of the arguments with another one at `place`, which may be within a list."""
    copy = list(arguments)
    if len(place) == 2:
        copy[place[0]] = list(copy[place[0]])
        copy[place[0]][place[1]] = value
    else:
        copy[place[0]] = value
    return copy


def zeros_of(shape: list[int], dtype: torch.dtype) -> Tensor | None:
    """Give a tensor of any shape that takes no memory; None where torch refuses to make one."""
    try:
        if 0 in shape:
            return torch.empty(0, dtype=dtype).as_strided(shape, [0] * len(shape))
        return torch.zeros((), dtype=dtype).expand(shape)
    except RuntimeError:
        return None


def layouts(tensor: Tensor, *, expands: bool) -> Iterator[tuple[str, Tensor]]:
    """Give the same tensor in other memory; expanded ones repeat a part of it."""
    if tensor.dim() and tensor.numel():
        strides = [2 * stride for stride in tensor.contiguous().stride()]
        yield "strided", guarded_as(tensor, tuple(strides))
        reverse = tensor.permute(*reversed(range(tensor.dim()))).contiguous().stride()
        yield "in reverse order", guarded_as(tensor, tuple(reversed(reverse)))
        if expands:
            for dim in range(tensor.dim()):
                yield f"expanded in {dim}", tensor.narrow(dim, 0, 1).expand(tensor.shape)
    if tensor.is_floating_point():
        yield "negative view", torch._neg_view(-tensor)
        yield "requires_grad", tensor.clone().requires_grad_()


def of_other_kind(tensor: Tensor) -> Iterator[tuple[str, Any]]:
    """Give what must be refused: other devices, layouts and dtypes, no tensors."""
    yield "meta", tensor.to("meta")
    yield "sparse", tensor.to_sparse()
    for dtype in (
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
        *(torch.int32, torch.int64, torch.uint8, torch.bool, torch.complex64),
    ):
        if dtype != tensor.dtype:
            yield str(dtype), tensor.to(dtype)
    yield "a number", 1.5
    yield "a string", "x"
    yield "a list", [1, 2]


def of_other_shape(tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Give tensors of other ranks and sizes."""
    yield "rank + 1", tensor.unsqueeze(0)
    yield "rank + 1 behind", tensor.unsqueeze(-1)
    yield "flat", tensor.reshape(-1)
    yield "rank 0", tensor.new_zeros(())
    yield "empty", tensor.new_zeros((0,))
    for dim, size in enumerate(tensor.shape):
        for other in {0, 1, size - 1} - {size, -1}:
            yield f"size {other} in {dim}", tensor.narrow(dim, 0, min(other, size))
        if size:
            yield f"size {size + 1} in {dim}", torch.cat([tensor, tensor.narrow(dim, 0, 1)], dim)
        for huge in HUGE:
            shape = list(tensor.shape)
            shape[dim] = huge
            for zero in (None, *range(tensor.dim())):
                if zero == dim:
                    continue
                if zero is not None:
                    shape[zero] = 0
                large = zeros_of(shape, tensor.dtype)
                if large is not None:
                    yield f"{list(large.shape)}", large
                if zero is not None:
                    shape[zero] = tensor.shape[zero]
        shape = list(tensor.shape)
    for huge in HUGE:
        everywhere = zeros_of([huge] * tensor.dim(), tensor.dtype)
        if everywhere is not None:
            yield f"size {huge} everywhere", everywhere


# Tensors that follow from the others: another content would make a different call.
DERIVED = ("packed", "output", "saved", "activated")


def cases_of(base: Base) -> Iterator[Case]:
    """Give the hostile calls that come of one valid call."""
    parameters = getattr(torch.ops.seqlight, base.op).default._schema.arguments
    backward = base.op.endswith("_backward")
    values = base.arguments
    packed = any(
        parameter.name == "packed" and value is not None
        for parameter, value in zip(parameters, values, strict=True)
    )
    alone = len(values) == 1
    yield Case("as it is", values, "right")
    for at_end in (True, False):
        everything = [_guarded(value, at_end=at_end) for value in values]
        yield Case(f"page {'behind' if at_end else 'before'} all", everything, "right")
    for index, (parameter, value) in enumerate(zip(parameters, values, strict=True)):
        name, derived = parameter.name, parameter.name in DERIVED
        of_grad = name.startswith("grad_")
        compared = "either" if not backward or of_grad else "any"
        if packed and name.startswith(("weight_", "bias_")):
            compared = "any"  # what is packed takes their place
        if name == "activated" and base.label.endswith("None"):
            compared = "unread"  # without an activation

        def case(
            what: str, other: Any, must: str, place: tuple[int, ...] = (index,), name: str = name
        ) -> Case:
            return Case(f"{name}: {what}", replaced(values, place, other), must)

        if isinstance(value, bool):
            yield case(f"{not value}", not value, "either" if "need_" in name else "any")
        elif isinstance(value, int):
            for number in INTEGERS:
                yield case(f"{number}", number, compared)
        elif isinstance(value, float):
            for number in FLOATS:
                yield case(f"{number}", number, compared)
        elif isinstance(value, list) and "int" in str(parameter.type) and "Tensor" not in str(parameter.type):
            for number in INTEGERS:
                yield case(f"with {number}", [number, *value[1:]], compared)
            yield case("one more", [*value, 1], "refused")
            yield case("2^31 - 1 of them", [2**31 - 1] * 9, "refused")
        elif isinstance(value, list):
            yield case("one more", [*value, torch.zeros(2)], "refused")
            if value:
                yield case("none", [], "refused")
                yield case("one less", value[:-1], "refused")
            for position in {0, len(value) - 1} if value else ():
                for what, other, must in _of_tensor(value[position], compared, derived, alone):
                    yield case(f"[{position}] {what}", other, must, (index, position))
        elif value is None:
            yield case("an empty one", torch.zeros(0), "any")
        else:
            optional = "Optional" in str(parameter.type)
            yield case("None", None, compared if optional else "refused")
            for what, other, must in _of_tensor(value, compared, derived, alone):
                yield case(what, other, must)
            if name == "lengths":
                for number in (-1, values[0].shape[1] + 100, 2**31, 2**63 - 1, -(2**63)):
                    yield case(f"of {number}", torch.full_like(value, number), "refused")
    yield from _together(base)


def _guarded(value: Any, *, at_end: bool) -> Any:
    if isinstance(value, list):
        return [_guarded(part, at_end=at_end) for part in value]
    return guarded(value.contiguous(), at_end=at_end) if isinstance(value, Tensor) else value


def other_float(tensor: Tensor, other: Any) -> bool:
    """Say whether an op of one tensor computes in the dtype of the other, too."""
    return isinstance(other, Tensor) and {tensor.dtype, other.dtype} == {torch.float32, torch.float64}


def _of_tensor(tensor: Tensor, compared: str, derived: bool, alone: bool) -> Iterator[tuple[str, Any, str]]:
    """Give other tensors and what must come of them; `alone`: there is no other tensor in the call."""
    for what, other in layouts(tensor, expands=not derived and compared != "any"):
        yield what, other, "either" if derived else "right"
    for what, other in of_other_kind(tensor):
        yield what, other, "either" if alone and other_float(tensor, other) else "refused"
    for what, other in of_other_shape(tensor):
        if other.shape == tensor.shape:
            continue
        yield what, other, "refused" if derived and compared != "unread" else compared


def _together(base: Base) -> Iterator[Case]:
    """Give calls in which several arguments agree on sizes that no memory can hold."""
    if base.op.endswith("_pack"):
        cases = [([0, 2**62], [0, 3]), ([0, 2**40], [0, 2**40]), ([2**33, 2**31], [2**33, 2**31])]
        for hidden_shape, input_shape in cases:
            arguments = [zeros_of(shape, base.arguments[0].dtype) for shape in (input_shape, hidden_shape)]
            rest = [None] * (len(base.arguments) - 3)
            if None not in arguments:
                yield Case(
                    f"weights {input_shape}, {hidden_shape}",
                    [*arguments, *rest, base.arguments[-1]],
                    "refused",
                )
    if base.op.endswith("_forward") and base.label == "plain" and base.op[:3] in ("lst", "gru", "rnn"):
        states = 2 if base.op == "lstm_forward" else 1
        dtype = base.arguments[0].dtype
        for batch, steps in ((2**40, 2**31 - 1), (2**31, 2**31 - 1), (2**62, 1)):
            x = zeros_of([batch, steps, base.arguments[0].shape[2]], dtype)
            state = zeros_of([batch, base.arguments[1].shape[1]], dtype)
            if x is not None and state is not None:
                arguments = [x, *[state] * states, *base.arguments[1 + states :]]
                lengths = [parameter.name for parameter in _parameters(base)].index("lengths")
                arguments[lengths] = None
                yield Case(f"B = {batch}, T = {steps}", arguments, "refused")


def _parameters(base: Base) -> Any:
    return getattr(torch.ops.seqlight, base.op).default._schema.arguments


def judge(base: Base, case: Case) -> str:
    """Run one case; say what is wrong with what it does, or nothing."""
    try:
        results = base.call(case.arguments)
    except CLEAN as error:
        if case.must == "right":
            return f"refused: {type(error).__name__}: {str(error)[:300]}"
        return unnamed(base, error)
    if case.must == "refused":
        return "accepted"
    if case.must in ("any", "unread"):
        return ""
    try:
        expected = base.expected(case.arguments)
    except Exception as error:
        return f"accepted, where the reference says {type(error).__name__}: {str(error)[:200]}"
    for place, (result, right) in enumerate(zip(results, expected, strict=True)):
        if right is None:
            continue
        try:
            # Sums of numbers of about one, up to a thousand of them.
            tolerance = 5e-4 if right.dtype == torch.float32 else 1e-9
            torch.testing.assert_close(
                result.detach(), right.detach(), rtol=tolerance, atol=tolerance, equal_nan=True
            )
        except AssertionError as error:
            return f"result {place} is wrong: {str(error)[:300]}"
    return ""


def unnamed(base: Base, error: Exception) -> str:
    """Say so where a refusal of a tensor's dtype or shape names no argument of the op."""
    text = str(error)
    if isinstance(error, NotImplementedError | MemoryError) or "memory" in text or "overflow" in text:
        return ""  # torch's own: no kernel for such a tensor, or no memory
    if "API call failed" in text and any(name in text for name in ("contiguous", "empty", "zeros")):
        return ""  # likewise no memory, which the stable ABI does not hand on
    if base.op in text and "Expected" in text:
        return ""  # the dispatcher's, about the type of an argument
    names = [parameter.name for parameter in _parameters(base)]
    return (
        ""
        if any(name in text for name in names)
        else f"names no argument: {type(error).__name__}: {text[:300]}"
    )


def main() -> None:
    """Run the cases of some ops."""
    first, *ops = sys.argv[1:]
    if "asan" not in os.environ.get("LD_PRELOAD", ""):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    torch.set_num_threads(1)
    number = 0
    for dtype in (torch.float32, torch.float64):
        for base in all_bases(dtype):
            if not ops:
                print(f"0\t{base.op}")
            if base.op not in ops:
                continue
            label = f"{base.op} ({dtype}, {base.label})"
            for case in cases_of(base):
                number += 1
                if number <= int(first):
                    continue
                print(f"{number}\t{label}, {case.name}", flush=True)
                signal.setitimer(signal.ITIMER_REAL, CALL_SECONDS)
                wrong = judge(base, case)
                signal.setitimer(signal.ITIMER_REAL, 0)
                if wrong:
                    print(f"wrong\t{wrong!r}", flush=True)
    print("end", flush=True)


if __name__ == "__main__":
    main()
