"""Weights laid out once for many calls, and how it is noticed that they have changed since."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook


class PackedWeights:
    """What a recurrent layer holds inside ``with layer.packed():``.

    Args:
        layer: the layer, whose parameters and buffers, also those of its parametrizations, are watched.
        tensors: the packed weights of each layer and direction.
        general: whether they are for calls that use layer norm, a hidden mask or zoneout, or for those that
            do not.
    """

    def __init__(self, layer: nn.Module, tensors: list[Tensor], general: bool) -> None:
        self.tensors = tensors
        self.general = general
        # Who holds each tensor by which name, its version and its address. Tensors made in inference mode
        # have no version.
        self._versioned: list[tuple[dict[str, Any], str, Tensor, int, int]] = []
        self._unversioned: list[tuple[dict[str, Any], str, Tensor, int]] = []
        # Keeps the memory, so that no other weights come to lie at the same address.
        self._aliases: list[Tensor] = []
        for module in layer.modules():
            for owner in (module._parameters, module._buffers):
                for name, tensor in owner.items():
                    if tensor is None:
                        continue
                    self._aliases.append(tensor.detach())
                    if tensor.is_inference():
                        self._unversioned.append((owner, name, tensor, tensor.data_ptr()))
                    else:
                        self._versioned.append((owner, name, tensor, tensor._version, tensor.data_ptr()))

    def changed(self) -> bool:
        """Say whether a weight was replaced, moved, or changed by an operation that counts versions."""
        # One plain loop: a step of a small layer takes five microseconds, and this a tenth of one a weight.
        for owner, name, tensor, version, address in self._versioned:
            if owner.get(name) is not tensor or tensor._version != version or tensor.data_ptr() != address:
                return True
        for owner, name, tensor, address in self._unversioned:
            if owner.get(name) is not tensor or tensor.data_ptr() != address:
                return True
        return False


_stepping = threading.Lock()
_callbacks: list[Callable[[], object]] = []
_registered = False


def _call_back(*_: object) -> None:
    with _stepping:
        callbacks = _callbacks.copy()
    for callback in callbacks:
        callback()


@contextmanager
def after_optimizer_steps(callback: Callable[[], object]) -> Iterator[None]:
    """Call `callback` after every step of any optimizer inside the block: fused ones count no versions."""
    global _registered
    with _stepping:
        if not _registered:
            # Once and for ever: an optimizer that another thread runs goes through torch's table of hooks.
            register_optimizer_step_post_hook(_call_back)
            _registered = True
        _callbacks.append(callback)
    try:
        yield
    finally:
        with _stepping:
            _callbacks.remove(callback)
