"""Long memory: the adding problem and the copy memory task, every architecture, in one table.

    python examples/classic_tasks.py                                           # twenty minutes on two cores
    python examples/classic_tasks.py --tasks adding --architectures gru tcn
    python examples/classic_tasks.py --adding-length 200 --epochs 10           # shorter sequences
    python examples/classic_tasks.py --tasks adding --fixed-length             # what growing lengths are for

Both tasks are defined as by Bai, Kolter and Koltun, "An empirical evaluation of generic convolutional and
recurrent networks for sequence modeling" (2018), whose figures the table sets beside ours.

Training begins with short sequences and doubles their length until it is T. In long ones the error says next
to nothing about which of so many steps matter: trained on nothing else (``--fixed-length``), most networks
stay where remembering nothing has brought them. Every epoch draws new series; test and validation series have
the whole length. The table comes with a plot of the same name, the validation loss after each epoch.
"""

import argparse
import logging
import math
import os
import shlex
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lightning import Callback, LightningDataModule, LightningModule, Trainer, seed_everything
from worker_processes import run_side_by_side

from seqlight import plot
from seqlight.data import SyntheticDataModule
from seqlight.experiments import fit
from seqlight.models import SequenceRegressor, StepClassifier, SupervisedModule


@dataclass(frozen=True)
class Task:
    """A task: its generator, and how its series grow.

    Attributes:
        title: its name in the table.
        generator: its name in ``SyntheticDataModule``.
        length: T of the published figures.
        shortest: T of the first epoch.
        signs: steps of a sequence beside T.
    """

    title: str
    generator: str
    length: int
    shortest: int
    signs: int = 0


TASKS = {
    "adding": Task("Adding problem", "adding_problem", length=600, shortest=10),
    "copy": Task("Copy memory", "copy_memory", length=1000, shortest=1, signs=20),
}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained on a task.

    Attributes:
        epochs: of 250 steps each.
        lr: highest learning rate of a one-cycle schedule.
        first: epochs with the shortest sequences, before they begin to grow; 0 for sequences of the whole
            length from the beginning.
        each: epochs of each length after that, until it is T.
    """

    epochs: int
    lr: float
    first: int = 1
    each: int = 1

    def lengths(self, shortest: int, longest: int, epochs: int) -> list[int]:
        """Return T for each epoch: first the shortest, then twice as much each time, up to the longest."""
        doubled = [max(0, 1 + (epoch - self.first) // self.each) for epoch in range(epochs)]
        return [min(shortest * 2**times, longest) if self.first else longest for times in doubled]


@dataclass(frozen=True)
class Architecture:
    """A network: a core of SequenceRegressor and StepClassifier, and how it is trained on each task.

    Attributes:
        title: its name in the table.
        core: the layer's name.
        hidden_size: its units or channels.
        recipes: by task.
        options: further arguments of the layer.
        published: test losses of Bai et al. by task.
    """

    title: str
    core: str
    hidden_size: int
    recipes: dict[str, Recipe]
    options: dict[str, Any] = field(default_factory=dict)
    published: dict[str, float] = field(default_factory=dict)


GATED = {"adding": Recipe(20, 1e-2), "copy": Recipe(48, 8e-3, first=24, each=2)}
LSTM: dict[str, Any] = {"recurrent_init": "orthogonal", "forget_bias": 3.0}
ARCHITECTURES = {
    "rnn": Architecture(
        "simple RNN",
        "rnn",
        64,
        {"adding": Recipe(16, 1e-3), "copy": Recipe(48, 1e-3, first=24, each=2)},
        {"recurrent_init": "orthogonal"},
    ),
    "lstm": Architecture("LSTM", "lstm", 64, GATED, LSTM, {"adding": 0.164, "copy": 0.0204}),
    "peephole_lstm": Architecture("LSTM, peepholes", "lstm", 64, GATED, LSTM | {"peephole": True}),
    "layer_norm_lstm": Architecture("LSTM, layer norm", "lstm", 64, GATED, LSTM | {"layer_norm": True}),
    "gru": Architecture(
        "GRU", "gru", 64, GATED, {"recurrent_init": "orthogonal"}, {"adding": 5.3e-5, "copy": 0.0197}
    ),
    "tcn": Architecture(
        "TCN",
        "tcn",
        24,
        {"adding": Recipe(32, 4e-3, first=2, each=2), "copy": Recipe(8, 4e-3, first=0)},
        {"num_blocks": 8, "kernel_size": 8},
        {"adding": 5.8e-5, "copy": 3.5e-5},
    ),
    "wavenet": Architecture(
        "WaveNet",
        "wavenet",
        16,
        {"adding": Recipe(32, 4e-3, first=2, each=2), "copy": Recipe(20, 4e-3)},
        {"num_blocks": 1, "layers_per_block": 8, "kernel_size": 8},
    ),
}


@dataclass(frozen=True)
class Job:
    """One network to be trained on one task, by their keys."""

    task: str
    architecture: str
    given: argparse.Namespace

    @property
    def length(self) -> int:
        """T."""
        return int(getattr(self.given, f"{self.task}_length"))

    @property
    def recipe(self) -> Recipe:
        """How it is trained, but for what the command line says."""
        return ARCHITECTURES[self.architecture].recipes[self.task]

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return self.given.epochs or self.recipe.epochs

    @property
    def lengths(self) -> list[int]:
        """T of each epoch."""
        recipe = replace(self.recipe, first=0) if self.given.fixed_length else self.recipe
        return recipe.lengths(TASKS[self.task].shortest, self.length, self.epochs)

    @property
    def title(self) -> str:
        """Task and network."""
        return f"{TASKS[self.task].title}, {ARCHITECTURES[self.architecture].title}"


@dataclass(frozen=True)
class Result:
    """What came of a job: the test loss, the validation loss after each epoch, and the time it took."""

    job: Job
    loss: float
    epochs: list[float]
    parameters: int
    cpu_seconds: float


class GrowingSeries(LightningDataModule):
    """New series for every epoch, of its own length; whole ones for validation and test."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job
        self.whole = self._drawn(job.length, seed=0, n_val=200, n_test=job.given.test_series)

    def train_dataloader(self) -> Any:
        """Return the batches of the epoch that begins; the Trainer asks anew before each."""
        epoch = self.trainer.current_epoch if self.trainer else 0
        n_train = self.job.given.epoch_steps * self.job.given.batch_size
        return self._drawn(self.job.lengths[epoch], seed=epoch + 1, n_train=n_train).train_dataloader()

    def val_dataloader(self) -> Any:
        """Return series of the whole length."""
        return self.whole.val_dataloader()

    def test_dataloader(self) -> Any:
        """Return other series of the whole length."""
        return self.whole.test_dataloader()

    def _drawn(self, length: int, seed: int, **numbers: int) -> SyntheticDataModule:
        task, given = TASKS[self.job.task], self.job.given
        return SyntheticDataModule(
            task.generator,
            context_length=length + task.signs,
            batch_size=given.batch_size,
            seed=10_000 * given.seed + seed,
            **({"n_train": 1, "n_val": 1, "n_test": 1} | numbers),
        )


class EpochLosses(Callback):
    """Keeps the validation loss after each epoch, and tells ``report`` that another one is done."""

    def __init__(self, report: Callable[[float], None]) -> None:
        self.losses: list[float] = []
        self.report = report

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take down ``val_loss``."""
        self.losses.append(float(trainer.callback_metrics["val_loss"]))
        self.report(self.losses[-1])


def model(job: Job, data: SyntheticDataModule) -> SupervisedModule:
    """Return a network for a task: a number for the whole sequence, or a class for each step."""
    architecture, given = ARCHITECTURES[job.architecture], job.given
    shared: dict[str, Any] = {
        "input_size": data.target_size,
        "core": architecture.core,
        "hidden_size": given.hidden_size or architecture.hidden_size,
        "core_options": architecture.options,
        "transform": "none",
        "lr": given.lr or job.recipe.lr,
        "lr_schedule": "one_cycle",
    }
    if data.num_classes:
        return StepClassifier(num_classes=data.num_classes, **shared)
    return SequenceRegressor(label_size=data.label_size, **shared)


def run(job: Job, report: Callable[[str], None]) -> Result:
    """Train one network on one task and test it; ``report`` is told what came of each epoch."""
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    start = time.process_time()
    seed_everything(job.given.seed, verbose=False)
    data = GrowingSeries(job)
    network = model(job, data.whole)

    def tell(loss: float) -> None:
        epoch = len(losses.losses)
        trained = job.lengths[epoch - 1]
        report(f"{job.title}: epoch {epoch} of {job.epochs}, trained at T = {trained}, val_loss {loss:.3g}")

    losses = EpochLosses(tell)
    fit(
        network,
        data,
        epochs=job.epochs,
        batches_per_epoch=job.given.epoch_steps,
        patience=None,
        keep="last",
        callbacks=[losses],
        accelerator="cpu",
        reload_dataloaders_every_n_epochs=1,
    )
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(accelerator="cpu", enable_checkpointing=False, **quiet)
    (tested,) = trainer.test(network, data, verbose=False)
    parameters = sum(parameter.numel() for parameter in network.network.parameters())
    return Result(job, tested["test_loss"], losses.losses, parameters, time.process_time() - start)


def trivial_loss(task: str, length: int) -> float:
    """Return the loss of an answer that remembers nothing."""
    if task == "adding":
        return 1 / 6  # the variance of the sum of two numbers, uniform on [0, 1)
    return 10 * math.log(8) / (length + TASKS[task].signs)


HEADER = ("network", "parameters", "steps", "highest lr", "CPU s", "test loss", "published")


def markdown(results: list[Result], given: argparse.Namespace, about: str) -> str:
    """Return one table for each task, with a row for each network."""
    lines = ["# The adding problem and copy memory", "", *about.splitlines()]
    for key in given.tasks:
        task, mine = TASKS[key], [result for result in results if result.job.task == key]
        length = mine[0].job.length
        rows = [["remembering nothing", "", "", "", "", f"{trivial_loss(key, length):.4f}", ""]]
        for result in mine:
            job, architecture = result.job, ARCHITECTURES[result.job.architecture]
            theirs = architecture.published.get(key) if length == task.length else None
            rows.append(
                [
                    architecture.title,
                    f"{result.parameters:,}",
                    f"{job.epochs * given.epoch_steps:,}",
                    f"{given.lr or job.recipe.lr:g}",
                    f"{result.cpu_seconds:.0f}",
                    f"{result.loss:.2g}",
                    "" if theirs is None else f"{theirs:.3g}",
                ]
            )
        align = ["---"] + ["---:"] * (len(HEADER) - 1)
        lines += ["", f"## {task.title}, T = {length:,}", ""]
        lines += ["| " + " | ".join(row) + " |" for row in [HEADER, align, *rows]]
    return "\n".join([*lines, ""])


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--architectures", nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES))
    for key, task in TASKS.items():
        parser.add_argument(
            f"--{key}-length", type=int, default=task.length, help=f"T of {task.title.lower()}"
        )
    parser.add_argument("--fixed-length", action="store_true", help="train on sequences of the whole length")
    parser.add_argument("--hidden-size", type=int, default=None, help="of every network")
    parser.add_argument("--epochs", type=int, default=None, help="of every network")
    parser.add_argument("--epoch-steps", type=int, default=250, help="optimiser steps of an epoch")
    parser.add_argument("--lr", type=float, default=None, help="highest learning rate of every network")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--test-series", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes, one thread each")
    parser.add_argument("--out", type=Path, default=Path("classic_tasks.md"), help="the table")
    return parser.parse_args()


def main() -> None:
    """Train every network on every task, and write the table and the plot."""
    given, start = arguments(), time.perf_counter()
    jobs = [Job(task, name, given) for task in given.tasks for name in given.architectures]
    # The last ones take longest; beginning with them leaves no process with a long one at the end.
    results = run_side_by_side(run, jobs[::-1], given.workers, lambda line: print(line, flush=True))[::-1]
    minutes = (time.perf_counter() - start) / 60
    about = (
        f"Made by `{shlex.join(['python', 'examples/classic_tasks.py', *sys.argv[1:]])}` in {minutes:.0f} "
        f"minutes on {given.workers} processes of one thread.\n\n"
        "Test loss: mean squared error of the adding problem, cross entropy over all steps of copy memory.\n"
        "Published: Bai, Kolter and Koltun 2018, networks of about 70,000 and 16,000 parameters, trained on\n"
        f"the whole length alone. Ours: Adam, batches of {given.batch_size}, one-cycle schedule"
        + (".\n" if given.fixed_length else ", lengths that double up to T (TCN on copy memory: T alone).\n")
        + "CPU s is the processor time of a row, training and evaluation."
    )
    table = markdown(results, given, about)
    given.out.write_text(table, encoding="utf-8")
    panels = {
        f"{TASKS[key].title}, T = {getattr(given, f'{key}_length'):,}": {
            ARCHITECTURES[result.job.architecture].title: result.epochs
            for result in results
            if result.job.task == key
        }
        for key in given.tasks
    }
    figure = plot.lines(
        panels,
        title="Validation loss at the whole length",
        x_label=f"epoch ({given.epoch_steps} steps)",
        log=True,
        first_step=1,
    )
    figure.savefig(given.out.with_suffix(".png"))
    print(f"\n{table}\nwrote {given.out} and its plot")


if __name__ == "__main__":
    main()
