"""Speed of seqlight's kernels on a GPU against cuDNN, eager PyTorch and torch.compile: gpu_speed.py FOLDER.

FlashRNN's LSTM is a peer too where gpu_flashrnn_build.py has had its kernels made. Families, other peers and
float64 references are those of ``seqlight benchmark``; an implementation is timed only if it agrees with the
reference. Times are medians by CUDA events, of a graph's replay where the work can be captured and is short.
Beside each stands the floor: the least time for its matrix products, or for reading and writing inputs,
results, weights and their gradients, at the measured speed of torch.mm and of a copy.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from gpu_flashrnn import BACKENDS, flashrnn_peers
from gpu_flashrnn import CASES as FLASHRNN_CASES
from gpu_table import Figure, as_json, markdown
from gpu_timing import GRAPH_LIMIT, Ceilings, captured, median_milliseconds, products_in, torch_dtype

import seqlight
from seqlight.benchmark.convolution import GATED_FAMILY, ConvCase
from seqlight.benchmark.gate import relative_errors, verdict
from seqlight.benchmark.generation import GENERATION_FAMILY, GenerationCase
from seqlight.benchmark.peers import Peer, Problem, Runner
from seqlight.benchmark.recurrent_case import RecurrentCase, parse_cases
from seqlight.benchmark.recurrent_families import (
    GRU_FAMILY,
    LAYER_NORM_LSTM_FAMILY,
    LSTM_FAMILY,
    RNN_FAMILY,
)
from seqlight.benchmark.suite import Family, time_limit
from seqlight.benchmark.wavenet import WAVENET_FAMILY, WaveNetCase

# Relative errors that are still taken for rounding.
TOLERANCE = {"float32": 1e-4, "tf32": 2e-2, "bfloat16": 1e-1}
COMPILE_SECONDS = 60.0
#: Never timed: it takes as long as the eager loop.
LEFT_OUT = "jit"


@dataclass(frozen=True)
class Row:
    """What is measured together."""

    family: Family[Any]
    case: Any
    dtype: str
    mode: str


def rows_of(
    family: Family[Any], cases: Sequence[Any], *dtypes: str, modes: str = "training forward"
) -> list[Row]:
    """All combinations that have a meaning."""
    return [
        Row(family, case, dtype, mode)
        for mode in modes.split()
        if mode == "forward" or family.has_training(cases[0])
        for dtype in dtypes
        for case in cases
    ]


RECURRENT_CASES = parse_cases(
    "32,50,1,20", "64,100,32,64", "64,200,128,256", "256,336,7,128", "16,1000,64,512", "64,1024,768,768"
)
FEW_CASES: tuple[RecurrentCase, ...] = (RECURRENT_CASES[1], RECURRENT_CASES[3], RECURRENT_CASES[4])
FLASHRNN_FAMILY = replace(
    LSTM_FAMILY,
    peers=(
        *(peer for peer in LSTM_FAMILY.peers if peer.name in ("seqlight-plain", LSTM_FAMILY.baseline)),
        *flashrnn_peers(*BACKENDS),
    ),
)
CONVOLUTIONS = tuple(ConvCase.parse(text) for text in ("8,4096,64", "1,16000,128", "32,4096,256"))
#: The most telling first: what comes last is left out where the time is up.
PLAN = (
    *rows_of(LSTM_FAMILY, RECURRENT_CASES, "float32", modes="training"),
    *rows_of(FLASHRNN_FAMILY, FLASHRNN_CASES, "bfloat16", modes="training"),
    *rows_of(GATED_FAMILY, CONVOLUTIONS, "float32", "bfloat16", modes="training"),
    *rows_of(LAYER_NORM_LSTM_FAMILY, FEW_CASES, "float32", modes="training"),
    *rows_of(
        GENERATION_FAMILY, [GenerationCase.parse(text) for text in ("1,64,3,10", "256,64,3,10")], "float32"
    ),
    *rows_of(LSTM_FAMILY, RECURRENT_CASES, "bfloat16", modes="training"),
    *rows_of(GRU_FAMILY, FEW_CASES, "float32", "bfloat16", modes="training"),
    *rows_of(LSTM_FAMILY, RECURRENT_CASES[-2:], "tf32", modes="training"),
    *rows_of(WAVENET_FAMILY, [WaveNetCase(8, 4096, 64, 3, 10)], "float32", modes="training"),
    *rows_of(LSTM_FAMILY, RECURRENT_CASES, "float32", modes="forward"),
    *rows_of(RNN_FAMILY, FEW_CASES, "float32", modes="training"),
    *rows_of(GATED_FAMILY, CONVOLUTIONS, "float32", modes="forward"),
)


def moved_problem(problem: Problem, device: torch.device, dtype: torch.dtype) -> Problem:
    """The same numbers on the device, rounded to `dtype`."""
    return replace(
        problem,
        x=problem.x.to(device, dtype),
        weights={name: value.to(device, dtype) for name, value in problem.weights.items()},
        state=tuple(part.to(device, dtype) for part in problem.state),
        grad_output=problem.grad_output.to(device, dtype),
    )


def floor_milliseconds(row: Row, problem: Problem, ceilings: Ceilings) -> float:
    """The floor of a unit of work; training reads and writes everything three times, weights twice."""
    training = row.mode == "training"
    weights = sum(weight.numel() for weight in problem.weights.values())
    values = problem.x.numel() + problem.grad_output.numel()
    if row.family is GENERATION_FAMILY:
        values = problem.x.shape[0]  # the sample alone: what came before stays on the device
    numbers = 3 * values + 2 * weights if training else values + weights
    operations = row.family.flops(row.case, row.mode)
    return ceilings.floor_milliseconds(row.dtype, operations, numbers * problem.x.element_size())


def measure_row(row: Row, device: torch.device, ceilings: Ceilings, *, compiled: bool) -> Iterator[Figure]:
    """Check and time the peers of a row: those that compile, or the others."""
    torch_type = torch_dtype(row.dtype)
    problem = moved_problem(row.family.make_problem(row.case, 0), device, torch_type)
    floor = floor_milliseconds(row, problem, ceilings)
    references: dict[str, Any] = {}
    for peer in row.family.peers:
        reason = peer.unfit(row.case, row.mode)
        if peer.compiles != compiled or peer.name == LEFT_OUT or reason == "":
            continue
        figure = Figure(
            row.family.name,
            row.case.label,
            row.dtype,
            row.mode,
            peer.label,
            peer.ours,
            peer.name == row.family.baseline,
            floor=floor,
            remark=reason or "",
        )
        if reason is None:
            try:
                with products_in(row.dtype):
                    _measure_peer(row, peer, problem, device, figure, references)
            except Exception as error:  # whatever stops a peer is reported, and the others go on
                figure.remark = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:150]}"
        yield figure


def _measure_peer(
    row: Row, peer: Peer, problem: Problem, device: torch.device, figure: Figure, references: dict[str, Any]
) -> None:
    training = row.mode == "training"
    with torch.device(device):  # of the layers and states that peers and references make
        if peer.variant not in references:
            references[peer.variant] = row.family.reference(problem, peer.variant, row.mode)
        torch.set_default_dtype(torch_dtype(row.dtype))
        try:
            runner = peer.build(problem)
        finally:
            torch.set_default_dtype(torch.float32)
    try:
        x = runner.arrange(problem.x).requires_grad_(training)
        grad_output = runner.arrange(problem.grad_output)
        inputs = [x, *runner.weights.values()]
        with torch.set_grad_enabled(training), time_limit(COMPILE_SECONDS if peer.compiles else 3600.0):
            errors = relative_errors(_values(runner, x, inputs, grad_output), references[peer.variant])

        def work() -> object:
            if not training:
                return runner.forward(x)
            return torch.autograd.grad(runner.forward(x), inputs, grad_output)

        figure.error = max(errors.values())
        figure.remark = verdict(errors, TOLERANCE[row.dtype]) or ""
        if figure.remark:
            return
        with torch.set_grad_enabled(training):
            milliseconds = median_milliseconds(work, device)
            if device.type == "cuda" and milliseconds < GRAPH_LIMIT:
                replay = captured(work)
                if replay is None:
                    figure.remark = "not captured: the host's own time is in it"
                else:
                    milliseconds, figure.graph = median_milliseconds(replay, device), True
        figure.milliseconds = milliseconds / runner.units
    finally:
        runner.close()


def _values(
    runner: Runner, x: torch.Tensor, inputs: list[torch.Tensor], grad_output: torch.Tensor
) -> dict[str, Any]:
    output = runner.forward(x)
    values = {"output": runner.restore(output.detach())}
    if x.requires_grad:
        grad_x, *gradients = torch.autograd.grad(output, inputs, grad_output)
        values["grad x"] = runner.restore(grad_x)
        values |= {f"grad {name}": value for name, value in zip(runner.weights, gradients, strict=True)}
    return values


def measure(
    plan: Sequence[Row], device: torch.device, ceilings: Ceilings, *, seconds: float, compiling: bool = True
) -> list[Figure]:
    """Measure the rows of `plan` while there is time, and after them what is to be compiled."""
    figures: list[Figure] = []
    begin = time.monotonic()
    for compiled in (False, True) if compiling else (False,):
        for row in plan:
            if time.monotonic() - begin > seconds:
                figures.append(
                    Figure(
                        row.family.name,
                        row.case.label,
                        row.dtype,
                        row.mode,
                        "torch.compile" if compiled else "all",
                        False,
                        False,
                        remark="not measured: the time is up",
                    )
                )
                continue
            for figure in measure_row(row, device, ceilings, compiled=compiled):
                time_text = "" if figure.milliseconds is None else f"{figure.milliseconds:.4g} ms"
                print(*figure.row, figure.name, time_text, figure.remark, flush=True)
                figures.append(figure)
    return figures


def describe(device: torch.device, ceilings: Ceilings) -> dict[str, Any]:
    """Where the figures come from."""
    machine: dict[str, Any] = {"torch": torch.__version__, "seqlight": seqlight.__version__}
    if device.type == "cuda":
        machine |= {
            "device": torch.cuda.get_device_name(device),
            "CUDA": torch.version.cuda,
            "cuDNN": torch.backends.cudnn.version(),
        }
    machine["copy, GB/s"] = round(ceilings.bandwidth / 1e9)
    machine |= {
        f"torch.mm {dtype}, TFLOP/s": round(rate / 1e12, 2) for dtype, rate in ceilings.operations.items()
    }
    return machine


def main() -> None:
    """Measure the plan and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where speed.json and speed.md go")
    parser.add_argument("--seconds", type=float, default=150.0, help="begin no further row after so many")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("torch finds no CUDA device")
    if not seqlight.build_info().get("cuda"):
        parser.error("this build of seqlight has no CUDA kernels: SEQLIGHT_CUDA=1 at build time")
    device = torch.device("cuda")
    ceilings = Ceilings(device)
    figures = measure(PLAN, device, ceilings, seconds=arguments.seconds)
    machine = describe(device, ceilings)
    (arguments.folder / "speed.json").write_text(
        json.dumps({"machine": machine, "figures": as_json(figures)}, indent=1)
    )
    (arguments.folder / "speed.md").write_text(markdown(figures, machine))
    wrong = [figure for figure in figures if figure.ours and figure.milliseconds is None]
    for figure in wrong:
        print("not timed:", *figure.row, figure.name, figure.remark)
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
