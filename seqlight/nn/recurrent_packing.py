"""Recurrent layers whose weights are laid out once for many calls."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch

from seqlight.nn.packed_weights import PackedWeights, after_optimizer_steps
from seqlight.nn.recurrent_parameters import RecurrentParameters
from seqlight.ops.backend import use_native
from seqlight.ops.recurrent_native import NativeCell

# Guards every layer's count of `packed()` blocks; one for all, so that layers can be copied and pickled.
_counting = threading.Lock()


class PacksWeights(RecurrentParameters):
    """The block ``with layer.packed():`` of :class:`~seqlight.nn.Recurrent`."""

    #: The cell's native ops.
    native_cell: ClassVar[NativeCell]

    @contextmanager
    def packed(self) -> Iterator[None]:
        """Lay the weights out once, for all calls inside the block, as the kernels read them.

        Without it each call does that anew, which takes most of the time of a single step. For inference and
        streaming::

            with torch.inference_mode(), layer.packed():
                for x_t in stream:
                    output, state = layer.step(x_t, state)

        :meth:`forward` and :meth:`step` give what they give outside. A call that finds a weight changed since
        it was packed packs all of them anew: after ``load_state_dict``, an optimizer's step, ``to``, an
        in-place operation, or another tensor in a parameter's place or in its ``.data``. Two changes cannot
        be noticed, and calls go on with the weights before them: one written past the version that torch
        counts (``weight.data.add_(1)``, ``weight.numpy()[0] = 1``, any change in place of a weight made in
        inference mode), and one between two calls of a function that ``torch.compile`` made.

        Nothing is kept after the block. Blocks nest, and several threads may enter them. Where no kernel
        runs, the block does nothing. To be entered outside of ``torch.compile``.

        Raises:
            RuntimeError: from calls inside that would have to compute gradients of the weights.
        """
        with _counting:
            if self._packed_depth == 0:
                self._packed = self._pack()
            self._packed_depth += 1
        try:
            with after_optimizer_steps(self._pack_anew):
                yield
        finally:
            with _counting:
                self._packed_depth -= 1
                if self._packed_depth == 0:
                    self._packed = None

    def _pack(self) -> PackedWeights | None:
        """Pack the weights of all layers and directions; None where no kernel would read them."""
        weight = getattr(self, self._parameter_names[0]["weight_ih"])
        dtype = torch.float64 if weight.dtype == torch.float64 else torch.float32
        if not use_native(self.native_cell.name, "auto", weight.device, dtype):
            return None
        masked = self.training and self.recurrent_dropout > 0
        general = self.layer_norm or self._zones_out or masked
        tensors = []
        with torch.no_grad():
            for index in range(len(self._parameter_names)):
                own = {key: weight.detach().to(dtype) for key, weight in self._parameters_of(index).items()}
                weights = [own.get(key) for key in self.weight_names]
                tensors.append(self.native_cell.pack(weights, general=general))
        return PackedWeights(self, tensors, general)

    def _pack_anew(self, stale: PackedWeights | None = None) -> PackedWeights | None:
        """Pack again, inside `packed()`, unless another thread has done so since `stale`; give the packed."""
        with _counting:
            if self._packed_depth > 0 and (stale is None or self._packed is stale):
                self._packed = self._pack()
            return self._packed

    def _packed_now(self) -> PackedWeights | None:
        """Give what is packed, of the weights as they are; None outside of `packed()`."""
        packed = self._packed
        if packed is None or torch.compiler.is_compiling() or not packed.changed():
            return packed
        if torch._C._are_functorch_transforms_active():
            return None  # torch.func has put in their place what cannot be packed
        return self._pack_anew(packed)

    def _check_no_weight_gradients(self) -> None:
        """Raise where a call inside `packed()` would have to give gradients of the weights."""
        if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in self.parameters()):
            raise RuntimeError(
                f"{type(self).__name__}: inside packed() no gradients of the weights can be computed, and "
                "parameters require them; call inside torch.no_grad() or torch.inference_mode(), or leave "
                "packed() for training"
            )

    def __getstate__(self) -> dict[str, Any]:
        """Leave packed weights out of copies and pickles, which are made outside of any block."""
        return {**self.__dict__, "_packed": None, "_packed_depth": 0}
