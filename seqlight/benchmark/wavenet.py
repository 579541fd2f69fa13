"""A whole gated WaveNet: seqlight's against one written in plain PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from seqlight.benchmark.convolution import compile_afresh, gate, padded
from seqlight.benchmark.peers import Peer, Problem, Runner
from seqlight.benchmark.sizes import parse_sizes
from seqlight.benchmark.suite import Family
from seqlight.nn import WaveNet

KERNEL_SIZE = 2


@dataclass(frozen=True)
class WaveNetCase:
    """Sizes of one call of a gated WaveNet with one input and one output channel.

    Attributes:
        batch: B, sequences.
        steps: T, time steps.
        channels: C, of residual and skip connections.
        blocks: how often the dilations start anew.
        layers: of each block, with dilations 1, 2, 4, ...
    """

    batch: int
    steps: int
    channels: int
    blocks: int
    layers: int

    @property
    def shape(self) -> dict[str, int]:
        """Sizes by the letters of the report's header."""
        sizes = (self.batch, self.steps, self.channels, self.blocks, self.layers)
        return dict(zip(("B", "T", "C", "blocks", "layers"), sizes, strict=True))

    @property
    def label(self) -> str:
        """As the report names the case and ``--wavenet-shapes`` spells it."""
        return ",".join(map(str, self.shape.values()))

    @classmethod
    def parse(cls, text: str) -> "WaveNetCase":
        """Read ``B,T,C,blocks,layers``.

        Raises:
            ValueError: not five whole numbers of at least 1.
        """
        return cls(*parse_sizes(text, "B,T,C,blocks,layers", "1,4096,64,3,10"))

    @property
    def dilations(self) -> list[int]:
        """Of all layers, the lowest first."""
        return [2**layer for _ in range(self.blocks) for layer in range(self.layers)]


DEFAULT_CASES = (WaveNetCase(1, 4096, 64, 3, 10),)


def build_net(case: WaveNetCase, weights: Mapping[str, Tensor] | None = None) -> WaveNet:
    """Make seqlight's net, with these weights or as it initialises them."""
    net = WaveNet(
        1,
        1,
        hidden_size=case.channels,
        num_blocks=case.blocks,
        layers_per_block=case.layers,
        kernel_size=KERNEL_SIZE,
    )
    if weights is not None:
        net.load_state_dict(weights)
    return net


def make_weights(case: WaveNetCase, seed: int) -> dict[str, Tensor]:
    """Random float32 weights under the names of seqlight's net, which leaves torch's generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return {name: value.detach() for name, value in build_net(case).named_parameters()}


def make_problem(case: WaveNetCase, seed: int) -> Problem:
    """Random weights, normal x and output gradient [B, T, 1]."""
    generator = torch.Generator().manual_seed(seed)
    x, grad_output = torch.randn(2, case.batch, case.steps, 1, generator=generator)
    return Problem(case, x, make_weights(case, seed), (), grad_output)


def eager_wavenet(
    x: Tensor,
    weights: Mapping[str, Tensor],
    dilations: list[int],
    inputs: list[Tensor] | None = None,
) -> Tensor:
    """The net as one writes it in PyTorch: x [B, 1, T] to [B, 1, T].

    The input of every convolution over time is appended to ``inputs``, if that is given.
    """
    if inputs is not None:
        inputs.append(x)
    h = padded(x, weights["input_layer.weight"], weights["input_layer.bias"], dilation=1)
    channels = h.shape[1]
    total: Tensor | None = None
    for index, dilation in enumerate(dilations):
        name = f"layers.{index}"
        if inputs is not None:
            inputs.append(h)
        before = padded(h, weights[f"{name}.conv.weight"], weights[f"{name}.conv.bias"], dilation=dilation)
        weight, bias = weights[f"{name}.project.weight"], weights[f"{name}.project.bias"]
        skip = F.conv1d(gate(before, 1), weight.unsqueeze(2), bias)
        if index < len(dilations) - 1:
            residual, skip = skip.split([channels, skip.shape[1] - channels], 1)
            h = h + residual
        total = skip if total is None else total + skip
    assert total is not None
    for name in ("head.1", "head.3"):
        total = F.conv1d(torch.relu(total), weights[f"{name}.weight"].unsqueeze(2), weights[f"{name}.bias"])
    return total


def reference(problem: Problem, variant: str, mode: str) -> dict[str, Tensor]:
    """Output and gradients of the plain PyTorch net in float64."""
    training = mode == "training"
    weights = {name: value.double().requires_grad_(training) for name, value in problem.weights.items()}
    x = problem.x.double().requires_grad_(training)
    with torch.set_grad_enabled(training):
        output = eager_wavenet(x.transpose(1, 2), weights, _case(problem).dilations).transpose(1, 2)
    result = {"output": output.detach()}
    if training:
        gradients = torch.autograd.grad(output, [x, *weights.values()], problem.grad_output.double())
        result |= dict(zip(["grad x", *(f"grad {name}" for name in weights)], gradients, strict=True))
    return result


def operations_per_step(case: WaveNetCase) -> int:
    """Operations of the matrix products for one row and time step."""
    c, layers = case.channels, case.blocks * case.layers
    products = KERNEL_SIZE * c + layers * KERNEL_SIZE * c * 2 * c + (2 * layers - 1) * c * c + c * c + c
    return 2 * products


def flops(case: WaveNetCase, mode: str) -> int:
    """Operations of the matrix products, three times the forward pass's in training."""
    forward = case.batch * case.steps * operations_per_step(case)
    return forward * (3 if mode == "training" else 1)


def kept_unit(case: WaveNetCase) -> tuple[int, str]:
    """Kept memory is told in multiples of C floats per row, step and layer."""
    size = case.batch * case.steps * case.channels * case.blocks * case.layers
    return size, "C floats per row, step and layer"


def _case(problem: Problem) -> WaveNetCase:
    assert isinstance(problem.case, WaveNetCase)
    return problem.case


def _build_seqlight(problem: Problem) -> Runner:
    net = build_net(_case(problem), problem.weights)
    return Runner(lambda x: net(x)[0], dict(net.named_parameters()))


def _build_eager(problem: Problem, *, compiled: bool) -> Runner:
    weights = {name: value.clone().requires_grad_() for name, value in problem.weights.items()}
    dilations = _case(problem).dilations
    net = partial(eager_wavenet, weights=weights, dilations=dilations)
    forward = compile_afresh(net) if compiled else net
    return Runner(lambda x: forward(x), weights, transposed=True)


WAVENET_FAMILY = Family(
    name="WaveNet",
    baseline="eager-wavenet",
    peers=(
        Peer("seqlight-wavenet", "seqlight.nn.WaveNet", "gated net", _build_seqlight, ours=True),
        Peer(
            "eager-wavenet",
            "eager PyTorch [B,C,T]",
            "gated net",
            partial(_build_eager, compiled=False),
        ),
        Peer(
            "compile-wavenet",
            "torch.compile",
            "gated net",
            partial(_build_eager, compiled=True),
            compiles=True,
        ),
    ),
    make_problem=make_problem,
    reference=reference,
    flops=flops,
    kept_unit=kept_unit,
    notes=(
        "WaveNet: the gated form, kernel 2, one input and one output channel. The eager net is F.pad and "
        "F.conv1d in [B, C, T] for every convolution, 1x1 ones included; torch.compile has that net to "
        "compile.",
    ),
)
