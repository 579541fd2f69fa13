"""Dilated causal convolution, plain and gated: cases, the float64 reference, and every implementation."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from seqlight import ops
from seqlight.benchmark.peers import Peer, Problem, Runner
from seqlight.benchmark.sizes import parse_sizes
from seqlight.benchmark.suite import Family

Convolve = Callable[[Tensor, Tensor, Tensor], Tensor]

WEIGHTS = ("weight", "bias")


@dataclass(frozen=True)
class ConvCase:
    """Sizes of one causal convolution from C channels; to C, or to 2 C and through the gate to C.

    Attributes:
        batch: B, sequences.
        steps: T, time steps.
        channels: C.
        kernel_size: K, taps.
        dilation: d, distance of the taps.
    """

    batch: int
    steps: int
    channels: int
    kernel_size: int = 2
    dilation: int = 8

    @property
    def shape(self) -> dict[str, int]:
        """Sizes by the letters of the report's header."""
        sizes = (self.batch, self.steps, self.channels, self.kernel_size, self.dilation)
        return dict(zip("BTCKd", sizes, strict=True))

    @property
    def label(self) -> str:
        """As the report names the case and ``--shapes`` spells it."""
        return ",".join(map(str, self.shape.values()))

    @classmethod
    def parse(cls, text: str) -> "ConvCase":
        """Read ``B,T,C,K,d``, or ``B,T,C`` for kernel 2 and dilation 8.

        Raises:
            ValueError: not three or five whole numbers of at least 1.
        """
        if text.count(",") == 2:
            text += ",2,8"
        return cls(*parse_sizes(text, "B,T,C,K,d", "32,50,20,2,8 (or B,T,C)"))


DEFAULT_CASES = tuple(ConvCase.parse(text) for text in ("32,50,20", "32,336,32", "8,4096,64", "1,16000,128"))


def make_problem(case: ConvCase, seed: int, *, gated: bool = False) -> Problem:
    """Random float32 numbers: weights as torch initialises them; normal x and output gradient."""
    generator = torch.Generator().manual_seed(seed)
    bound = (case.channels * case.kernel_size) ** -0.5
    outputs = case.channels * (2 if gated else 1)

    def uniform(*shape: int) -> Tensor:
        return (2 * torch.rand(*shape, generator=generator) - 1) * bound

    weights = {"weight": uniform(outputs, case.channels, case.kernel_size), "bias": uniform(outputs)}
    x, grad_output = torch.randn(2, case.batch, case.steps, case.channels, generator=generator)
    return Problem(case, x, weights, (), grad_output)


def reference(problem: Problem, variant: str, mode: str) -> dict[str, Tensor]:
    """Output and gradients of F.pad and F.conv1d in float64."""
    training = mode == "training"
    weights = {name: problem.weights[name].double().requires_grad_(training) for name in WEIGHTS}
    x = problem.x.double().requires_grad_(training)
    with torch.set_grad_enabled(training):
        output = padded(x.transpose(1, 2), *weights.values(), dilation=_case(problem).dilation)
        if variant == "gated":
            output = gate(output, 1)
        output = output.transpose(1, 2)
    result = {"output": output.detach()}
    if training:
        gradients = torch.autograd.grad(output, [x, *weights.values()], problem.grad_output.double())
        result |= dict(zip(["grad x", *(f"grad {name}" for name in WEIGHTS)], gradients, strict=True))
    return result


def flops(case: ConvCase, mode: str, *, gated: bool = False) -> int:
    """Operations of the matrix products: 2 B T K C C forward (twice that with the gate).

    Backward does the products for x and for the weight, so training counts three times the forward pass.
    """
    outputs = case.channels * (2 if gated else 1)
    forward = 2 * case.batch * case.steps * case.kernel_size * case.channels * outputs
    return forward * (3 if mode == "training" else 1)


def kept_unit(case: ConvCase) -> tuple[int, str]:
    """Kept memory is told in multiples of C floats per row and time step."""
    return case.batch * case.steps * case.channels, "C floats per row and step"


def padded(x: Tensor, weight: Tensor, bias: Tensor, *, dilation: int) -> Tensor:
    """Zeros in front, then the convolution: x [B, C, T] to [B, C', T]."""
    return F.conv1d(F.pad(x, ((weight.shape[2] - 1) * dilation, 0)), weight, bias, dilation=dilation)


def shifted_products(x: Tensor, weight: Tensor, bias: Tensor, *, dilation: int) -> Tensor:
    """A product for every tap, the earlier ones added where they belong: x [B, T, C] to [B, T, C']."""
    taps, steps = weight.shape[2], x.shape[1]
    output = F.linear(x, weight[:, :, taps - 1], bias)
    for tap in range(taps - 1):
        shift = (taps - 1 - tap) * dilation
        if shift < steps:
            output[:, shift:] += F.linear(x[:, : steps - shift], weight[:, :, tap])
    return output


def gate(before: Tensor, dim: int) -> Tensor:
    """tanh of the first half of the channels times sigmoid of the second half."""
    filtered, gating = before.chunk(2, dim)
    return torch.tanh(filtered) * torch.sigmoid(gating)


def _case(problem: Problem) -> ConvCase:
    assert isinstance(problem.case, ConvCase)
    return problem.case


def _runner(problem: Problem, convolve: Convolve, *, transposed: bool = False) -> Runner:
    weights = {name: problem.weights[name].clone().requires_grad_() for name in WEIGHTS}
    weight, bias = weights.values()
    return Runner(lambda x: convolve(x, weight, bias), weights, transposed=transposed)


def build_seqlight(problem: Problem, *, gated: bool, dilation: int | None = None) -> Runner:
    """Make our op ready, with the case's dilation or another one."""
    distance = _case(problem).dilation if dilation is None else dilation
    activation: ops.ConvActivation | None = "gate" if gated else None

    def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return ops.causal_conv1d(x, weight, bias, dilation=distance, activation=activation)[0]

    return _runner(problem, convolve)


def _build_padded(problem: Problem, *, gated: bool, transposed: bool, compiled: bool = False) -> Runner:
    """F.pad and F.conv1d in [B, C, T] (``transposed``), or from and to [B, T, C] by views."""
    dilation = _case(problem).dilation

    def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x = x if transposed else x.transpose(1, 2)
        output = padded(x, weight, bias, dilation=dilation)
        output = gate(output, 1) if gated else output
        return output if transposed else output.transpose(1, 2)

    return _runner(problem, compile_afresh(convolve) if compiled else convolve, transposed=transposed)


def _build_shifted(problem: Problem, *, gated: bool) -> Runner:
    dilation = _case(problem).dilation

    def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        output = shifted_products(x, weight, bias, dilation=dilation)
        return gate(output, 2) if gated else output

    return _runner(problem, convolve)


def compile_afresh(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``torch.compile`` for one shape."""
    torch._dynamo.reset()  # graphs of earlier cases would count towards the recompilation limit
    return torch.compile(function, fullgraph=True, dynamic=False)


def _family(name: str, *, gated: bool) -> Family[ConvCase]:
    variant = "gated" if gated else "plain"
    peers = (
        Peer("seqlight", "seqlight", variant, lambda p: build_seqlight(p, gated=gated), ours=True),
        Peer(
            "conv1d",
            "F.conv1d [B,C,T]",
            variant,
            lambda p: _build_padded(p, gated=gated, transposed=True),
        ),
        Peer(
            "conv1d-btc",
            "F.conv1d [B,T,C]",
            variant,
            lambda p: _build_padded(p, gated=gated, transposed=False),
        ),
        Peer("linear", "shifted F.linear", variant, lambda p: _build_shifted(p, gated=gated)),
        Peer(
            "compile",
            "torch.compile",
            variant,
            lambda p: _build_padded(p, gated=gated, transposed=True, compiled=True),
            compiles=True,
        ),
    )
    return Family(
        name=name,
        baseline="conv1d",
        peers=peers,
        make_problem=lambda case, seed: make_problem(case, seed, gated=gated),
        reference=reference,
        flops=lambda case, mode: flops(case, mode, gated=gated),
        kept_unit=kept_unit,
        notes=(
            "Convolutions: C channels in, C out (2 C before the gate). F.conv1d runs on what F.pad gives, "
            "zeros in front. 'F.conv1d [B,C,T]' is given torch's own layout, transposed before anything is "
            "timed; 'F.conv1d [B,T,C]' takes and gives seqlight's by transposed views, so that a copy is "
            "counted only where torch makes one; 'shifted F.linear' is a product for each tap in [B, T, C];"
            " torch.compile has the first of these to compile.",
            "Convolutions count 2 B T K C C' operations forward (C' channels before the gate), three times "
            "that in training.",
        ),
    )


CONV_FAMILY = _family("conv", gated=False)
GATED_FAMILY = _family("gated", gated=True)
