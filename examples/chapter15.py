"""Every row of the chapter's table, trained as the book did, beside the book's figure and the limit.

    python examples/chapter15.py                                  # the whole table, three seeds
    python examples/chapter15.py --seeds 0-9                      # ten seeds
    python examples/chapter15.py --rows lstm gru --seeds 0 -o out  # a part of it

The book is Geron, "Hands-On Machine Learning" (2nd ed.), chapter 15: 7,000 series for training and 2,000 for
validation, mean squared error, Adam, batches of 32, 20 epochs. What is reported is the validation error after
the last epoch: one step ahead, or over all ten steps, forecast at the last input. Of several seeds it is the
median, with the quartiles beside it; a row whose median is above the book's figure is marked.

What differs from the book are initial weights. Plain tanh layers start as in Keras, with orthogonal recurrent
weights; ReLU convolutions by He's rule; and all others as torch has them, which gave lower errors than Keras'
for gated and normalised cells and for the linear model. ``--initial-weights keras`` starts every row as the
book did.
Prints the table and writes it as chapter15.md, with the plots chapter15.png and chapter15_epochs.png.
"""

import argparse
import logging
import os
import shlex
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from chapter15_plots import draw_epochs, draw_errors
from chapter15_rows import ROWS, STEPS, Result, above_book, quartiles
from keras_initialization import initialize_as_keras_
from lightning import Callback, LightningModule, Trainer, seed_everything
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from torch import nn
from two_sine_fit import NOISE_VARIANCE, TwoSineFit
from worker_processes import run_side_by_side

from seqlight.data import SyntheticDataModule
from seqlight.experiments import fit
from seqlight.models import NaiveForecaster, WindowForecaster
from seqlight.nn import CausalConv1d


@torch.no_grad()
def initialize_(model: nn.Module, initial_weights: str) -> None:
    """Draw initial weights as ``"keras"`` does, by ``"he"``'s rule for ReLU, or leave ``"torch"``'s."""
    if initial_weights != "torch":
        initialize_as_keras_(model)
    if initial_weights == "he":
        for layer in model.modules():
            if isinstance(layer, CausalConv1d):
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")


@dataclass(frozen=True)
class Task:
    """One seed of one row (its key in ``ROWS``), trained for so many epochs, of so many batches at most."""

    row: str
    seed: int
    epochs: int
    batches: int | None
    initial_weights: str


class ReportEpochs(Callback):
    """Tells ``report`` that another epoch is done."""

    def __init__(self, report: Callable[[], None]) -> None:
        self.report = report

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report."""
        self.report()


def validate(model: WindowForecaster, steps: int) -> float:
    """Return the MSE on the validation series."""
    data = SyntheticDataModule(prediction_length=steps, batch_size=2000)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(accelerator="cpu", enable_checkpointing=False, **quiet)
    (metrics,) = trainer.validate(model, data.val_dataloader(), verbose=False)
    return metrics["val_loss"]


def train(model: WindowForecaster, steps: int, task: Task, report: Callable[[], None]) -> list[float]:
    """Train as the book did and return the validation MSE after each epoch."""
    data = SyntheticDataModule(prediction_length=steps, batch_size=32)
    loader = data.train_dataloader()
    loader.sampler.seed = task.seed  # another order for every seed; the series remain the same
    validation = SyntheticDataModule(prediction_length=steps, batch_size=2000).val_dataloader()
    fitted = fit(
        model,
        (loader, validation),
        epochs=task.epochs,
        batches_per_epoch=task.batches,
        patience=None,
        keep="last",
        gradient_norm=None,
        callbacks=[ReportEpochs(report)],
        accelerator="cpu",
    )
    return list(fitted.val_losses)  # nothing is transformed, so it is the MSE of the forecasts


def run(task: Task, report: Callable[[str], None]) -> Result:
    """Train and evaluate one seed of one row; ``report`` is told the row after each epoch."""
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    row, result, start = ROWS[task.row], Result(task.row), time.process_time()
    for steps in row.trainings:
        seed_everything(task.seed, verbose=False)
        model = row.build(steps)
        initialize_(model, task.initial_weights)
        result.epochs[steps] = train(model, steps, task, lambda: report(task.row))
        result.errors[steps] = result.epochs[steps][-1]
    if row.feeds_back:
        # As in the book, the model of one step ahead, whose series are sampled a little more coarsely (51
        # points where the ten-step series have 60), forecasts these ten steps.
        recursive = row.build(10, strategy="recursive")
        recursive.network.load_state_dict(model.network.state_dict())
        result.errors[10] = validate(recursive, 10)
    if row.forecaster is NaiveForecaster:
        result.errors = {steps: validate(row.build(steps), steps) for steps in row.book}
    result.cpu_seconds = time.process_time() - start
    return result


# The table

HEADER = ("model", "1: book", "ours", "10: book", "ours", "CPU s")


def limits() -> list[list[str]]:
    """Return the rows that no model can pass: the fit of the true form, and the noise."""
    errors = []
    for steps in STEPS:
        data = SyntheticDataModule(prediction_length=steps)
        series = data.drawn.target[data.n_train : data.n_train + data.n_val, :, 0]
        forecast = TwoSineFit(50, steps)(series[:, :50])
        errors.append(float(((forecast - series[:, 50:]) ** 2).mean()))
    one, ten = errors
    return [
        ["least-squares fit of the two sines", "", f"{one:.5f}", "", f"{ten:.5f}", ""],
        ["variance of the noise", "", f"{NOISE_VARIANCE:.5f}", "", f"{NOISE_VARIANCE:.5f}", ""],
    ]


def cells(key: str, results: Sequence[Result]) -> list[str]:
    """Return one row of the table as text; the median is marked where it is above the book's figure."""
    row, cells = ROWS[key], [ROWS[key].title]
    for steps in STEPS:
        if steps not in row.book:
            cells += ["", ""]
            continue
        first, median, third = (f"{error:.4f}" for error in quartiles(Result.of_seeds(results, key, steps)))
        spread = f" ({first} to {third})" if first != third else ""
        above = " above" if above_book(key, steps, results) else ""
        cells.append(" to ".join(f"{figure:.4f}" for figure in row.book[steps]))
        cells.append(median + spread + above)
    seconds = statistics.mean(result.cpu_seconds for result in results if result.row == key)
    return [*cells, f"{seconds:.0f}"]


def summary(keys: Sequence[str], results: Sequence[Result]) -> str:
    """Return a sentence that names the rows whose median is above the book's figure, with both."""
    above = []
    for key in keys:
        for steps in ROWS[key].book:
            if above_book(key, steps, results):
                _, median, _ = quartiles(Result.of_seeds(results, key, steps))
                ahead = "one step" if steps == 1 else f"{steps} steps"
                book = max(ROWS[key].book[steps])
                above.append(f"'{ROWS[key].title}' {ahead} ahead ({median:.4f} against {book:.4f})")
    if not above:
        return "No median is above the book's figure."
    return f"Medians above the book's figure: {'; '.join(above)}."


def table(keys: Sequence[str], results: Sequence[Result], seeds: Sequence[int]) -> Table:
    """Return the table for the terminal."""
    printed = Table(
        *HEADER,
        title=f"Validation MSE, median (quartiles) of {len(seeds)} seed{'s' * (len(seeds) > 1)}",
        caption=f"1: one step ahead; 10: the mean over ten steps; CPU s: processor time of one seed\n"
        f"{summary(keys, results)}",
        caption_justify="left",
    )
    for key in keys:
        printed.add_row(*cells(key, results))
    printed.add_section()
    for limit in limits():
        printed.add_row(*limit)
    return printed


def markdown(keys: Sequence[str], results: Sequence[Result], about: str) -> str:
    """Return the same as Markdown."""
    lines = ["# The chapter's table", "", *about.splitlines(), ""]
    lines += ["| " + " | ".join(HEADER) + " |", "|---|" + "---:|" * (len(HEADER) - 1)]
    rows = [cells(key, results) for key in keys] + limits()
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", summary(keys, results)]) + "\n"


def seeds(text: str) -> list[int]:
    """Return the seeds of one argument: ``7``, or ``0-9`` for ten of them."""
    first, _, last = text.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal() or int(last or first) < int(first):
        raise argparse.ArgumentTypeError(f"expected a number, or a range such as 0-9, got {text!r}")
    return list(range(int(first), int(last or first) + 1))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS)
    )
    parser.add_argument(
        "--seeds",
        nargs="+",
        type=seeds,
        default=[[0, 1, 2]],
        metavar="SEED",
        help="numbers, or ranges such as 0-9; default: 0 1 2",
    )
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batches", type=int, default=None, help="at most so many batches per epoch")
    parser.add_argument(
        "--initial-weights", choices=("torch", "keras", "he"), default=None, help="for every row"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes, one thread each")
    parser.add_argument("-o", "--output", type=Path, default=Path(), help="folder of the table and plots")
    given = parser.parse_args()
    for name in ("epochs", "workers"):
        if getattr(given, name) < 1:
            parser.error(f"--{name}: expected at least 1, got {getattr(given, name)}")
    given.seeds = list(dict.fromkeys(seed for several in given.seeds for seed in several))
    return given


def initial_weights(keys: Sequence[str], given: argparse.Namespace) -> list[str]:
    """Return a line for each way of drawing initial weights, with the rows that begin so."""
    titles: dict[str, list[str]] = {"torch": [], "keras": [], "he": []}
    for key in keys:
        if ROWS[key].trainings:
            titles[given.initial_weights or ROWS[key].initial_weights].append(ROWS[key].title)
    names = {"torch": "as in torch", "keras": "as in Keras", "he": "by He's rule"}
    return [f"- Initial weights {names[way]}: {'; '.join(rows)}." for way, rows in titles.items() if rows]


def main() -> None:
    """Train, print, write."""
    given = arguments()
    given.output.mkdir(parents=True, exist_ok=True)
    console, start = Console(), time.perf_counter()
    keys = [key for key in ROWS if key in given.rows]  # in the table's order
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    ) as progress:
        epochs = {key: len(ROWS[key].trainings) * len(given.seeds) * given.epochs for key in keys}
        bars = {key: progress.add_task(ROWS[key].title, total=epochs[key]) for key in keys if epochs[key]}
        whole = progress.add_task("all epochs", total=sum(epochs.values()))

        def report(key: str) -> None:
            progress.advance(bars[key])
            progress.advance(whole)

        # The later rows take longest; beginning with them leaves no process with a long task at the end.
        tasks = [
            Task(key, seed, given.epochs, given.batches, given.initial_weights or ROWS[key].initial_weights)
            for key in reversed(keys)
            for seed in given.seeds
        ]
        results = run_side_by_side(run, tasks, given.workers, report)
    console.print(table(keys, results, given.seeds))
    minutes, cpu = (time.perf_counter() - start) / 60, sum(result.cpu_seconds for result in results) / 60
    console.print(f"{minutes:.1f} minutes on {given.workers} processes, {cpu:.1f} minutes of processor time")

    about = (
        f"Made by `{shlex.join(['python', 'examples/chapter15.py', *sys.argv[1:]])}` in {minutes:.1f} "
        f"minutes on {given.workers} processes of one thread.\n\n"
        "Validation MSE after the last epoch: median (first to third quartile) of the "
        f"{len(given.seeds)} seeds {', '.join(map(str, given.seeds))}. The book's figures are those of "
        'Geron, "Hands-On Machine Learning" (2nd ed.), chapter 15. 1 is one step ahead, 10 the mean over ten '
        "steps; CPU s is the processor time of one seed.\n\n" + "\n".join(initial_weights(keys, given))
    )
    (given.output / "chapter15.md").write_text(markdown(keys, results, about), encoding="utf-8")
    draw_errors(keys, results).savefig(given.output / "chapter15.png")
    epochs_figure = draw_epochs(keys, results)
    if epochs_figure is not None:
        epochs_figure.savefig(given.output / "chapter15_epochs.png")
    console.print(f"wrote chapter15.md and its plots to {given.output.resolve()}", soft_wrap=True)


if __name__ == "__main__":
    main()
