"""A layer of torch.nn that runs on the kernels: its class while it is fused, and what a call does.

A fused layer is the layer that it was, with its parameters, hooks and attributes; only its class is another,
a subclass of its own class, made here, whose forward calls the kernels. Whatever they do not take goes
through torch's own forward, per call, which also makes torch's own errors.
"""

import copyreg
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from seqlight.nn.packed_sequence import pack_like, pad, to_original_order, to_packed_order
from seqlight.nn.stacking import run_stack
from seqlight.ops import gru, lstm, rnn
from seqlight.ops.backend import use_native
from seqlight.ops.gru import native_gru
from seqlight.ops.lstm import native_lstm
from seqlight.ops.recurrent_autograd import NO_CONSTANTS
from seqlight.ops.recurrent_native import NativeCell
from seqlight.ops.rnn import native_rnn

_HALF = (torch.float16, torch.bfloat16)


class FusedCell(NamedTuple):
    """What a layer of torch.nn runs on."""

    torch_class: type[nn.RNNBase]
    native: NativeCell
    op: Callable[..., tuple[Tensor, ...]]
    state_count: int
    weight_count: int  #: weights and biases of the native op, with those that torch's cell lacks

    def flags(self, layer: nn.RNNBase, reverse: bool) -> tuple[float, ...]:
        """Give the native op's flags: no zoneout, the activation where there is a choice, the direction."""
        if self.torch_class is nn.RNN:
            return 0.0, layer.mode == "RNN_RELU", reverse
        return (*(0.0,) * self.state_count, reverse)

    def op_options(self, layer: nn.RNNBase) -> dict[str, Any]:
        """Give the op's options."""
        if self.torch_class is nn.RNN:
            return {"nonlinearity": "relu" if layer.mode == "RNN_RELU" else "tanh"}
        return {}


CELLS = (
    FusedCell(nn.LSTM, native_lstm, lstm, 2, 6),
    FusedCell(nn.GRU, native_gru, gru, 1, 5),
    FusedCell(nn.RNN, native_rnn, rnn, 1, 5),
)


class FusedLayer:
    """Comes before torch's class in the class of a fused layer; has no state of its own."""

    _fused_cell: FusedCell
    _unfused: type[nn.RNNBase]  #: the layer's own class

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Run the kernels where they take the call, and torch's forward where they do not."""
        cell = self._fused_cell
        layer = cast(nn.RNNBase, self)
        result = _run(layer, cell, input, hx)
        return cell.torch_class.forward(layer, input, hx) if result is None else result

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Name the layer's own class and :func:`restore`, as the present class has no name to be found by."""
        reduced: Any = super().__reduce_ex__(protocol)
        made, arguments, *rest = reduced
        fused = _own_class(type(self))
        if made is copyreg.__newobj__ and _is_fused_class(fused):  # type: ignore[attr-defined]
            return *self._made_by(_unfused_class(fused)), *rest
        return made, arguments, *rest

    def _made_by(self, own: Any) -> tuple[Any, tuple[Any, ...]]:
        """Give the function that makes the layer anew, and its arguments; `own` is its own class."""
        return restore, (own,)

    def __prepare_scriptable__(self) -> Any:
        raise RuntimeError(
            f"torch.jit.script cannot compile this {type(self).__name__}: call seqlight.nn.unfuse(model) "
            "first; torch.jit.trace takes it as it is"
        )

    @property
    def qconfig(self) -> None:
        """None; torch.ao.quantization knows layers by their exact class, and passes over this one."""
        return None

    @qconfig.setter
    def qconfig(self, value: object) -> None:
        raise RuntimeError(
            f"torch.ao.quantization would pass over this {type(self).__name__}, as it knows layers by their "
            "exact class: call seqlight.nn.unfuse(model) first, then quantise"
        )

    @qconfig.deleter
    def qconfig(self) -> None:
        pass


class BorrowedLayer(FusedLayer):
    """Comes in the place of :class:`FusedLayer` for a while: copies and pickles are not fused."""

    def _made_by(self, own: Any) -> tuple[Any, tuple[Any, ...]]:
        # __newobj__ wants the layer's present class.
        return copyreg._reconstructor, (own, object, None)  # type: ignore[attr-defined]


def restore(own: Any) -> Any:
    """Make the empty layer that a pickle of a fused one fills; `own` is its class without the fusion."""
    fused = fused_class(own, FusedLayer)
    return fused.__new__(fused)


def cell_of(layer: nn.Module) -> FusedCell | None:
    """Give what `layer` can run on; None where it is no LSTM, GRU or RNN of torch.nn."""
    for cell in CELLS:
        if isinstance(layer, cell.torch_class):
            return cell
    return None


def is_fused(layer: nn.Module) -> bool:
    """Say whether the layer's class is one of a fused layer."""
    return isinstance(layer, FusedLayer)


def change_class(layer: nn.RNNBase, kind: type[FusedLayer] | None) -> None:
    """Give the layer its fused class or take it away, below the class that a parametrisation has made."""
    own = _fused_part(type(layer)) if is_fused(layer) else _own_class(type(layer))
    other = _unfused_class(own) if kind is None else fused_class(own, cast(Any, kind))
    layer.__class__ = _with_base(type(layer), own, other)


@lru_cache(maxsize=256)
def fused_class(own: Any, kind: Any) -> Any:
    """Make the subclass of a layer's class that runs on the kernels; the same one each time.

    `kind` stands before torch's class and behind all that is derived from it, so that a forward of a derived
    class calls the kernels where it calls torch's by ``super()``.
    """
    cell = next(cell for cell in CELLS if issubclass(own, cell.torch_class))
    doc = f"{own.__name__} of {own.__module__} on the kernels of seqlight."
    namespace = {"_fused_cell": cell, "_unfused": own, "__module__": __name__, "__doc__": doc}
    bases = (kind, own) if own is cell.torch_class else (own, fused_class(cast(Any, cell.torch_class), kind))
    return type(own)(f"Fused{own.__name__}", bases, namespace)


def _unfused_class(fused: Any) -> Any:
    return fused._unfused


def _own_class(cls: Any) -> Any:
    """Give the class below the one that torch.nn.utils.parametrize has put upon it.

    The fused class goes there too: ``remove_parametrizations`` gives the layer the base of its class back.
    """
    while cls.__module__ == nn.utils.parametrize.__name__:
        cls = cls.__bases__[0]
    return cls


def _fused_part(cls: Any) -> Any:
    """Give the fused class among the ancestors of `cls`, or itself."""
    return next(ancestor for ancestor in cls.__mro__ if _is_fused_class(ancestor))


def _is_fused_class(cls: Any) -> bool:
    return "_unfused" in vars(cls)


def _with_base(cls: Any, old: Any, new: Any) -> Any:
    """Give `cls` with `new` in the place of its ancestor `old`: a new class, as copies share theirs."""
    if cls is old:
        return new
    bases = tuple(_with_base(base, old, new) if issubclass(base, old) else base for base in cls.__bases__)
    namespace = {key: value for key, value in vars(cls).items() if key not in ("__dict__", "__weakref__")}
    return type(cls)(cls.__name__.replace(old.__name__, new.__name__), bases, namespace)


def _run(layer: nn.RNNBase, cell: FusedCell, given: Any, hx: Any) -> Any:
    """Run the kernels; None where they do not take the call."""
    if torch.compiler.is_compiling() or torch._C._is_tracing():
        return None  # a program that others are to run; it would not have torch's op
    if isinstance(given, PackedSequence):
        return _run_packed(layer, cell, given, hx)
    if type(given) is not Tensor and type(given) is not nn.Parameter:
        return None
    dim = given.dim()
    if dim != 3 and dim != 2:
        return None
    batch_first = layer.batch_first
    x = given if dim == 3 else given.unsqueeze(0 if batch_first else 1)
    if not batch_first:
        x = x.transpose(0, 1)
    states = None
    if hx is not None:
        states = _given_states(layer, cell, x, hx, dim)
        if states is None:
            return None
    found = _run_batch(layer, cell, x, states, None)
    if found is None:
        return None
    output, finals = found
    if not batch_first:
        # As torch's, which may be looked at by `view`.
        output = output.transpose(0, 1).contiguous()
    if dim == 2:
        output, finals = (
            output.squeeze(0 if batch_first else 1),
            tuple([final.squeeze(1) for final in finals]),
        )
    return output, (finals if cell.state_count == 2 else finals[0])


def _run_packed(layer: nn.RNNBase, cell: FusedCell, packed: PackedSequence, hx: Any) -> Any:
    if type(packed.data) is not Tensor or packed.data.dim() != 2:
        return None
    if not _takes(layer, cell, packed.data):
        return None
    x, lengths = pad(packed)
    states = None
    if hx is not None:
        states = _given_states(layer, cell, x, hx, 3)
        if states is None:
            return None
        states = to_packed_order(states, packed)
    found = _run_batch(layer, cell, x, states, lengths)
    if found is None:
        return None
    output, finals = found
    finals = to_original_order(finals, packed)
    return pack_like(output, lengths, packed), (finals if cell.state_count == 2 else finals[0])


def _given_states(
    layer: nn.RNNBase, cell: FusedCell, x: Tensor, hx: Any, dim: int
) -> tuple[Tensor, ...] | None:
    """Give the caller's states as [layers * directions, B, H]; None where torch would refuse them."""
    states = (hx,) if cell.state_count == 1 else hx
    if not isinstance(states, tuple | list) or len(states) != cell.state_count:
        return None
    sizes = (layer.num_layers * (2 if layer.bidirectional else 1), x.shape[0], layer.hidden_size)
    any_dtype = torch._C._is_any_autocast_enabled()
    taken = []
    for state in states:
        if not isinstance(state, Tensor) or state.dim() != dim:
            return None
        of_batch = state if dim == 3 else state.unsqueeze(1)
        if of_batch.shape != sizes or state.device != x.device:
            return None
        if state.dtype != x.dtype and not any_dtype:
            return None
        taken.append(of_batch)
    return tuple(taken)


def _takes(layer: nn.RNNBase, cell: FusedCell, x: Tensor) -> bool:
    """Say whether the kernels take x [..., C] with the layer's present weights."""
    dtype = x.dtype
    compute = torch.float32 if dtype in _HALF else dtype
    if x.shape[-1] != layer.input_size or x.numel() == 0:
        return False
    if not use_native(cell.native.name, "auto", x.device, compute):
        return False
    weight = layer._parameters.get("weight_ih_l0")
    if weight is None:
        return True  # computed, perhaps another one at each look; the op checks it
    return weight.device == x.device and (weight.dtype == dtype or torch._C._is_any_autocast_enabled())


def _run_batch(
    layer: nn.RNNBase, cell: FusedCell, x: Tensor, states: tuple[Tensor, ...] | None, lengths: Tensor | None
) -> tuple[Tensor, tuple[Tensor, ...]] | None:
    """Run all layers and directions on [B, T, C]; states [layers * directions, B, H], None for zeros."""
    if not _takes(layer, cell, x):
        return None
    autocast = torch._C._is_any_autocast_enabled() and torch.is_autocast_enabled(x.device.type)
    if autocast and cell.torch_class is nn.GRU and x.dtype in (torch.float32, *_HALF):
        of_states = x.dtype if states is None else states[0].dtype
        if of_states == torch.float32:
            # autocast gives torch's GRU the dtype of its states, as it takes a mean of them
            weights32 = {name: getattr(layer, name).float() for names in layer._all_weights for name in names}
            with torch.autocast(x.device.type, enabled=False):
                return _run_weights(layer, cell, x.float(), states, lengths, weights32)
    return _run_weights(layer, cell, x, states, lengths, layer._parameters)


def _run_weights(
    layer: nn.RNNBase,
    cell: FusedCell,
    x: Tensor,
    states: tuple[Tensor, ...] | None,
    lengths: Tensor | None,
    own: Mapping[str, Tensor | None],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run all layers and directions; weights that are not in `own` are attributes of the layer."""
    count = len(layer._all_weights)
    if states is None:
        # Where backward keeps it: one zero for all.
        sizes = (1, x.shape[0], layer.hidden_size)
        zeros = x.new_zeros((1, 1, 1)).expand(sizes) if torch.is_grad_enabled() else x.new_zeros(sizes)
        initial_states = [(zeros,) * cell.state_count] * count
    elif count == 1:
        initial_states = [states]
    else:
        initial_states = list(zip(*[state.split(1) for state in states], strict=True))
    plain = lengths is None and x.dtype not in _HALF and not torch._C._is_any_autocast_enabled()

    def run(x: Tensor, states: tuple[Tensor, ...], index: int) -> tuple[Tensor, ...]:
        names = layer._all_weights[index]
        # By attribute where a parametrisation or a hook computes it; that way takes longer.
        weights: list[Any] = [own[name] if name in own else getattr(layer, name) for name in names]
        reverse = layer.bidirectional and index % 2 == 1
        if plain:
            weights += [None] * (cell.weight_count - len(weights))
            return cell.native((x, *states, *weights), NO_CONSTANTS, *cell.flags(layer, reverse))
        rows = [state.squeeze(0) for state in states]
        options = cell.op_options(layer)
        output, *finals = cell.op(x, *rows, *weights, lengths=lengths, reverse=reverse, **options)
        return output, *[final.unsqueeze(0) for final in finals]

    if count == 1:
        output, *finals = run(x, initial_states[0], 0)
        return output, tuple(finals)
    output, final_states = run_stack(layer, x, initial_states, run)
    return output, tuple([torch.cat(parts) for parts in zip(*final_states, strict=True)])
