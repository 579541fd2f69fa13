"""A device that stands in for a GPU where there is none: it computes on the CPU, and is as strict as CUDA.

Its tensors refuse to meet those of the CPU, and it refuses the CPU's generators. It notes what makes a host
wait for a GPU, and what no CUDA graph can hold: values that are read, and tensors that change their device.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from seqlight.ops import backend

NAME = "standin"
_setup_privateuseone_for_python_backend(NAME)
torch.get_device_module(NAME).get_amp_supported_dtype = lambda: [torch.bfloat16, torch.float16]
DEVICE = torch.device(NAME, 0)
aten = torch.ops.aten
#: Ops that take tensors of both devices.
MIXING = (
    aten.copy_.default,
    aten._to_copy.default,
    aten.index.Tensor,
    aten.index_put_.default,
    aten.index_put.default,
)
#: Ops whose result is a value for Python.
READING = (aten._local_scalar_dense.default, aten.equal.default, aten.is_nonzero.default)


class StandInTensor(Tensor):
    """Says that it is on the device, and has its numbers in a tensor of the CPU."""

    @staticmethod
    def __new__(cls, on_cpu: Tensor) -> "StandInTensor":
        made: StandInTensor = Tensor._make_wrapper_subclass(
            cls,
            on_cpu.size(),
            strides=on_cpu.stride(),
            storage_offset=on_cpu.storage_offset(),
            dtype=on_cpu.dtype,
            device=DEVICE,
        )
        made.on_cpu = on_cpu
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{op}: a tensor of {NAME} outside of `with stand_in()`")

    def __repr__(self, **_: Any) -> str:
        return f"{NAME} {self.on_cpu}"


class StandIn(TorchDispatchMode):
    """The device at work. `waits` are the ops for which the host would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        ours = [tensor for tensor in tensors if isinstance(tensor, StandInTensor)]
        wanted = kwargs.get("device")
        here = bool(ours) if wanted is None else wanted.type == NAME
        self._check(op, ours, [tensor for tensor in tensors if not isinstance(tensor, StandInTensor)])
        if here and kwargs.get("generator") is not None:
            raise RuntimeError(
                f"{op}: expected a generator of {NAME}, got one of {kwargs['generator'].device}"
            )
        if (ours and (op in READING or not here)) or (here and not ours and tensors):
            self.waits.append(str(op))
        result = op(*tree_map(_to_cpu, args), **tree_map(_to_cpu, kwargs))
        if not here:
            return result
        known = {id(tensor.on_cpu): tensor for tensor in ours}  # for ops that work in place

        def to_device(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            return known[id(value)] if id(value) in known else StandInTensor(value)

        return tree_map(to_device, result)

    @contextmanager
    def without_waiting(self) -> Iterator[None]:
        """Fail where the host would have waited inside the block."""
        self.waits.clear()
        yield
        assert not self.waits

    @staticmethod
    def _check(op: Any, ours: list[Tensor], others: list[Tensor]) -> None:
        of_seqlight = op.namespace == "seqlight"
        others = [
            tensor for tensor in others if of_seqlight or tensor.dim()
        ]  # torch takes single numbers of the CPU
        if ours and others and op not in MIXING:
            raise RuntimeError(f"{op}: expected all tensors on {NAME}, got one on {others[0].device}")


class TensorsFromValues(TorchFunctionMode):
    """torch.tensor moves what it makes to its device where no other mode can see it."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        device = kwargs.get("device")
        if (
            function not in (torch.tensor, torch.as_tensor)
            or device is None
            or torch.device(device).type != NAME
        ):
            return function(*args, **kwargs)
        return function(*args, **{**kwargs, "device": "cpu"}).to(DEVICE)


def _to_cpu(value: Any) -> Any:
    if isinstance(value, StandInTensor):
        return value.on_cpu
    return torch.device("cpu") if isinstance(value, torch.device) else value


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Inside the block there is the device ``"standin"``, and seqlight has the CPU's kernels for it."""
    with (
        pytest.MonkeyPatch.context() as patch,
        # autograd has a thread for each device, but only for those that there were at its first backward
        torch.autograd.set_multithreading_enabled(False),
        TensorsFromValues(),
        StandIn() as device,
    ):
        patch.setitem(backend._native_ops, NAME, backend._native_ops["cpu"])
        yield device


def trainer_options() -> dict[str, Any]:
    """Give what a Lightning Trainer takes to train on the device."""
    from lightning.pytorch.accelerators import CPUAccelerator
    from lightning.pytorch.strategies import SingleDeviceStrategy

    class Accelerator(CPUAccelerator):
        """Takes the device in place of the CPU."""

        def setup_device(self, device: torch.device) -> None:
            assert device == DEVICE

    # wrapped tensors cannot be made in inference mode
    return {"inference_mode": False, "strategy": SingleDeviceStrategy(DEVICE, Accelerator())}
