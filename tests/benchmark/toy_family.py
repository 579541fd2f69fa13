"""A family of one-line layers, y = x * weight, to test the suite with."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seqlight.benchmark.peers import Peer, Problem, Runner
from seqlight.benchmark.suite import Family


@dataclass(frozen=True)
class ToyCase:
    size: int

    @property
    def shape(self) -> dict[str, int]:
        return {"N": self.size}

    @property
    def label(self) -> str:
        return str(self.size)


class FlippedGradient(torch.autograd.Function):
    """The right product with a wrong sign in the gradient of the weight."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x * weight

    @staticmethod
    def backward(ctx, grad_output):
        x, weight = ctx.saved_tensors
        return grad_output * weight, -grad_output * x


def make_problem(case: ToyCase, seed: int) -> Problem:
    generator = torch.Generator().manual_seed(seed)
    x, weight, grad_output = torch.randn(3, case.size, generator=generator)
    return Problem(case, x, {"weight": weight}, (), grad_output)


def reference(problem: Problem, variant: str, mode: str) -> dict[str, Tensor]:
    x, weight, grad_output = (t.double() for t in (problem.x, problem.weights["weight"], problem.grad_output))
    return {"output": x * weight, "grad x": grad_output * weight, "grad weight": grad_output * x}


def peer(name: str, product: Callable[[Tensor, Tensor], Tensor], **options: object) -> Peer:
    def build(problem: Problem) -> Runner:
        weight = problem.weights["weight"].clone().requires_grad_()
        return Runner(lambda x: product(x, weight), {"weight": weight})

    return replace(Peer(name, f"label of {name}", "plain", build), **options)  # type: ignore[arg-type]


def broken(x: Tensor, weight: Tensor) -> Tensor:
    raise RuntimeError("no such kernel\nwith a second line")


GOOD = peer("good", torch.mul)
OURS = peer("ours", lambda x, weight: weight * x, ours=True)
FLIPPED = peer("flipped", FlippedGradient.apply)
BROKEN = peer("broken", broken)
UNUSED = peer("unused", lambda x, weight: x * weight.detach())
TOO_LONG = peer("too-long", torch.mul, unfit=lambda case, mode: "not beyond N = 1")
SILENT = peer("silent", torch.mul, unfit=lambda case, mode: "")


def family(*peers: Peer) -> Family[ToyCase]:
    return Family(
        name="toy",
        baseline="good",
        peers=peers,
        make_problem=make_problem,
        reference=reference,
        flops=lambda case, mode: 2 * case.size,
        kept_unit=lambda case: (case.size, "floats per element"),
        costs=[("ours", "good")],
    )
