"""Registration of what gives the shapes of a native op's results, for tracing and meta tensors."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def register_shapes(name: str, shapes: Callable[..., Any]) -> None:
    """Register `shapes`, which takes the arguments of the op `name` and gives empty results.

    It is also what runs where a meta tensor is among those of another device: torch's dispatcher then takes
    the op for one on meta tensors. So tensors that are not on one device are refused here.
    """
    op = getattr(torch.ops.seqlight, name).default
    parameters = [argument.name for argument in op._schema.arguments]

    def on_one_device(*arguments: Any) -> Any:
        first: tuple[str, torch.device] | None = None
        for parameter, argument in zip(parameters, arguments, strict=False):
            for tensor in argument if isinstance(argument, list | tuple) else (argument,):
                if not isinstance(tensor, Tensor):
                    continue
                if first is None:
                    first = parameter, tensor.device
                elif tensor.device != first[1]:
                    raise ValueError(
                        f"{name}: {parameter} expected on the device of {first[0]}, {first[1]}, "
                        f"got {tensor.device}"
                    )
        return shapes(*arguments)

    torch.library.register_fake(f"seqlight::{name}", on_one_device)
