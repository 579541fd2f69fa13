"""What all recurrent layers share: parameters named as in torch.nn, stacking, directions, states, packing."""

import math
import warnings
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar, overload

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence

from seqlight.nn.initialization import RecurrentInit, check_initialization, init_recurrent_
from seqlight.nn.packed_sequence import pack_like, pad, to_original_order, to_packed_order

State = TypeVar("State")


class Recurrent(nn.Module, Generic[State], ABC):
    """Base of the recurrent layers: `num_layers` stacked cells, in one or both directions, over [B, T, C].

    A subclass says how many gates a cell has (`gate_count`) and which further parameters
    (:meth:`parameter_shapes`), how one layer runs in one direction (:meth:`run_layer`), and how its state
    looks to the caller (`state_count`, :meth:`split_state`, :meth:`join_state`). Parameters are named,
    ordered and initialised as in torch.nn: ``weight_ih_l0``, then ``_reverse`` for the second direction, each
    uniform between -1/sqrt(hidden_size) and 1/sqrt(hidden_size).

    Args:
        input_size: number of input features C.
        hidden_size: number of hidden units H of each direction.
        num_layers: layers stacked, each taking the whole output sequence of the one below.
        bias: whether the cells have biases.
        dropout: probability of dropping an element of a layer's output before the next layer, in training.
        bidirectional: whether a second cell per layer runs from the end to the beginning; outputs are
            concatenated.
        recurrent_init: how ``weight_hh`` is drawn: ``"uniform"`` as in torch.nn, or ``"orthogonal"``, see
            :func:`seqlight.nn.init_recurrent_`.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        ValueError: a size below 1, or a dropout outside 0..1.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        recurrent_init: RecurrentInit = "uniform",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
        for argument, size in sizes.items():
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise ValueError(f"{name}: {argument} expected an integer of at least 1, got {size!r}")
        if not 0 <= dropout <= 1:
            raise ValueError(f"{name}: dropout expected a probability between 0 and 1, got {dropout!r}")
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"{name}: dropout acts between layers, so dropout={dropout} does nothing with num_layers=1",
                stacklevel=2 if type(self).__init__ is Recurrent.__init__ else 3,  # the caller's line
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        check_initialization(name, recurrent_init)
        self.recurrent_init = recurrent_init
        # Per layer and direction: the op's name of an argument, and ours of the parameter.
        self._parameter_names: list[dict[str, str]] = []
        for layer in range(num_layers):
            layer_input_size = input_size if layer == 0 else hidden_size * self.num_directions
            for suffix in ("", "_reverse")[: self.num_directions]:
                names = {}
                for argument, shape in self.parameter_shapes(layer_input_size).items():
                    names[argument] = f"{argument}_l{layer}{suffix}"
                    parameter = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
                    self.register_parameter(names[argument], parameter)
                self._parameter_names.append(names)
        self.reset_parameters()

    #: How many gates' weights are stacked.
    gate_count: int
    #: How many tensors make up the state.
    state_count: int
    #: The batch axis of the state's tensors, for those who carry it from batch to batch.
    state_batch_dim = 1

    def parameter_shapes(self, layer_input_size: int) -> dict[str, tuple[int, ...]]:
        """Name the parameters of one layer and direction, in torch.nn's order, with their shapes."""
        rows = self.gate_count * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, layer_input_size),
            "weight_hh": (rows, self.hidden_size),
        }
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        return shapes

    @abstractmethod
    def run_layer(
        self,
        x: Tensor,
        states: tuple[Tensor, ...],
        parameters: dict[str, Any],
        lengths: Tensor | None,
        reverse: bool,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run one layer in one direction: x [B, T, I], states [B, H] to output [B, T, H], states [B, H]."""

    @abstractmethod
    def split_state(self, state: State) -> dict[str, Tensor]:
        """Take the caller's state apart into named tensors [num_layers * num_directions, B, H]."""

    @abstractmethod
    def join_state(self, states: tuple[Tensor, ...]) -> State:
        """Put the tensors [num_layers * num_directions, B, H] together to the state that the caller sees."""

    @property
    def num_directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def reset_parameters(self) -> None:
        """Draw all parameters anew, uniform between -1/sqrt(hidden_size) and 1/sqrt(hidden_size), or as the
        layer was asked to.
        """
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)
        init_recurrent_(self, self.recurrent_init)

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
        if not isinstance(x, PackedSequence):
            states = self._checked_states(x, state)
            output, final_states = self._run(x, states, lengths)
            return output, self.join_state(final_states)
        if lengths is not None:
            raise ValueError(
                f"{type(self).__name__}: lengths expected None with a PackedSequence, which has its own"
            )
        padded, packed_lengths = pad(x)
        states = to_packed_order(self._checked_states(padded, state), x)
        output, final_states = self._run(padded, states, packed_lengths)
        return pack_like(output, packed_lengths, x), self.join_state(to_original_order(final_states, x))

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run one time step, for streaming and generation.

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
        name = type(self).__name__
        if self.bidirectional:
            raise RuntimeError(
                f"{name}: step cannot run a bidirectional layer, whose output needs the steps to come"
            )
        if not isinstance(x_t, Tensor):
            raise TypeError(f"{name}: x_t expected a torch.Tensor, got {type(x_t).__name__}")
        if x_t.dim() != 2 or x_t.shape[1] != self.input_size:
            raise ValueError(f"{name}: x_t expected [B, C] with C = {self.input_size}, got {list(x_t.shape)}")
        x = x_t.unsqueeze(1)
        output, states = self._run(x, self._checked_states(x, state), None)
        return output.squeeze(1), self.join_state(states)

    def _checked_states(self, x: Tensor, state: State | None) -> tuple[Tensor, ...]:
        """Check the shapes of input and state; give the state's tensors, zeros where it is None."""
        name = type(self).__name__
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: x expected a torch.Tensor or PackedSequence, got {type(x).__name__}")
        if x.dim() != 3 or x.shape[2] != self.input_size:
            hint = "; for one sequence use x.unsqueeze(0)" if x.dim() == 2 else ""
            raise ValueError(
                f"{name}: x expected [B, T, C] with C = {self.input_size}, got {list(x.shape)}{hint}"
            )
        sizes = (self.num_layers * self.num_directions, x.shape[0], self.hidden_size)
        if state is None:
            return (x.new_zeros(sizes),) * self.state_count
        tensors = self.split_state(state)
        for part, tensor in tensors.items():
            if tensor.shape != sizes:
                raise ValueError(
                    f"{name}: state {part} expected [num_layers * directions, B, H] = {list(sizes)}, "
                    f"got {list(tensor.shape)}"
                )
        return tuple(tensors.values())

    def _run(
        self, x: Tensor, states: tuple[Tensor, ...], lengths: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run all layers and directions on padded sequences."""
        final_states: list[tuple[Tensor, ...]] = []
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(self.num_directions):
                index = layer * self.num_directions + direction
                parameters = {key: getattr(self, name) for key, name in self._parameter_names[index].items()}
                output, final = self.run_layer(
                    x, tuple(state[index] for state in states), parameters, lengths, reverse=direction == 1
                )
                outputs.append(output)
                final_states.append(final)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
            if self.dropout > 0 and layer < self.num_layers - 1:
                x = dropout(x, self.dropout, self.training)
        if len(final_states) == 1:
            return x, tuple(state.unsqueeze(0) for state in final_states[0])
        return x, tuple(torch.stack(parts) for parts in zip(*final_states, strict=True))

    def extra_repr(self) -> str:
        """List the sizes, and what differs from the defaults."""
        defaults: dict[str, Any] = {"num_layers": 1, "bias": True, "dropout": 0.0, "bidirectional": False}
        defaults |= {"recurrent_init": "uniform"}
        options = [
            f"{key}={getattr(self, key)}" for key, value in defaults.items() if getattr(self, key) != value
        ]
        return ", ".join([str(self.input_size), str(self.hidden_size), *options])
