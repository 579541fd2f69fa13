"""Long memory: the adding problem and the copy memory task, one network after the other, in one table.

    python examples/classic_tasks.py                                           # ten minutes on two cores
    python examples/classic_tasks.py --tasks adding --architectures gru tcn
    python examples/classic_tasks.py --adding-length 200 --steps 1000          # shorter sequences

Both tasks are defined as by Bai, Kolter and Koltun, "An empirical evaluation of generic convolutional and
recurrent networks for sequence modeling" (2018), whose figures the table sets beside ours. Theirs come from
long trainings, ours from as many steps as the table says.
"""

import argparse
import math
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning import Trainer, seed_everything

from seqlight.data import SyntheticDataModule
from seqlight.models import SequenceRegressor, StepClassifier, SupervisedModule

SIGNS = 20  # steps of the copy memory task beside its T steps of pause
TASKS = {"adding": "adding problem", "copy": "copy memory"}


@dataclass(frozen=True)
class Architecture:
    """A network: a core of SequenceRegressor and StepClassifier, and how long it is trained on each task."""

    name: str
    core: str
    hidden_size: int
    steps: dict[str, int]
    lr: dict[str, float]
    options: dict[str, Any] = field(default_factory=dict)
    published: dict[str, float] = field(default_factory=dict)  # test losses of Bai et al., T = 600 and 1,000


GATED: dict[str, Any] = {"lr": {"adding": 1e-2, "copy": 5e-3}, "hidden_size": 64}
CONVOLUTIONAL: dict[str, Any] = {"lr": {"adding": 4e-3, "copy": 4e-3}, "hidden_size": 16}
ARCHITECTURES = {
    "rnn": Architecture(
        "simple RNN",
        "rnn",
        hidden_size=64,
        steps={"adding": 1000, "copy": 500},
        lr={"adding": 1e-3, "copy": 1e-3},
    ),
    "lstm": Architecture(
        "LSTM",
        "lstm",
        steps={"adding": 1500, "copy": 400},
        published={"adding": 0.164, "copy": 0.0204},
        **GATED,
    ),
    "peephole_lstm": Architecture(
        "LSTM, peepholes",
        "lstm",
        steps={"adding": 1500, "copy": 400},
        options={"peephole": True},
        **GATED,
    ),
    "layer_norm_lstm": Architecture(
        "LSTM, layer norm",
        "lstm",
        steps={"adding": 1500, "copy": 400},
        options={"layer_norm": True},
        **GATED,
    ),
    "gru": Architecture(
        "GRU",
        "gru",
        steps={"adding": 2000, "copy": 400},
        published={"adding": 5.3e-5, "copy": 0.0197},
        **GATED,
    ),
    "tcn": Architecture(
        "TCN",
        "tcn",
        steps={"adding": 1000, "copy": 1000},
        options={"num_blocks": 8, "kernel_size": 8},
        published={"adding": 5.8e-5, "copy": 3.5e-5},
        **CONVOLUTIONAL,
    ),
    "wavenet": Architecture(
        "WaveNet",
        "wavenet",
        steps={"adding": 1000, "copy": 600},
        options={"num_blocks": 1, "layers_per_block": 9, "kernel_size": 3},
        **CONVOLUTIONAL,
    ),
}


@dataclass(frozen=True)
class Result:
    """What came of one network on one task."""

    loss: float
    parameters: int
    steps: int
    seconds: float


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--architectures", nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES))
    parser.add_argument("--adding-length", type=int, default=600, help="steps of the adding problem")
    parser.add_argument("--copy-length", type=int, default=1000, help="pause of the copy memory task, T")
    parser.add_argument("--hidden-size", type=int, default=None, help="of every network")
    parser.add_argument("--steps", type=int, default=None, help="optimiser steps of every network")
    parser.add_argument("--lr", type=float, default=None, help="highest learning rate of every network")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--train-series", type=int, default=20_000)
    parser.add_argument("--test-series", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("classic_tasks.md"), help="the table")
    parser.add_argument("--no-progress", action="store_true")
    return parser.parse_args()


def data_module(task: str, given: argparse.Namespace) -> SyntheticDataModule:
    """Return the series of a task."""
    generator = {"adding": "adding_problem", "copy": "copy_memory"}[task]
    length = given.adding_length if task == "adding" else given.copy_length + SIGNS
    return SyntheticDataModule(
        generator,
        context_length=length,
        n_train=given.train_series,
        n_val=1,
        n_test=given.test_series,
        batch_size=given.batch_size,
        seed=given.seed,
    )


def model(
    task: str, architecture: Architecture, data: SyntheticDataModule, given: argparse.Namespace
) -> SupervisedModule:
    """Return a network for a task: a number for the whole sequence, or a class for each step."""
    shared: dict[str, Any] = {
        "input_size": data.target_size,
        "core": architecture.core,
        "hidden_size": given.hidden_size or architecture.hidden_size,
        "core_options": architecture.options,
        "transform": "none",
        "lr": given.lr or architecture.lr[task],
        "lr_schedule": "one_cycle",
    }
    if task == "adding":
        return SequenceRegressor(label_size=data.label_size, **shared)
    return StepClassifier(num_classes=data.num_classes, **shared)


def run(
    task: str, architecture: Architecture, data: SyntheticDataModule, given: argparse.Namespace
) -> Result:
    """Train one network on one task and test it."""
    seed_everything(given.seed, verbose=False)
    network = model(task, architecture, data, given)
    steps = given.steps or architecture.steps[task]
    trainer = Trainer(
        max_steps=steps,
        max_epochs=-1,
        gradient_clip_val=1.0,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=not given.no_progress,
    )
    started = time.perf_counter()
    trainer.fit(network, data)
    seconds = time.perf_counter() - started
    (tested,) = trainer.test(network, data, verbose=False)
    parameters = sum(parameter.numel() for parameter in network.network.parameters())
    return Result(tested["test_loss"], parameters, steps, seconds)


def trivial_loss(task: str, given: argparse.Namespace) -> float:
    """Return the loss of an answer that remembers nothing."""
    if task == "adding":
        return 1 / 6  # the variance of the sum of two numbers, uniform on [0, 1)
    return 10 * math.log(8) / (given.copy_length + SIGNS)


def markdown(results: dict[tuple[str, str], Result], given: argparse.Namespace) -> str:
    """Return the table: one row for each network; loss, the published loss, steps and time for each task."""
    lengths = {"adding": given.adding_length, "copy": given.copy_length}
    published = {task: lengths[task] == {"adding": 600, "copy": 1000}[task] for task in given.tasks}
    head, rows = ["network"], [["remembering nothing"]]
    for task in given.tasks:
        head += [f"{TASKS[task]}, T = {lengths[task]:,}", "published", "parameters", "steps", "time"]
        rows[0] += [f"{trivial_loss(task, given):.4f}", "", "", "", ""]
    for name in given.architectures:
        row = [ARCHITECTURES[name].name]
        for task in given.tasks:
            result = results[task, name]
            theirs = ARCHITECTURES[name].published.get(task) if published[task] else None
            row += [f"{result.loss:.2g}", "" if theirs is None else f"{theirs:.3g}"]
            row += [f"{result.parameters:,}", f"{result.steps:,}", f"{result.seconds:.0f} s"]
        rows.append(row)
    align = ["---"] + ["---:"] * (len(head) - 1)
    lines = ["| " + " | ".join(row) + " |" for row in [head, align, *rows]]
    note = (
        "Test losses: mean squared error of the adding problem, cross entropy over all steps of the copy\n"
        "memory task. Published: Bai, Kolter and Koltun 2018, from networks of 70,000 and 16,000\nparameters."
    )
    return "\n".join([*lines, "", note, ""])


def main() -> None:
    """Train every network on every task, and write the table."""
    given = arguments()
    warnings.filterwarnings("ignore", ".*does not have many workers")
    results = {}
    for task in given.tasks:
        data = data_module(task, given)
        for name in given.architectures:
            result = results[task, name] = run(task, ARCHITECTURES[name], data, given)
            print(
                f"{TASKS[task]}, {ARCHITECTURES[name].name}: {result.loss:.3g} (remembering nothing: "
                f"{trivial_loss(task, given):.3g}), {result.steps} steps in {result.seconds:.0f} s",
                flush=True,
            )
    table = markdown(results, given)
    given.out.write_text(table, encoding="utf-8")
    print(f"\n{table}\nwrote {given.out}")


if __name__ == "__main__":
    main()
