"""A device that stands in for a GPU where there is none: it computes on the CPU, and is as strict as CUDA.

Its tensors refuse to meet those of the CPU, and it refuses the CPU's generators. It notes what makes a host
wait for a GPU, and what no CUDA graph can hold: values that are read, and tensors that change their device.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from stand_in_cells import CELLS  # which lies here too
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from seqlight.ops import backend

NAME = "standin"
_setup_privateuseone_for_python_backend(NAME)
# What torch asks every device of a process for, from now on.
module = torch.get_device_module(NAME)
module.get_amp_supported_dtype = lambda: [torch.bfloat16, torch.float16]
module.get_rng_state = lambda device=None: torch.get_rng_state()
module.set_rng_state = lambda state, device=None: torch.set_rng_state(state)
DEVICE = torch.device(NAME, 0)
aten = torch.ops.aten
INDEXING = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default)
#: Ops that take tensors of both devices.
MIXING = (aten.copy_.default, aten._to_copy.default, aten._pack_padded_sequence.default, *INDEXING)


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
        # torch takes single numbers of the CPU; seqlight's kernels do not
        others = [
            tensor
            for tensor in tensors
            if not isinstance(tensor, StandInTensor) and (tensor.dim() or op.namespace == "seqlight")
        ]
        wanted, generator = kwargs.get("device"), kwargs.get("generator")
        here = bool(ours) if wanted is None else wanted.type == NAME
        if ours and others and op not in MIXING:
            raise RuntimeError(f"{op}: expected all tensors on {NAME}, got one on {others[0].device}")
        if here and generator is not None:
            raise RuntimeError(f"{op}: expected a generator of {NAME}, got one of {generator.device}")
        moves = bool(ours) != here and bool(tensors)
        if moves or (ours and reads_values(op, args)):
            self.waits.append(str(op))
        result = CELLS.get(op, op)(*tree_map(_to_cpu, args), **tree_map(_to_cpu, kwargs))
        if not here:
            return result
        if op == aten._pack_padded_sequence.default:
            return StandInTensor(result[0]), result[1]  # the batch sizes are for the host
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


class TensorsFromValues(TorchFunctionMode):
    """torch.tensor moves what it makes to its device where no other mode can see it."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        wanted = kwargs.get("device")
        if function in (torch.tensor, torch.as_tensor) and wanted and torch.device(wanted).type == NAME:
            return function(*args, **{**kwargs, "device": "cpu"}).to(DEVICE)
        return function(*args, **kwargs)


def reads_values(op: Any, args: Any) -> bool:
    """Whether the host has to know numbers of a tensor, for a value in Python or for the size of a result."""
    if op in INDEXING:
        return any(index is not None and index.dtype == torch.bool for index in args[1])
    return torch.Tag.data_dependent_output in op.tags or torch.Tag.dynamic_output_shape in op.tags


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
