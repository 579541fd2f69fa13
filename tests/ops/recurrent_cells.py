"""The recurrent cells in all their variants, and random arguments for them: what the tests run over."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from seqlight import ops
from seqlight.ops import reference


@dataclass(frozen=True)
class Cell:
    """An op with some of its optional weights, its reference and its twin in torch.nn."""

    op: str  # its name
    gate_count: int
    peer: type[nn.RNNBase]
    options: dict[str, str] = field(default_factory=dict)
    peephole: bool = False
    layer_norm: bool = False

    def __str__(self) -> str:
        extras = [*self.options.values(), *["peephole"] * self.peephole, *["layer norm"] * self.layer_norm]
        return " ".join((self.op, *extras))

    @property
    def state_names(self) -> tuple[str, ...]:
        return ("h0", "c0") if self.op == "lstm" else ("h0",)

    @property
    def result_names(self) -> tuple[str, ...]:
        return ("output", "h_n", "c_n")[: 1 + len(self.state_names)]

    @property
    def extras(self) -> tuple[str, ...]:
        """All optional weights that the op knows, in its order."""
        return (*["weight_peephole"] * (self.op == "lstm"), "weight_layer_norm")

    @property
    def names(self) -> tuple[str, ...]:
        """The differentiable tensors that this variant has, in the op's order."""
        present = {"weight_peephole": self.peephole, "weight_layer_norm": self.layer_norm}
        weights = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return ("x", *self.state_names, *weights, *(extra for extra in self.extras if present[extra]))

    @property
    def zoneout_names(self) -> tuple[str, ...]:
        return ("zoneout_h", "zoneout_c") if self.op == "lstm" else ("zoneout",)

    def __call__(self, *tensors: Tensor | None, **options: Any) -> tuple[Tensor, ...]:
        """Run the op on the tensors of `names`."""
        named = dict(zip(self.names, tensors, strict=True))
        return getattr(ops, self.op)(**named, **self.options, **options)

    def reference(self, *tensors: Tensor | None, **options: Any) -> tuple[Tensor, ...]:
        """Run the reference on the tensors of `names`."""
        named = dict(zip(self.names, tensors, strict=True))
        return getattr(reference, self.op)(**named, **self.options, **options)

    def place(self, name: str) -> int:
        return self.names.index(name)

    def shapes(
        self, batch_size: int, steps: int, input_size: int, hidden_size: int
    ) -> dict[str, tuple[int, ...]]:
        rows = self.gate_count * hidden_size
        norm_rows = {"lstm": 10, "gru": 6, "rnn": 2}[self.op]
        every = {
            "x": (batch_size, steps, input_size),
            "h0": (batch_size, hidden_size),
            "c0": (batch_size, hidden_size),
            "weight_ih": (rows, input_size),
            "weight_hh": (rows, hidden_size),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
            "weight_peephole": (3, hidden_size),
            "weight_layer_norm": (norm_rows, hidden_size),
        }
        return {name: every[name] for name in self.names}

    def arguments(
        self,
        batch_size: int,
        steps: int,
        input_size: int,
        hidden_size: int,
        *,
        dtype: torch.dtype = torch.float32,
        requires_grad: bool = False,
        seed: int = 0,
    ) -> list[Tensor]:
        """Draw the tensors of `names`: inputs, states, gains about 1, weights about 1/sqrt(H).

        The numbers are the same on every device; the tensors are on the default one.
        """
        generator = torch.Generator("cpu").manual_seed(seed)
        tensors = []
        for name, shape in self.shapes(batch_size, steps, input_size, hidden_size).items():
            drawn = torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")
            if name not in ("x", *self.state_names):
                drawn = drawn * hidden_size**-0.5
            if name == "weight_layer_norm":
                drawn = 0.5 + drawn.abs()
            on_device = drawn.to(torch.get_default_device(), dtype)
            tensors.append(on_device.requires_grad_(requires_grad))
        return tensors

    def noise(
        self,
        batch_size: int,
        hidden_size: int,
        *,
        masked: bool = True,
        zoneout: float = 0.3,
        seeded: bool = True,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Draw the op's arguments for recurrent dropout and zoneout; the states' probabilities differ."""
        drawn: dict[str, Any] = {}
        if masked:
            generator = torch.Generator("cpu").manual_seed(seed)
            uniform = torch.rand(
                (batch_size, hidden_size), generator=generator, dtype=torch.float64, device="cpu"
            )
            drawn["hidden_mask"] = (uniform.to(torch.get_default_device()) < 0.6) / 0.6
        if zoneout > 0:
            drawn |= {name: zoneout / (1 + place) for place, name in enumerate(self.zoneout_names)}
            if seeded:
                drawn["zoneout_seed"] = torch.tensor([(seed * 0x123456789AB + 1) % 2**63])
        return drawn

    def private_op(self, direction: str) -> Any:
        """``torch.ops.seqlight.<op>_forward``, ``_backward`` or ``_pack``."""
        return getattr(torch.ops.seqlight, f"{self.op}_{direction}").default

    def private_tensors(self, tensors: list[Tensor]) -> list[Tensor | None]:
        """Put None where this variant lacks one of the op's tensors."""
        named = dict(zip(self.names, tensors, strict=True))
        every = ("x", *self.state_names, "weight_ih", "weight_hh", "bias_ih", "bias_hh", *self.extras)
        return [named.get(name) for name in every]

    def private_rest(
        self, noise: dict[str, Any], lengths: Tensor | None, reverse: bool, dtype: torch.dtype
    ) -> tuple[Any, ...]:
        """Give what the private ops take behind the tensors: constants and flags."""
        mask = noise.get("hidden_mask")
        return (
            None if mask is None else mask.to(dtype),
            noise.get("zoneout_seed"),
            lengths,
            *(noise.get(name, 0.0) for name in self.zoneout_names),
            *[self.options.get("nonlinearity") == "relu"] * (self.op == "rnn"),
            reverse,
        )


LSTM, GRU, RNN = ("lstm", 4, nn.LSTM), ("gru", 3, nn.GRU), ("rnn", 1, nn.RNN)
TANH, RELU = {"nonlinearity": "tanh"}, {"nonlinearity": "relu"}

#: Every cell once, with all its weights.
CELLS = (
    Cell(*LSTM, peephole=True),
    Cell(*GRU),
    Cell(*RNN, TANH),
    Cell(*RNN, RELU),
    Cell(*LSTM, peephole=True, layer_norm=True),
    Cell(*GRU, layer_norm=True),
    Cell(*RNN, TANH, layer_norm=True),
)
#: And the combinations left out there.
EVERY_CELL = (*CELLS, Cell(*LSTM), Cell(*LSTM, layer_norm=True), Cell(*RNN, RELU, layer_norm=True))
#: Those that torch.nn has too.
TORCH_CELLS = (Cell(*LSTM), Cell(*GRU), Cell(*RNN, TANH), Cell(*RNN, RELU))
NORM_CELLS = (*CELLS[4:], Cell(*RNN, RELU, layer_norm=True))
