"""Memory that a forward pass keeps for its backward pass."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def kept_floats(forward: Callable[[], Tensor], held_anyway: Iterable[Tensor]) -> float:
    """Float32 numbers (4 bytes) that autograd keeps between forward and backward, by saved-tensor hooks.

    Whole storages are counted, each once, since a view keeps all of its storage alive. ``held_anyway`` are
    tensors that the caller owns in any case (parameters and the input): their storages are left out.
    """
    saved: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = forward()
    skipped = {_storage(tensor)[0] for tensor in held_anyway}
    storages = dict(_storage(tensor) for tensor in saved)
    del output
    return sum(size for address, size in storages.items() if address not in skipped) / 4


def _storage(tensor: Tensor) -> tuple[int, int]:
    storage = tensor.untyped_storage()
    return storage.data_ptr(), storage.nbytes()
