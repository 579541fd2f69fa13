"""Which implementation an op runs: the native kernels, torch's own layer, or the reference in plain PyTorch.

Every op takes ``backend="auto" | "native" | "reference"``:

- ``"auto"`` runs the native kernel where there is one. Where there is none (the extension was not built, or
  the tensors live on a device without kernels, such as MPS, XPU or meta) it runs torch's own layer, cuDNN and
  the like, for what torch has, the plain recurrent cells, and the reference for the rest.
- ``"native"`` raises ``RuntimeError``, saying why, where the kernel cannot run.
- ``"reference"`` always runs the equations in plain PyTorch.

:func:`use_backend` sets what ``"auto"`` means for a block of code. What is asked for in a call wins.
"""

from contextvars import ContextVar, Token
from types import TracebackType
from typing import Literal, get_args

import torch

from seqlight import _extension

Backend = Literal["auto", "native", "reference"]
Implementation = Literal["native", "torch", "reference"]

#: What "auto" runs, by whether the build has a kernel for device and dtype, and whether torch has the cell.
_AUTO: dict[tuple[bool, bool], Implementation] = {
    (True, True): "native",
    (True, False): "native",
    (False, True): "torch",
    (False, False): "reference",
}

_NATIVE_DTYPES = (torch.float32, torch.float64)


def _ops_with_kernels(dispatch_key: str) -> frozenset[str]:
    """Name the ops that the extension has registered for ``"CPU"`` or ``"CUDA"``, by their forward pass."""
    registered = torch._C._dispatch_get_registrations_for_dispatch_key(dispatch_key)
    names = (name.removeprefix("seqlight::") for name in registered if name.startswith("seqlight::"))
    return frozenset(name.removesuffix("_forward") for name in names if not name.endswith("_backward"))


# Device type -> ops. Not every op has a CUDA kernel.
_native_ops: dict[str, frozenset[str]] = {"cpu": _ops_with_kernels("CPU"), "cuda": _ops_with_kernels("CUDA")}

_backend: ContextVar[Backend] = ContextVar("seqlight_backend", default="auto")
# torch.compile cannot trace ContextVar.get. Traced code reads this copy, and is guarded on it, so that
# entering or leaving `use_backend` around a compiled function recompiles it.
_backend_when_traced: Backend = "auto"


def _check_name(backend: str) -> None:
    if backend not in get_args(Backend):
        raise ValueError(f"backend expected 'auto', 'native' or 'reference', got {backend!r}")


class use_backend:
    """Context manager: ops called with ``backend="auto"`` inside the block use `backend`.

    It holds for the current thread (or asyncio task) and nests. Code under ``torch.compile`` honours it too,
    inside or around the compiled function; there it holds for the whole process, the last one entered
    counting.

    Args:
        backend: ``"auto"``, ``"native"`` or ``"reference"``.

    Raises:
        ValueError: `backend` is none of the three.

    Example:
        >>> with seqlight.use_backend("reference"):
        ...     output, state = layer(x)
    """

    def __init__(self, backend: Backend) -> None:
        _check_name(backend)
        self.backend = backend
        self._before: list[tuple[Token[Backend] | None, Backend]] = []

    def __enter__(self) -> None:
        global _backend_when_traced
        token = None if torch.compiler.is_dynamo_compiling() else _backend.set(self.backend)
        self._before.append((token, _backend_when_traced))
        _backend_when_traced = self.backend

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _backend_when_traced
        token, _backend_when_traced = self._before.pop()
        if token is not None:
            _backend.reset(token)


def _has_kernel(op: str, device: torch.device, dtype: torch.dtype) -> bool:
    return op in _native_ops.get(device.type, ()) and dtype in _NATIVE_DTYPES


def why_not_native(op: str, device: torch.device, dtype: torch.dtype) -> str | None:
    """Say why `op` has no native kernel for tensors of this device and dtype; None where it has one."""
    if _has_kernel(op, device, dtype):
        return None
    if not _extension.available:
        reason = _extension.build_info().get("reason")
        return "the extension is not available" + (f" ({reason})" if reason else "")
    known = sorted(device_type for device_type, ops in _native_ops.items() if op in ops)
    if device.type not in known:
        return f"this build has kernels for {', '.join(known)}, and the tensors are on {device.type}"
    return f"the kernels compute in float32 or float64, not {dtype}"


def reference_is_chosen() -> bool:
    """Say whether :func:`use_backend` has chosen the reference; not for code under torch.compile."""
    return _backend.get() == "reference"


def use_native(op: str, backend: str, device: torch.device, dtype: torch.dtype) -> bool:
    """Decide whether `op` runs natively on tensors of this device and compute dtype.

    Raises:
        ValueError, RuntimeError: as :func:`choose`.
    """
    return choose(op, backend, device, dtype, torch_has_it=False) == "native"


def choose(
    op: str, backend: str, device: torch.device, dtype: torch.dtype, *, torch_has_it: bool
) -> Implementation:
    """Decide what runs `op` on tensors of this device and compute dtype.

    Args:
        op: its name.
        backend: what was asked for in the call.
        device: of the tensors.
        dtype: in which is computed.
        torch_has_it: whether torch has a layer for what is asked for.

    Raises:
        ValueError: `backend` is not a known name.
        RuntimeError: ``"native"`` was asked for, by the call or by :func:`use_backend`, and cannot run.
    """
    if backend == "auto":
        backend = _backend_when_traced if torch.compiler.is_dynamo_compiling() else _backend.get()
    if backend == "auto":
        return _AUTO[_has_kernel(op, device, dtype), torch_has_it]
    _check_name(backend)
    if backend == "reference":
        return "reference"
    reason = why_not_native(op, device, dtype)
    if reason is not None:
        raise RuntimeError(f"{op}: backend='native' cannot run: {reason}; use backend='auto' or 'reference'")
    return "native"
