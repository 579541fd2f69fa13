"""Norms of gradients by layer."""

import re

import torch
from torch import Tensor, nn

from seqlight.callbacks.state_gradients import recurrent_layers

_STACKED = re.compile(r"_(l\d+(?:_reverse)?)$")


def gradient_norms(module: nn.Module) -> dict[str, Tensor]:
    """Return the 2-norm of the gradients of each layer's parameters, and of all together.

    A layer is a module that has parameters of its own, and each of the stacked layers and directions of a
    recurrent one.

    Returns:
        Scalars by layer, such as ``"network.head"``, ``"network.core.l0"``, and ``"total"``; layers without a
        gradient are left out.
    """
    recurrent = recurrent_layers(module)
    groups: dict[str, list[Tensor]] = {}
    for name, parameter in module.named_parameters():
        if parameter.grad is None:
            continue
        # A parametrised weight is one of the layer that it belongs to.
        name = re.sub(r"\.parametrizations\.(.*)\.original\d*$", r".\1", f".{name}")
        layer, _, own = name[1:].rpartition(".")
        stacked = _STACKED.search(own) if layer in recurrent else None
        key = ".".join(filter(None, [layer, stacked[1] if stacked else ""])) or type(module).__name__
        groups.setdefault(key, []).append(parameter.grad)
    norms = {key: torch.nn.utils.get_total_norm(gradients) for key, gradients in groups.items()}
    if norms:
        norms["total"] = torch.linalg.vector_norm(torch.stack(list(norms.values())))
    return norms
