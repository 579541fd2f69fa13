"""The recurrent cells that are compared: their weights, random problems and the float64 reference."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seqlight import ops
from seqlight.benchmark.peers import Problem
from seqlight.benchmark.recurrent_case import RecurrentCase
from seqlight.nn import GRU, LSTM, RNN

GATE_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


@dataclass(frozen=True)
class Cell:
    """One kind of recurrent cell. Its variants are named by their options: "plain", "peephole + layer norm".

    Attributes:
        gates: G, row blocks of H in the weights.
        states: names of its states.
        further_weights: shapes, in units of H columns, of the weights that options add.
        layer: ours.
        torch_layer: that of torch.nn.
        op: the functional form.
    """

    gates: int
    states: tuple[str, ...]
    further_weights: dict[str, int]
    layer: Callable[..., Any]
    torch_layer: Callable[..., Any]
    op: Callable[..., tuple[Tensor, ...]]

    def make_problem(self, case: RecurrentCase, seed: int) -> Problem:
        """Weights uniform in +-1/sqrt(H) as in torch.nn, those of layer norm around 1; the rest normal."""
        generator = torch.Generator().manual_seed(seed)
        hidden, bound = case.hidden_size, case.hidden_size**-0.5

        def uniform(*shape: int) -> Tensor:
            return (2 * torch.rand(*shape, generator=generator) - 1) * bound

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        rows = self.gates * hidden
        weights = {
            "weight_ih": uniform(rows, case.input_size),
            "weight_hh": uniform(rows, hidden),
            "bias_ih": uniform(rows),
            "bias_hh": uniform(rows),
        }
        for name, count in self.further_weights.items():
            weights[name] = uniform(count, hidden) + (1 if name == "weight_layer_norm" else 0)
        x = normal(case.batch, case.steps, case.input_size)
        state = tuple(0.5 * normal(case.batch, hidden) for _ in self.states) if case.stream else ()
        return Problem(case, x, weights, state, normal(case.batch, case.steps, hidden))

    def reference(self, problem: Problem, variant: str, mode: str) -> dict[str, Tensor]:
        """Output and gradients of the op by its plain PyTorch reference in float64."""
        training = mode == "training"
        names = weight_names(variant)
        weights = {name: problem.weights[name].double().requires_grad_(training) for name in names}
        x = problem.x.double().requires_grad_(training)
        states = [part.double() for part in self.initial_states(problem)]
        with torch.set_grad_enabled(training):
            output = self.op(x, *states, **weights, backend="reference")[0]
        result = {"output": output.detach()}
        if training:
            gradients = torch.autograd.grad(output, [x, *weights.values()], problem.grad_output.double())
            result |= dict(zip(["grad x", *(f"grad {name}" for name in names)], gradients, strict=True))
        return result

    def initial_states(self, problem: Problem) -> tuple[Tensor, ...]:
        """The problem's states [B, H], or zeros."""
        zeros = torch.zeros(problem.x.shape[0], case_of(problem).hidden_size)
        return problem.state or (zeros,) * len(self.states)

    def flops(self, case: RecurrentCase, mode: str) -> int:
        """Operations of the matrix products alone: 2 B T G H (I + H) forward.

        Backward does the products for x and h, and those for the two weights: twice as many again, so
        training counts three times the forward pass. Elementwise work is not counted.
        """
        rows = self.gates * case.hidden_size
        forward = 2 * case.batch * case.steps * rows * (case.input_size + case.hidden_size)
        return forward * (3 if mode == "training" else 1)


LSTM_CELL = Cell(4, ("h", "c"), {"weight_peephole": 3, "weight_layer_norm": 10}, LSTM, nn.LSTM, ops.lstm)
GRU_CELL = Cell(3, ("h",), {"weight_layer_norm": 6}, GRU, nn.GRU, ops.gru)
RNN_CELL = Cell(1, ("h",), {"weight_layer_norm": 2}, RNN, nn.RNN, ops.rnn)


def weight_names(variant: str) -> tuple[str, ...]:
    """The weights of a variant, in the order of the ops."""
    options = layer_options(variant)
    return (*GATE_WEIGHTS, *(f"weight_{name}" for name in ("peephole", "layer_norm") if name in options))


def layer_options(variant: str) -> dict[str, bool]:
    """The layer's arguments that a variant's name stands for."""
    options = [] if variant == "plain" else variant.split(" + ")
    return {option.replace(" ", "_"): True for option in options}


def case_of(problem: Problem) -> RecurrentCase:
    """The problem's case, by its type."""
    assert isinstance(problem.case, RecurrentCase)
    return problem.case


def kept_unit(case: RecurrentCase) -> tuple[int, str]:
    """Kept memory is told in multiples of H floats per row and time step."""
    return case.batch * case.steps * case.hidden_size, "H floats per row and step"
