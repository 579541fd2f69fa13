"""Parameters of the recurrent layers: named, ordered and initialised as in torch.nn."""

import math
import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from seqlight.nn.initialization import RecurrentInit, check_initialization, init_recurrent_
from seqlight.nn.packed_weights import PackedWeights
from seqlight.ops.checks import check_probability


class RecurrentParameters(nn.Module):
    """What a layer of `num_layers` stacked cells, in one or both directions, is made with.

    The arguments are those of :class:`~seqlight.nn.Recurrent`, which runs it.
    """

    #: How many gates' weights are stacked.
    gate_count: ClassVar[int]
    #: How many tensors make up the state.
    state_count: ClassVar[int]
    #: Rows of ``weight_layer_norm`` that are gains, and the rows behind them that are biases.
    layer_norm_rows: ClassVar[tuple[int, int]]
    #: The weights in the order in which the ops take them.
    weight_names: ClassVar[tuple[str, ...]] = (
        "weight_ih",
        "weight_hh",
        "bias_ih",
        "bias_hh",
        "weight_layer_norm",
    )

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, ...] = 0.0,
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
        for argument, flag in {"bias": bias, "batch_first": batch_first}.items():
            if not isinstance(flag, bool):
                raise TypeError(f"{name}: {argument} expected True or False, got {flag!r}")
        if not batch_first:
            raise ValueError(
                f"{name}: batch_first expected True, got False: the layer takes and gives [B, T, C]; "
                "leave it out, and write layer(x.transpose(0, 1)) for x [T, B, C] and output.transpose(0, 1) "
                "for the output; states are alike"
            )
        if not 0 <= dropout <= 1:
            raise ValueError(f"{name}: dropout expected a probability between 0 and 1, got {dropout!r}")
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"{name}: dropout acts between layers, so dropout={dropout} does nothing with num_layers=1",
                stacklevel=2
                if type(self).__init__ is RecurrentParameters.__init__
                else 3,  # the caller's line
            )
        check_probability(name, "recurrent_dropout", recurrent_dropout)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.layer_norm = layer_norm
        self.recurrent_dropout = float(recurrent_dropout)
        self.zoneout = zoneout
        self._packed: PackedWeights | None = None  # what PacksWeights holds inside its blocks
        self._packed_depth = 0  # of nested blocks
        check_initialization(name, recurrent_init)
        self.recurrent_init = recurrent_init
        # Per layer and direction: the op's name of an argument, and ours of the parameter.
        self._parameter_names: list[dict[str, str]] = []
        # The latter in the order in which the native ops take them; None for those that there are not.
        self._weight_names: list[tuple[str | None, ...]] = []
        for layer in range(num_layers):
            layer_input_size = input_size if layer == 0 else hidden_size * self.num_directions
            for suffix in ("", "_reverse")[: self.num_directions]:
                names = {}
                for argument, shape in self.parameter_shapes(layer_input_size).items():
                    names[argument] = f"{argument}_l{layer}{suffix}"
                    parameter = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
                    self.register_parameter(names[argument], parameter)
                self._parameter_names.append(names)
                self._weight_names.append(tuple(names.get(argument) for argument in self.weight_names))
        self.reset_parameters()

    #: The batch axis of the state's tensors, for those who carry it from batch to batch.
    state_batch_dim = 1
    #: As a layer of torch.nn says that it takes [B, T, C].
    batch_first = True

    @property
    def zoneout(self) -> float | Sequence[float]:
        """Probability of keeping a unit's previous state; may be set between calls, as by a schedule."""
        return self._zoneout

    @zoneout.setter
    def zoneout(self, zoneout: float | Sequence[float]) -> None:
        name = type(self).__name__
        single = not isinstance(zoneout, tuple | list)
        zoneouts: tuple[Any, ...] = (zoneout,) * self.state_count if single else tuple(zoneout)  # type: ignore[arg-type]
        if len(zoneouts) != self.state_count:
            expected = "a number" if self.state_count == 1 else f"a number or {self.state_count} of them"
            raise ValueError(f"{name}: zoneout expected {expected}, got {zoneout!r}")
        for probability in zoneouts:
            check_probability(name, "zoneout", probability)
        self._zoneout = zoneout
        self._zoneouts = tuple(float(probability) for probability in zoneouts)  # one for each state
        self._zones_out = any(self._zoneouts)

    def flatten_parameters(self) -> None:
        """Do nothing: it is called on layers of torch.nn, whose place this one may take."""

    def parameter_shapes(self, layer_input_size: int) -> dict[str, tuple[int, ...]]:
        """Name the parameters of one layer and direction, in torch.nn's order, with their shapes."""
        rows = self.gate_count * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, layer_input_size),
            "weight_hh": (rows, self.hidden_size),
        }
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.layer_norm:
            shapes["weight_layer_norm"] = (sum(self.layer_norm_rows), self.hidden_size)
        return shapes

    @property
    def num_directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def reset_parameters(self) -> None:
        """Draw all parameters anew, uniform between -1/sqrt(hidden_size) and 1/sqrt(hidden_size), or as the
        layer was asked to.

        Gains of layer normalisation become 1, its biases 0.
        """
        bound = 1 / math.sqrt(self.hidden_size)
        for name, parameter in self.named_parameters():
            if "weight_layer_norm" not in name:
                nn.init.uniform_(parameter, -bound, bound)
                continue
            with torch.no_grad():
                gains, biases = parameter.split(self.layer_norm_rows)
                gains.fill_(1)
                biases.fill_(0)
        init_recurrent_(self, self.recurrent_init)

    def _parameters_of(self, index: int) -> dict[str, Any]:
        """Give the parameters of one layer and direction by the names of the op's arguments."""
        own = self._parameters
        # By attribute where a parametrisation computes it; that way takes ten times as long.
        return {
            key: own[name] if name in own else getattr(self, name)
            for key, name in self._parameter_names[index].items()
        }

    def extra_repr(self) -> str:
        """List the sizes, and what differs from the defaults."""
        defaults: dict[str, Any] = {
            "num_layers": 1,
            "bias": True,
            "dropout": 0.0,
            "bidirectional": False,
            "layer_norm": False,
            "recurrent_dropout": 0.0,
            "recurrent_init": "uniform",
        }
        options = [
            f"{key}={getattr(self, key)}" for key, value in defaults.items() if getattr(self, key) != value
        ]
        if self._zones_out:
            options.append(f"zoneout={self.zoneout}")
        return ", ".join([str(self.input_size), str(self.hidden_size), *options])
