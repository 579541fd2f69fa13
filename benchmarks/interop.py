"""Models of other libraries, plain and fused by one line: the same losses, and the time of a training step.

    python benchmarks/interop.py [-o results.md] [--rounds 40] [--only darts]

Needs an environment with those libraries, which `make interop` makes. Every model is trained by its own
library for 30 steps, and caught: its module before the first step, and its batches. The same 30 steps are
then run by hand, Adam with dropout 0: in float64 plain and fused, where the losses must agree to 1e-9; in
float32 plain with one and two threads, whose difference is torch's own spread, and fused. Times are of
training steps in float32 on one thread, plain and fused in turn, each first in half of the rounds. They are
the processor's time of this process, in which other work on the machine shows little.
"""

import argparse
import copy
import dataclasses
import random
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from interop_models import CASES, STEPS, Caught, quieten
from torch import nn
from torch.utils._pytree import tree_map_only

import seqlight


@dataclass(frozen=True)
class Result:
    """One model's figures."""

    library: str
    model: str
    fused_layers: int
    float64_difference: float  #: largest of 30 losses
    threads_difference: float  #: float32, one thread against two
    fused_difference: float  #: float32, plain against fused
    plain_ms: float
    fused_ms: float
    ratio: float  #: median over the rounds
    layer_share: float  #: of the plain step, forward and backward of the recurrent layers alone

    @property
    def agrees(self) -> bool:
        """Say whether the losses are equal as far as can be asked."""
        spread = max(self.threads_difference, 1e-5)
        return self.float64_difference <= 1e-9 and self.fused_difference <= spread


def converted(caught: Caught, dtype: torch.dtype) -> Caught:
    """Copy the module and batches, floating-point numbers in `dtype`."""

    def convert(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    def convert_batch(batch: Any) -> Any:
        if not dataclasses.is_dataclass(batch):
            return tree_map_only(torch.Tensor, convert, batch)
        parts = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
        return type(batch)(**tree_map_only(torch.Tensor, convert, parts))

    batches = [convert_batch(batch) for batch in caught.batches]
    module: Any = copy.deepcopy(caught.module).to(dtype).train()
    module._trainer = caught.trainer
    module.log = module.log_dict = lambda *_arguments, **_options: None
    return Caught(module, batches)


def training_step(module: Any, optimizer: torch.optim.Optimizer, batch: Any, number: int) -> float:
    """Take one step; what the library draws at random depends on the step alone."""
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)
    optimizer.zero_grad()
    found = module.training_step(copy.copy(batch), number)
    loss = found["loss"] if isinstance(found, dict) else found
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def losses(caught: Caught, dtype: torch.dtype, *, fused: bool, threads: int = 1) -> list[float]:
    """Give the losses of all steps."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    torch.set_num_threads(threads)
    try:
        own = converted(caught, dtype)
        if fused:
            seqlight.nn.fuse(own.module)
        optimizer = torch.optim.Adam(own.module.parameters(), lr=1e-3)
        return [
            training_step(own.module, optimizer, batch, number) for number, batch in enumerate(own.batches)
        ]
    finally:
        torch.set_default_dtype(before)
        torch.set_num_threads(1)


def difference(one: list[float], other: list[float]) -> float:
    """Give the largest difference, relative to the loss where that is above 1."""
    return max(abs(a - b) / max(1.0, abs(a)) for a, b in zip(one, other, strict=True))


def timed(caught: Caught, rounds: int) -> tuple[float, float, float]:
    """Give the median milliseconds of a plain and a fused step, and the median of their ratio."""
    plain, fused = (converted(caught, torch.float32) for _ in range(2))
    seqlight.nn.fuse(fused.module)
    runs = [(own, torch.optim.Adam(own.module.parameters(), lr=1e-3)) for own in (plain, fused)]
    taken: list[list[float]] = [[], []]
    for number in range(rounds + 3):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        for which in order:
            own, optimizer = runs[which]
            batch = own.batches[number % STEPS]
            start = time.process_time()
            training_step(own.module, optimizer, batch, number)
            if number >= 3:
                taken[which].append(time.process_time() - start)
    ratios = [a / b for a, b in zip(*taken, strict=True)]
    return (
        1e3 * statistics.median(taken[0]),
        1e3 * statistics.median(taken[1]),
        statistics.median(ratios),
    )


def layer_milliseconds(caught: Caught) -> float:
    """Give the median milliseconds that the plain recurrent layers take alone, fed as in a step."""
    own = converted(caught, torch.float32)
    layers = [module for module in own.module.modules() if isinstance(module, nn.RNNBase)]
    calls: list[tuple[nn.Module, Any, Any]] = []
    for layer in layers:
        layer.register_forward_pre_hook(
            lambda layer, arguments, options: calls.append((layer, arguments, options)), with_kwargs=True
        )
    optimizer = torch.optim.Adam(own.module.parameters(), lr=1e-3)
    training_step(own.module, optimizer, own.batches[0], 0)
    recorded = list(calls)
    times = []
    for _round in range(15):
        total = 0.0
        for layer, arguments, options in recorded:
            arguments, options = tree_map_only(torch.Tensor, torch.Tensor.detach, (arguments, options))
            start = time.process_time()
            output = layer(*arguments, **options)[0]
            data = output if isinstance(output, torch.Tensor) else output.data
            data.sum().backward()
            total += time.process_time() - start
        times.append(total)
    return 1e3 * statistics.median(times)


def measure(library: str, name: str, caught: Caught, rounds: int) -> Result:
    """Run one model in all ways."""
    exact = [losses(caught, torch.float64, fused=fused) for fused in (False, True)]
    plain, threaded = (losses(caught, torch.float32, fused=False, threads=threads) for threads in (1, 2))
    fused = losses(caught, torch.float32, fused=True)
    report = seqlight.nn.fusion_report(seqlight.nn.fuse(copy.deepcopy(caught.module)))
    plain_ms, fused_ms, ratio = timed(caught, rounds)
    return Result(
        library,
        name,
        sum(layer.fused for layer in report.layers),
        difference(*exact),
        difference(plain, threaded),
        difference(plain, fused),
        plain_ms,
        fused_ms,
        ratio,
        layer_milliseconds(caught) / plain_ms,
    )


def table(results: list[Result]) -> str:
    """Give the Markdown table."""
    lines = [
        "| library | model | layer's share of a plain step | plain, ms a step | fused, ms a step "
        "| times faster | losses, float64 | losses, float32 | float32, 1 and 2 threads of torch |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in results:
        lines.append(
            f"| {row.library} | {row.model} | {row.layer_share:.0%} | {row.plain_ms:.1f} "
            f"| {row.fused_ms:.1f} | {row.ratio:.2f} | {row.float64_difference:.0e} "
            f"| {row.fused_difference:.0e} | {row.threads_difference:.0e} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, help="file to write the table to")
    parser.add_argument("--rounds", type=int, default=40, help="timed steps of each kind")
    parser.add_argument("--only", default="", help="run the libraries whose names contain this")
    arguments = parser.parse_args()
    quieten()
    torch.set_num_threads(1)
    results = []
    for library, name, catch, cell in CASES:
        if arguments.only in library:
            results.append(measure(library, name, catch(cell), arguments.rounds))
            print(results[-1], flush=True)
    shown = table(results)
    print(shown)
    if arguments.output is not None:
        versions = ", ".join(f"{name} {version}" for name, version in _versions())
        note = (
            f"Training steps of {STEPS} batches, plain and fused in turn on one thread: processor time, "
            f"median of {arguments.rounds}; dropout 0. {versions}; {_processor()}. Differences of losses are "
            f"the largest of {STEPS} steps, relative where a loss is above 1.\n\n"
        )
        arguments.output.write_text(
            "# Other libraries' models, plain and fused\n\n`make interop` writes this.\n\n"
            + note
            + shown
            + "\n",
            encoding="utf-8",
        )
    failed = [f"{row.library} {row.model}" for row in results if not row.agrees]
    if failed:
        sys.exit(f"losses differ: {', '.join(failed)}")


def _processor() -> str:
    isa = seqlight.build_info()["cpu_isa"]
    return f"{torch.backends.cpu.get_cpu_capability()} for torch, {isa} for the kernels"


def _versions() -> list[tuple[str, str]]:
    from importlib.metadata import version

    return [(name, version(name)) for name in ("torch", "neuralforecast", "darts", "pytorch-forecasting")]


if __name__ == "__main__":
    main()
