"""What all recurrent layers share: stacking, directions, states, noise in training, packed sequences."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Generic, NoReturn, TypeVar, overload

import torch
from torch import Tensor
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence

from seqlight.nn.packed_sequence import pack_like, pad, to_original_order, to_packed_order
from seqlight.nn.recurrent_packing import PacksWeights
from seqlight.nn.stacking import run_stack
from seqlight.ops.backend import use_native
from seqlight.ops.checks import check_lengths, kind_of
from seqlight.ops.recurrent_autograd import NO_CONSTANTS

State = TypeVar("State")

# What unfit arguments lead to where only the op checks them.
_REFUSED = (RuntimeError, TypeError, ValueError, AttributeError)


class _ComputedWeightError(Exception):
    """A weight is no parameter of the layer, but computed by a parametrization or a hook."""


class Recurrent(PacksWeights, Generic[State], ABC):
    """Base of the recurrent layers: `num_layers` stacked cells, in one or both directions, over [B, T, C].

    A subclass says how many gates a cell has (`gate_count`) and which further parameters
    (:meth:`parameter_shapes`, `layer_norm_rows`), by what one layer runs in one direction (`op` and
    :meth:`op_options`, `native_cell`, `weight_names` and :meth:`op_flags`), and how its state looks to the
    caller (`state_count`, :meth:`split_state`, :meth:`join_state`). Parameters are named, ordered and
    initialised as in torch.nn: ``weight_ih_l0``, then ``_reverse`` for the second direction, each uniform
    between -1/sqrt(hidden_size) and 1/sqrt(hidden_size); gains of layer normalisation are 1, its biases 0.

    Args:
        input_size: number of input features C.
        hidden_size: number of hidden units H of each direction.
        num_layers: layers stacked, each taking the whole output sequence of the one below.
        bias: whether the cells have biases.
        batch_first: True, the only layout there is; it may be given as to torch.nn, whose default is False.
        dropout: probability of dropping an element of a layer's output before the next layer, in training.
        bidirectional: whether a second cell per layer runs from the end to the beginning; outputs are
            concatenated.
        layer_norm: whether the cells normalise over the features at every time step.
        recurrent_dropout: probability of dropping a hidden unit from the recurrent product, in training: one
            mask for all steps of a sequence, drawn anew by each call for each layer and direction.
        zoneout: probability of a unit keeping its previous state at a step, drawn for each unit and step in
            training, the expectation in evaluation; one number, or one for each state.
        recurrent_init: how ``weight_hh`` is drawn: ``"uniform"`` as in torch.nn, or ``"orthogonal"``, see
            :func:`seqlight.nn.init_recurrent_`.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        ValueError: a size below 1, a probability out of range, or ``batch_first=False``.
        TypeError: a probability is not a number, or `bias` or `batch_first` no bool.
    """

    #: The cell's op, :func:`seqlight.ops.lstm` or one like it.
    op: ClassVar[Callable[..., tuple[Tensor, ...]]]

    def run_layer(
        self, x: Tensor, states: tuple[Tensor, ...], arguments: dict[str, Any]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run one layer in one direction by the cell's op.

        Where it is replaced, in a subclass or on a layer, every call goes through it.

        Args:
            x: [B, T, I].
            states: each [B, H].
            arguments: the op's by name: the weights, hidden_mask, zoneout_seed, lengths, reverse and packed.

        Returns:
            Output [B, T, H], and the final states [B, H].
        """
        output, *final_states = type(self).op(x, *states, **arguments, **self.op_options())
        return output, tuple(final_states)

    @abstractmethod
    def op_options(self) -> dict[str, Any]:
        """Give the layer's options by the names of the op's arguments."""

    def op_flags(self, reverse: bool) -> tuple[float, ...]:
        """Give the options in the order in which the native ops take them."""
        return (*self._zoneouts, reverse)

    @abstractmethod
    def split_state(self, state: State) -> dict[str, Tensor]:
        """Take the caller's state apart into named tensors [num_layers * num_directions, B, H]."""

    @abstractmethod
    def join_state(self, states: tuple[Tensor, ...]) -> State:
        """Put the tensors [num_layers * num_directions, B, H] together to the state that the caller sees."""

    @overload
    def forward(
        self, x: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]: ...
    @overload
    def forward(
        self, x: PackedSequence, state: State | None = None, lengths: None = None
    ) -> tuple[PackedSequence, State]: ...
    def forward(
        self, x: Tensor | PackedSequence, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor | PackedSequence, State]:
        """Run the layers over a batch of sequences.

        Args:
            x: [B, T, C], or a PackedSequence as torch.nn takes it.
            state: as returned by an earlier call, rows in the order of the caller's sequences; None for
                zeros.
            lengths: int64 [B], the number of steps of each row that count, 0..T; None for all.

        Returns:
            ``(output, state)``: output [B, T, num_directions * H], zero past each row's end (a PackedSequence
            in the order of `x` if that was one), and the state at each row's own end.

        Raises:
            ValueError: a wrong shape, device or length; or `lengths` given with a PackedSequence.
            TypeError: a wrong type or dtype.
        """
        if lengths is None:
            try:
                result = self._run_natively(x, state, 3)
            except torch.OutOfMemoryError:
                raise
            except _REFUSED as error:
                self._explain(error, lambda: self._forward_checked(x, state, None))
            if result is not None:
                return result
        return self._forward_checked(x, state, lengths)

    def _forward_checked(
        self, x: Tensor | PackedSequence, state: State | None, lengths: Tensor | None
    ) -> tuple[Tensor | PackedSequence, State]:
        """Run what :meth:`forward` does, with checks of every argument and all conversions."""
        if not isinstance(x, PackedSequence):
            states = self._checked_states(x, state)
            output, final_states = self._run(x, states, lengths)
            return output, self.join_state(final_states)
        if lengths is not None:
            raise ValueError(
                f"{type(self).__name__}: lengths expected None with a PackedSequence, which has its own"
            )
        padded, packed_lengths = pad(x)
        states = self._checked_states(padded, state)
        if states is not None:
            states = to_packed_order(states, x)
        output, final_states = self._run(padded, states, packed_lengths)
        return pack_like(output, packed_lengths, x), self.join_state(to_original_order(final_states, x))

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run one time step, for streaming and generation.

        Like any method but the call itself it runs no forward hooks: weights that a hook computes, as that
        of torch.nn.utils.prune does, are those of the last call.

        Args:
            x_t: [B, C].
            state: as returned by :meth:`forward` or an earlier step; None for zeros.

        Returns:
            ``(output, state)`` with output [B, H].

        Raises:
            RuntimeError: the layer is bidirectional, and would need the steps to come.
            ValueError: a wrong shape or device.
            TypeError: a wrong type or dtype.
        """
        if not self.bidirectional:
            try:
                result = self._run_natively(x_t, state, 2)
            except torch.OutOfMemoryError:
                raise
            except _REFUSED as error:
                self._explain(error, lambda: self._step_checked(x_t, state))
            if result is not None:
                return result
        return self._step_checked(x_t, state)

    def _step_checked(self, x_t: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Run what :meth:`step` does, with checks of every argument and all conversions."""
        name = type(self).__name__
        if self.bidirectional:
            raise RuntimeError(
                f"{name}: step cannot run a bidirectional layer, whose output needs the steps to come"
            )
        if not isinstance(x_t, Tensor):
            raise TypeError(f"{name}: x_t expected a torch.Tensor, got {kind_of(x_t)}")
        if x_t.dim() != 2 or x_t.shape[1] != self.input_size:
            raise ValueError(f"{name}: x_t expected [B, C] with C = {self.input_size}, got {list(x_t.shape)}")
        x = x_t.unsqueeze(1)
        output, states = self._run(x, self._checked_states(x, state), None)
        return output.squeeze(1), self.join_state(states)

    def _explain(self, refusal: Exception, checked: Callable[[], object]) -> NoReturn:
        """Raise what the checks of the ordinary way say about arguments that the op refused.

        Where they find nothing wrong, the refusal is a defect, and is raised itself: the ordinary way takes
        several times as long, and nobody would notice.

        Args:
            refusal: what the op, called directly, has raised.
            checked: makes the same call in the ordinary way.
        """
        checked()
        refusal.add_note(
            f"{type(self).__name__}: the layer's own checks find nothing wrong with the arguments"
        )
        raise refusal

    def _checked_states(self, x: Tensor, state: State | None) -> tuple[Tensor, ...] | None:
        """Check the shapes of input and state; give the state's tensors."""
        name = type(self).__name__
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: x expected a torch.Tensor or PackedSequence, got {kind_of(x)}")
        if x.dim() != 3 or x.shape[2] != self.input_size:
            hint = "; for one sequence use x.unsqueeze(0)" if x.dim() == 2 else ""
            raise ValueError(
                f"{name}: x expected [B, T, C] with C = {self.input_size}, got {list(x.shape)}{hint}"
            )
        if state is None:
            return None
        sizes = (self.num_layers * self.num_directions, x.shape[0], self.hidden_size)
        tensors = self.split_state(state)
        for part, tensor in tensors.items():
            if tensor.shape != sizes:
                raise ValueError(
                    f"{name}: state {part} expected [num_layers * directions, B, H] = {list(sizes)}, "
                    f"got {list(tensor.shape)}"
                )
        return tuple(tensors.values())

    def _run(
        self, x: Tensor, states: tuple[Tensor, ...] | None, lengths: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run all layers and directions on padded sequences; `states` None for zeros."""
        packed = self._packed_now()
        if packed is not None:
            self._check_no_weight_gradients()
        # Once for all layers: the host waits for each copy.
        if lengths is not None and lengths.device != x.device:
            check_lengths(self.native_cell.name, lengths, x.shape[0], x.shape[1])
            lengths = lengths.to(x.device)
        count = len(self._parameter_names)
        if states is None:
            # One zero for all, so that keeping the states for backward takes no memory. A view for each,
            # as torch.compile wants different tensors.
            zero, sizes = x.new_zeros((1, 1)), (x.shape[0], self.hidden_size)
            initial_states = [tuple(zero.expand(sizes) for _ in range(self.state_count))] * count
        else:
            initial_states = list(zip(*[state.unbind() for state in states], strict=True))

        def run(x: Tensor, states: tuple[Tensor, ...], index: int) -> tuple[Tensor, ...]:
            arguments = self._parameters_of(index)
            general = self.layer_norm or self._zones_out
            if self.training:
                if self.recurrent_dropout > 0:
                    arguments["hidden_mask"] = self._draw_hidden_mask(x)
                    general = True
                if self._zones_out:
                    arguments["zoneout_seed"] = torch.randint(2**63 - 1, (1,), device=x.device)
            if packed is not None and packed.general == general:
                arguments["packed"] = packed.tensors[index]
            arguments["lengths"] = lengths
            arguments["reverse"] = self.bidirectional and index % 2 == 1
            output, final = self.run_layer(x, states, arguments)
            return output, *final

        output, final_states = run_stack(self, x, initial_states, run)
        if count == 1:
            return output, tuple(state.unsqueeze(0) for state in final_states[0])
        return output, tuple(torch.stack(parts) for parts in zip(*final_states, strict=True))

    def _run_natively(self, x: Any, state: Any, dim: int) -> tuple[Tensor, State] | None:
        """Run all layers by the native ops and nothing else; None where that cannot be done.

        That is how most calls go: eager ones, of plain tensors, with no noise. What the ordinary way checks
        and converts would take several times as long as a small call's work. Arguments are checked by the
        op alone; what it raises, :meth:`_explain` explains.

        Args:
            x: [B, T, C] for `dim` 3, [B, C] for 2; or anything else that the caller was given.
            state: the caller's.
            dim: how many dimensions `x` must have.
        """
        if (
            type(x) is not Tensor
            or x.dim() != dim
            or (self.training and (self.dropout > 0 or self.recurrent_dropout > 0 or self._zones_out))
            or (self._packed is not None and torch.is_grad_enabled())
            or torch.compiler.is_compiling()
            or torch._C._is_any_autocast_enabled()
            or type(self).run_layer is not Recurrent.run_layer
            or "run_layer" in self.__dict__
        ):
            return None
        if not use_native(self.native_cell.name, "auto", x.device, x.dtype):
            return None
        if self._packed is not None and self._packed_now() is None:
            return None
        try:
            count = len(self._weight_names)
            if state is None:
                sizes = (1, x.shape[0], self.hidden_size)
                # Backward keeps it: then one number in memory. Else whole, which the op need not copy.
                graph = torch.is_grad_enabled() or torch._C._is_tracing()
                zeros = x.new_zeros((1, 1, 1)).expand(sizes) if graph else x.new_zeros(sizes)
                states = (zeros,) * self.state_count
            else:
                states = (state,) if self.state_count == 1 else state
                if type(states) is not tuple or len(states) != self.state_count or states[0].dim() != 3:
                    return None
            if count == 1:
                results = self._run_cell(x, states, 0)
                return results[0], self.join_state(results[1:])
            if state is None:
                initial_states = [states] * count
            else:
                initial_states = list(zip(*[part.split(1) for part in states], strict=True))
                if len(initial_states) != count:
                    return None
            output, final_states = run_stack(self, x, initial_states, self._run_cell)
            return output, self.join_state(
                tuple([torch.cat(parts) for parts in zip(*final_states, strict=True)])
            )
        except _ComputedWeightError:
            return None

    def _run_cell(self, x: Tensor, states: tuple[Tensor, ...], index: int) -> tuple[Tensor, ...]:
        """Run one layer in one direction by the native ops; give output and final states."""
        own, packed, of_layer = self._parameters, self._packed, None
        flags = self.op_flags(self.bidirectional and index % 2 == 1)
        if packed is not None and packed.general == (self.layer_norm or self._zones_out):
            of_layer = packed.tensors[index]
            if x.dim() == 2 and not packed.general:
                results = self.native_cell.step(x, states, of_layer, *flags)
                if results is not None:
                    return results
        try:
            weights = [None if name is None else own[name] for name in self._weight_names[index]]
        except KeyError as error:
            raise _ComputedWeightError from error
        return self.native_cell((x, *states, *weights), NO_CONSTANTS, *flags, packed=of_layer)

    def _draw_hidden_mask(self, x: Tensor) -> Tensor:
        """Draw which hidden units the recurrent product sees [B, H]: 0 hides one, 1/(1-p) shows it."""
        dtype = torch.promote_types(x.dtype, torch.float32)  # half precision would round 1/(1-p)
        ones = torch.ones(x.shape[0], self.hidden_size, dtype=dtype, device=x.device)
        return dropout(ones, self.recurrent_dropout)
