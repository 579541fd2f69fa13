"""The LSTM family: cases [B, T, I] -> [B, T, H], the float64 reference, and every implementation compared."""

import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seqlight import ops
from seqlight.benchmark.peers import Case, Peer, Problem, Runner
from seqlight.benchmark.suite import Family
from seqlight.nn import LSTM

UNROLL_LIMIT = 100
"""Longest sequence that torch.compile is given: it compiles every step of the unrolled loop."""

GATE_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
PEEPHOLE_WEIGHTS = (*GATE_WEIGHTS, "weight_peephole")


@dataclass(frozen=True)
class RecurrentCase:
    """Sizes of one recurrent layer call.

    Attributes:
        batch: B, sequences.
        steps: T, time steps.
        input_size: I, features of the input.
        hidden_size: H, hidden units.
        stream: one time step with the state handed in and out (``steps`` is 1; forward only).
    """

    batch: int
    steps: int
    input_size: int
    hidden_size: int
    stream: bool = False

    @property
    def shape(self) -> dict[str, int]:
        """Sizes by the letters of the report's header."""
        return {"B": self.batch, "T": self.steps, "I": self.input_size, "H": self.hidden_size}

    @property
    def label(self) -> str:
        """As the report names the case and ``--shapes`` spells it."""
        return ",".join(map(str, self.shape.values())) + (":step" if self.stream else "")

    @classmethod
    def parse(cls, text: str) -> "RecurrentCase":
        """Read ``B,T,I,H``, with ``:step`` behind it for one streaming step.

        Raises:
            ValueError: not four positive whole numbers, or a streaming step with T other than 1.
        """
        sizes, _, kind = text.partition(":")
        try:
            batch, steps, input_size, hidden_size = (int(size) for size in sizes.split(","))
        except ValueError:
            raise ValueError(f"expected four whole numbers B,T,I,H, as 32,50,1,20, got {text!r}") from None
        if min(batch, steps, input_size, hidden_size) < 1:
            raise ValueError(f"expected sizes of at least 1, got {text!r}")
        if kind not in ("", "step"):
            raise ValueError(f"expected nothing or ':step' behind the sizes, got ':{kind}'")
        if kind and steps != 1:
            raise ValueError(f"expected T = 1 for a streaming step, got T = {steps} in {text!r}")
        return cls(batch, steps, input_size, hidden_size, stream=bool(kind))


DEFAULT_CASES = tuple(
    RecurrentCase.parse(text)
    for text in (
        "32,50,1,20",
        "32,50,20,20",
        "64,100,32,64",
        "32,336,7,128",
        "64,200,128,256",
        "16,1000,64,512",
        "1,50,1,20",
        "1,1,64,128:step",
    )
)


def make_problem(case: RecurrentCase, seed: int) -> Problem:
    """Weights uniform in +-1/sqrt(H) as torch.nn initialises them; normal x, state and output gradient."""
    generator = torch.Generator().manual_seed(seed)
    bound = case.hidden_size**-0.5

    def uniform(*shape: int) -> Tensor:
        return (2 * torch.rand(*shape, generator=generator) - 1) * bound

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    hidden = case.hidden_size
    weights = {
        "weight_ih": uniform(4 * hidden, case.input_size),
        "weight_hh": uniform(4 * hidden, hidden),
        "bias_ih": uniform(4 * hidden),
        "bias_hh": uniform(4 * hidden),
        "weight_peephole": uniform(3, hidden),
    }
    x = normal(case.batch, case.steps, case.input_size)
    state = tuple(0.5 * normal(case.batch, hidden) for _ in "hc") if case.stream else ()
    return Problem(case, x, weights, state, normal(case.batch, case.steps, hidden))


def reference(problem: Problem, variant: str, mode: str) -> dict[str, Tensor]:
    """Output and gradients of `seqlight.ops.lstm` by its plain PyTorch reference in float64."""
    training = mode == "training"
    names = PEEPHOLE_WEIGHTS if variant == "peephole" else GATE_WEIGHTS
    weights = {name: problem.weights[name].double().requires_grad_(training) for name in names}
    x = problem.x.double().requires_grad_(training)
    h0, c0 = (part.double() for part in _initial_state(problem))
    with torch.set_grad_enabled(training):
        output = ops.lstm(x, h0, c0, *weights.values(), backend="reference")[0]
    result = {"output": output.detach()}
    if training:
        gradients = torch.autograd.grad(output, [x, *weights.values()], problem.grad_output.double())
        result |= dict(zip(["grad x", *(f"grad {name}" for name in names)], gradients, strict=True))
    return result


def flops(case: RecurrentCase, mode: str) -> int:
    """Operations of the matrix products alone: 2 B T 4H (I + H) forward.

    Backward does the products for x and h, and those for the two weights: twice as many again, so training
    counts three times the forward pass. Activations and other elementwise work are not counted.
    """
    forward = 2 * case.batch * case.steps * 4 * case.hidden_size * (case.input_size + case.hidden_size)
    return forward * (3 if mode == "training" else 1)


def kept_unit(case: RecurrentCase) -> tuple[int, str]:
    """Kept memory is told in multiples of H floats per row and time step."""
    return case.batch * case.steps * case.hidden_size, "H floats per row and step"


def eager_peephole(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
    weight_peephole: Tensor,
) -> Tensor:
    """The loop a careful user writes: one input product for all steps, then one addmm and the gates per step.

    x [B, T, I], h and c [B, H] to output [B, T, H]; gates i, f, g, o. Also TorchScript.
    """
    from_input = torch.nn.functional.linear(x.transpose(0, 1), weight_ih, bias_ih + bias_hh)
    recurrent = weight_hh.t()
    peep_i, peep_f, peep_o = weight_peephole.unbind(0)
    outputs = []
    for step in from_input.unbind(0):
        i, f, g, o = torch.addmm(step, h, recurrent).chunk(4, 1)
        c = torch.sigmoid(f + peep_f * c) * c + torch.sigmoid(i + peep_i * c) * torch.tanh(g)
        h = torch.sigmoid(o + peep_o * c) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs, 1)


def _case(problem: Problem) -> RecurrentCase:
    assert isinstance(problem.case, RecurrentCase)
    return problem.case


def _initial_state(problem: Problem) -> tuple[Tensor, Tensor]:
    if problem.state:
        h0, c0 = problem.state
        return h0, c0
    zeros = torch.zeros(problem.x.shape[0], _case(problem).hidden_size)
    return zeros, zeros


def _build_seqlight(problem: Problem, *, peephole: bool, packed: bool = False) -> Runner:
    case = _case(problem)
    layer: Any = LSTM(case.input_size, case.hidden_size, peephole=peephole)
    parameters = dict(layer.named_parameters())
    names = PEEPHOLE_WEIGHTS if peephole else GATE_WEIGHTS
    weights = {name: _load(parameters[f"{name}_l0"], problem.weights[name]) for name in names}
    held = ExitStack()
    if packed:
        held.enter_context(layer.packed())
    if case.stream:
        state = (problem.state[0].unsqueeze(0), problem.state[1].unsqueeze(0))

        def forward(x: Tensor) -> Tensor:
            output: Tensor = layer.step(x[:, 0], state)[0]
            return output
    else:

        def forward(x: Tensor) -> Tensor:
            output: Tensor = layer(x)[0]
            return output

    return Runner(forward, weights, held.close)


def _build_torch_lstm(problem: Problem) -> Runner:
    case = _case(problem)
    layer = nn.LSTM(case.input_size, case.hidden_size, batch_first=True)
    parameters = dict(layer.named_parameters())
    weights = {name: _load(parameters[f"{name}_l0"], problem.weights[name]) for name in GATE_WEIGHTS}
    state = tuple(part.unsqueeze(0) for part in problem.state) or None
    return Runner(lambda x: layer(x, state)[0], weights)


def _build_torch_cell(problem: Problem) -> Runner:
    case = _case(problem)
    cell = nn.LSTMCell(case.input_size, case.hidden_size)
    parameters = dict(cell.named_parameters())
    weights = {name: _load(parameters[name], problem.weights[name]) for name in GATE_WEIGHTS}
    state = problem.state
    return Runner(lambda x: cell(x[:, 0], state)[0], weights)


def _build_loop(problem: Problem, transform: Callable[..., Callable[..., Tensor]]) -> Runner:
    loop = transform(eager_peephole)
    weights = {name: problem.weights[name].clone().requires_grad_() for name in PEEPHOLE_WEIGHTS}
    values = list(weights.values())
    state = _initial_state(problem)
    return Runner(lambda x: loop(x, *state, *values), weights)


def _eager(loop: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return loop


def _script(loop: Callable[..., Tensor]) -> Callable[..., Tensor]:
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".*torch.jit.script.* is deprecated", category=DeprecationWarning
        )
        scripted: Callable[..., Tensor] = torch.jit.script(loop)
        return scripted


def _compile(loop: Callable[..., Tensor]) -> Callable[..., Tensor]:
    torch._dynamo.reset()  # graphs of earlier cases would count towards the recompilation limit
    return torch.compile(loop, fullgraph=True, dynamic=False)


def _load(parameter: Tensor, value: Tensor) -> Tensor:
    with torch.no_grad():
        parameter.copy_(value)
    return parameter


def _packed_unfit(case: Case, mode: str) -> str | None:
    if mode != "forward" or not hasattr(LSTM, "packed"):
        return ""
    return None


def _step_only(case: Case, mode: str) -> str | None:
    return None if isinstance(case, RecurrentCase) and case.stream else ""


def _short_enough(case: Case, mode: str) -> str | None:
    if case.shape["T"] > UNROLL_LIMIT:
        return f"not compiled beyond T = {UNROLL_LIMIT}"
    return None


PEERS = (
    Peer(
        "seqlight-peephole",
        "seqlight peephole",
        "peephole",
        lambda problem: _build_seqlight(problem, peephole=True),
        ours=True,
    ),
    Peer(
        "seqlight-plain",
        "seqlight plain",
        "plain",
        lambda problem: _build_seqlight(problem, peephole=False),
        ours=True,
    ),
    Peer(
        "seqlight-packed",
        "seqlight packed",
        "peephole",
        lambda problem: _build_seqlight(problem, peephole=True, packed=True),
        ours=True,
        unfit=_packed_unfit,
    ),
    Peer("torch-lstm", "torch.nn.LSTM", "plain", _build_torch_lstm),
    Peer("torch-cell", "torch.nn.LSTMCell", "plain", _build_torch_cell, unfit=_step_only),
    Peer("eager", "eager loop", "peephole", lambda problem: _build_loop(problem, _eager)),
    Peer("jit", "torch.jit.script", "peephole", lambda problem: _build_loop(problem, _script)),
    Peer(
        "compile",
        "torch.compile",
        "peephole",
        lambda problem: _build_loop(problem, _compile),
        unfit=_short_enough,
        compiles=True,
    ),
)

LSTM_FAMILY = Family(
    name="LSTM",
    baseline="torch-lstm",
    peers=PEERS,
    make_problem=make_problem,
    reference=reference,
    flops=flops,
    kept_unit=kept_unit,
    has_training=lambda case: not case.stream,
    notes=(
        "Recurrent layers take and give [B, T, features] and count 2 B T 4H (I + H) operations forward, "
        "three times that in training.",
    ),
)
