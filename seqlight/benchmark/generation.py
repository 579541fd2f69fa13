"""Generation with a WaveNet, one sample after the other: time per sample."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from seqlight.benchmark.peers import Case, Peer, Problem, Runner
from seqlight.benchmark.sizes import parse_sizes
from seqlight.benchmark.suite import Family
from seqlight.benchmark.wavenet import (
    KERNEL_SIZE,
    WaveNetCase,
    build_net,
    eager_wavenet,
    make_weights,
    operations_per_step,
)

#: How many samples one call makes: enough to level out what a call costs, few where a sample takes long.
NATIVE_SAMPLES = 256
STEP_SAMPLES = 32
RECOMPUTED_SAMPLES = 2


@dataclass(frozen=True)
class GenerationCase:
    """Sizes of a gated WaveNet whose only output channel is fed back.

    Attributes:
        batch: B, sequences at once.
        channels: C, of residual and skip connections.
        blocks: how often the dilations start anew.
        layers: of each block, with dilations 1, 2, 4, ...
    """

    batch: int
    channels: int
    blocks: int
    layers: int

    @property
    def shape(self) -> dict[str, int]:
        """Sizes by the letters of the report's header."""
        sizes = (self.batch, self.channels, self.blocks, self.layers)
        return dict(zip(("B", "C", "blocks", "layers"), sizes, strict=True))

    @property
    def label(self) -> str:
        """As the report names the case and ``--generation-shapes`` spells it."""
        return ",".join(map(str, self.shape.values()))

    @classmethod
    def parse(cls, text: str) -> "GenerationCase":
        """Read ``B,C,blocks,layers``.

        Raises:
            ValueError: not four whole numbers of at least 1.
        """
        return cls(*parse_sizes(text, "B,C,blocks,layers", "1,64,3,10"))

    @property
    def net(self) -> WaveNetCase:
        """The net, on a sequence as long as its receptive field."""
        field = (KERNEL_SIZE - 1) * (self.blocks * (2**self.layers - 1) + 1) + 1
        return WaveNetCase(self.batch, field, self.channels, self.blocks, self.layers)


DEFAULT_CASES = tuple(GenerationCase.parse(text) for text in ("1,64,3,10", "1,64,10,3", "8,64,3,10"))


def make_problem(case: GenerationCase, seed: int) -> Problem:
    """Random weights, and a normal series [B, receptive field, 1] that the samples continue."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(case.batch, case.net.steps, 1, generator=generator)
    return Problem(case, x, make_weights(case.net, seed), (), x[:, :0])


def reference(problem: Problem, variant: str, mode: str) -> dict[str, Tensor]:
    """The samples in float64, by ring buffers in plain PyTorch."""
    weights = {name: value.double() for name, value in problem.weights.items()}
    with torch.no_grad():
        ring = RingBuffers(weights, _case(problem).net.dilations, problem.x.double())
        return {"output": ring.generate(int(variant.removesuffix(" samples")))}


class RingBuffers:
    """Generation as a careful user writes it in PyTorch: the past inputs of each layer in a ring buffer, and
    one product for all taps of a layer.

    Args:
        weights: of the net, under the names of seqlight's.
        dilations: of all layers.
        prime: the series to continue, [B, T, 1].
    """

    def __init__(self, weights: Mapping[str, Tensor], dilations: list[int], prime: Tensor) -> None:
        self.reaches = [1, *dilations]
        count = len(dilations)
        names = ["input_layer", *(f"layers.{index}.conv" for index in range(count))]
        # Taps below each other: [K * C, C'].
        self.products = [weights[f"{name}.weight"].permute(2, 1, 0).flatten(0, 1) for name in names]
        self.biases = [weights[f"{name}.bias"] for name in names]
        self.projections = [weights[f"layers.{index}.project.weight"].t() for index in range(count)]
        self.projection_biases = [weights[f"layers.{index}.project.bias"] for index in range(count)]
        self.head = [(weights[f"head.{index}.weight"], weights[f"head.{index}.bias"]) for index in (1, 3)]
        inputs: list[Tensor] = []
        eager_wavenet(prime[:, :-1].transpose(1, 2), weights, dilations, inputs)
        self.primed = [
            F.pad(each, ((KERNEL_SIZE - 1) * reach, 0))[..., -(KERNEL_SIZE - 1) * reach :]
            .permute(2, 0, 1)
            .contiguous()
            for each, reach in zip(inputs, self.reaches, strict=True)
        ]
        self.buffers = [primed.clone() for primed in self.primed]
        self.time = 0
        self.last = prime[:, -1]

    def step(self, x: Tensor) -> Tensor:
        """Run one time step: [B, 1] to [B, 1]."""
        h = torch.addmm(self.biases[0], self._taps(0, x), self.products[0])
        channels = h.shape[1]
        total: Tensor | None = None
        for index, (projection, bias) in enumerate(
            zip(self.projections, self.projection_biases, strict=True), start=1
        ):
            before = torch.addmm(self.biases[index], self._taps(index, h), self.products[index])
            z = torch.tanh(before[:, :channels]) * torch.sigmoid(before[:, channels:])
            skip = torch.addmm(bias, z, projection)
            if index < len(self.projections):
                h = h + skip[:, :channels]
                skip = skip[:, channels:]
            total = skip if total is None else total + skip
        assert total is not None
        self.time += 1
        for weight, bias in self.head:
            total = F.linear(torch.relu(total), weight, bias)
        return total

    def _taps(self, index: int, x: Tensor) -> Tensor:
        """The inputs of all taps of a convolution beside each other, [B, K * C]; stores the newest."""
        buffer = self.buffers[index]
        length, reach = len(buffer), self.reaches[index]
        past = [buffer[(self.time - lag * reach) % length] for lag in range(KERNEL_SIZE - 1, 0, -1)]
        taps = torch.cat([*past, x], 1)
        buffer[self.time % length] = x
        return taps

    def generate(self, samples: int) -> Tensor:
        """Continue the primed series: [B, samples, 1]."""
        self.time = 0
        for buffer, primed in zip(self.buffers, self.primed, strict=True):
            buffer.copy_(primed)
        x, outputs = self.last, []
        for _ in range(samples):
            x = self.step(x)
            outputs.append(x)
        return torch.stack(outputs, 1)


def _case(problem: Problem) -> GenerationCase:
    assert isinstance(problem.case, GenerationCase)
    return problem.case


def _runner(generate: Callable[[], Tensor], samples: int) -> Runner:
    return Runner(lambda x: generate(), {}, units=samples)


def _build_native(problem: Problem) -> Runner:
    net = build_net(_case(problem).net, problem.weights)
    with torch.no_grad():
        _, primed = net(problem.x[:, :-1])
    last = problem.x[:, -1:]
    return _runner(lambda: net.generate(last, NATIVE_SAMPLES, primed)[0], NATIVE_SAMPLES)


def _build_steps(problem: Problem) -> Runner:
    net = build_net(_case(problem).net, problem.weights)
    with torch.no_grad():
        _, primed = net(problem.x[:, :-1])

    def generate() -> Tensor:
        x, state, outputs = problem.x[:, -1], primed, []
        for _ in range(STEP_SAMPLES):
            x, state = net.step(x, state)
            outputs.append(x)
        return torch.stack(outputs, 1)

    return _runner(generate, STEP_SAMPLES)


def _build_ring(problem: Problem) -> Runner:
    with torch.no_grad():
        ring = RingBuffers(problem.weights, _case(problem).net.dilations, problem.x)
    return _runner(lambda: ring.generate(STEP_SAMPLES), STEP_SAMPLES)


def _build_recomputed(problem: Problem) -> Runner:
    dilations = _case(problem).net.dilations
    past = problem.x.transpose(1, 2)

    def generate() -> Tensor:
        series = past
        for _ in range(RECOMPUTED_SAMPLES):
            output = eager_wavenet(series[..., -past.shape[2] :], problem.weights, dilations)
            series = torch.cat([series, output[..., -1:]], 2)
        return series[..., past.shape[2] :].transpose(1, 2)

    return _runner(generate, RECOMPUTED_SAMPLES)


def _operations(case: GenerationCase, mode: str) -> int:
    return case.batch * operations_per_step(case.net)


def _no_training(case: Case) -> bool:
    return False


GENERATION_FAMILY = Family(
    name="generation",
    baseline="eager-ring",
    peers=(
        Peer(
            "seqlight-generate",
            "WaveNet.generate",
            f"{NATIVE_SAMPLES} samples",
            _build_native,
            ours=True,
        ),
        Peer("seqlight-step", "WaveNet.step", f"{STEP_SAMPLES} samples", _build_steps, ours=True),
        Peer("eager-ring", "eager ring buffers", f"{STEP_SAMPLES} samples", _build_ring),
        Peer("recompute", "receptive field anew", f"{RECOMPUTED_SAMPLES} samples", _build_recomputed),
    ),
    make_problem=make_problem,
    reference=reference,
    flops=_operations,
    kept_unit=lambda case: (1, "floats"),
    has_training=_no_training,
    unit="sample",
    notes=(
        "Generation: a gated WaveNet (kernel 2) continues a series, its output fed back as the next input; "
        "times are per sample of the whole batch. 'Eager ring buffers' keep the past inputs of every layer "
        "and take one addmm for all taps; 'receptive field anew' runs the eager net over its whole "
        "receptive field for each sample. A shorter receptive field with as many layers (10 blocks of 3 "
        "instead of 3 of 10) shows what depends on its length.",
    ),
)
