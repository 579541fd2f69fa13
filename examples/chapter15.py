"""Every row of the chapter's table, trained as the book did, beside the book's figure and the limit.

    python examples/chapter15.py                                  # the whole table, three seeds
    python examples/chapter15.py --rows lstm gru --seeds 0 -o out  # a part of it

The book is Geron, "Hands-On Machine Learning" (2nd ed.), chapter 15: 7,000 series for training and 2,000 for
validation, mean squared error, Adam, batches of 32, 20 epochs. What is reported is the validation error after
the last epoch: one step ahead, or over all ten steps, forecast at the last input.

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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from keras_initialization import initialize_as_keras_
from lightning import Callback, LightningModule, Trainer, seed_everything
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, StrMethodFormatter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from torch import nn
from two_sine_fit import NOISE_VARIANCE, TwoSineFit
from worker_processes import run_side_by_side

from seqlight.data import SyntheticDataModule
from seqlight.models import (
    ConvGRUForecaster,
    Forecaster,
    GRUForecaster,
    LinearForecaster,
    LSTMForecaster,
    NaiveForecaster,
    RNNForecaster,
    SequenceNetwork,
    WaveNetForecaster,
)
from seqlight.nn import RNN, CausalConv1d

STEPS = (1, 10)
"""The table's two columns: one step ahead and ten."""


class SingleUnitForecaster(Forecaster):
    """The chapter's simplest recurrent network: one unit, whose state is the forecast."""

    def build_network(self) -> nn.Module:
        """Return a recurrent layer with one unit per output, and nothing after it."""
        layer = RNN(self.input_size, self.output_size)
        return SequenceNetwork(layer, nn.Identity(), last_only=self.strategy.sequence_to_vector)


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        title: its name in the table.
        forecaster: the class of the model.
        book: the book's figure by steps ahead; the lowest and highest where its last epochs swing.
        options: arguments of the model.
        feeds_back: whether ten steps are forecast by the model of one step ahead, which is fed its forecasts,
            rather than by a model of their own.
        initial_weights: ``"torch"``, ``"keras"`` or ``"he"``, see ``initialize_``.
    """

    title: str
    forecaster: type[Forecaster]
    book: dict[int, tuple[float, ...]]
    options: dict[str, Any] = field(default_factory=dict)
    feeds_back: bool = False
    initial_weights: str = "torch"

    @property
    def trainings(self) -> list[int]:
        """The steps ahead that models are trained for."""
        if self.forecaster is NaiveForecaster:
            return []
        return [steps for steps in self.book if not (self.feeds_back and steps == 10)]

    def build(self, steps: int, **options: Any) -> Forecaster:
        """Return an untrained model that forecasts ``steps`` steps ahead."""
        sizes = {"context_length": 50, "prediction_length": steps}
        if self.forecaster is NaiveForecaster:
            return NaiveForecaster(**sizes)
        # The chapter scales nothing: its series are between -1 and 1 already.
        return self.forecaster(**sizes, **({"transform": "none"} | self.options | options))


DEEP: dict[str, Any] = {"hidden_size": 20, "num_layers": 2}
EVERY_STEP: dict[str, Any] = DEEP | {"strategy": "every_step"}

ROWS = {
    "naive": Row("naive", NaiveForecaster, {1: (0.0202,), 10: (0.2570,)}),
    "linear": Row("linear", LinearForecaster, {1: (0.0042,), 10: (0.0187,)}),
    "simple_rnn": Row(
        "simple RNN, 1 unit", SingleUnitForecaster, {1: (0.0109,)}, {"lr": 5e-3}, initial_weights="keras"
    ),
    "all_recurrent": Row(
        "deep RNN 20-20-1, all recurrent",
        RNNForecaster,
        {1: (0.0029,)},
        DEEP | {"recurrent_output": True},
        initial_weights="keras",
    ),
    "deep_rnn": Row(
        "deep RNN 20-20, linear output; recursive",
        RNNForecaster,
        {1: (0.0026,), 10: (0.0275,)},
        DEEP,
        feeds_back=True,
        initial_weights="keras",
    ),
    "direct": Row("deep RNN 20-20, direct", RNNForecaster, {10: (0.0085,)}, DEEP, initial_weights="keras"),
    "every_step": Row(
        "deep RNN 20-20, every step",
        RNNForecaster,
        {10: (0.0058, 0.0096)},
        EVERY_STEP | {"lr": 1e-2},
        initial_weights="keras",
    ),
    "batch_norm": Row(
        "the same, batch norm between", RNNForecaster, {10: (0.0164,)}, EVERY_STEP | {"batch_norm": True}
    ),
    "layer_norm": Row(
        "layer-norm RNN 20-20", RNNForecaster, {10: (0.0121,)}, EVERY_STEP | {"layer_norm": True}
    ),
    "lstm": Row("LSTM 20-20", LSTMForecaster, {10: (0.0086,)}, EVERY_STEP),
    "gru": Row("GRU 20-20", GRUForecaster, {10: (0.0103,)}, EVERY_STEP),
    "conv_gru": Row(
        "Conv1D(20, 4, stride 2), GRU 20-20",
        ConvGRUForecaster,
        {10: (0.0080,)},
        EVERY_STEP | {"filters": 20, "kernel_size": 4, "stride": 2},
    ),
    "wavenet": Row(
        "simple WaveNet",
        WaveNetForecaster,
        {10: (0.0072,)},
        {
            "hidden_size": 20,
            "num_blocks": 2,
            "layers_per_block": 4,
            "kernel_size": 2,
            "gated": False,
            "strategy": "every_step",
        },
        initial_weights="he",
    ),
}


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


@dataclass
class Result:
    """What one seed of one row came to.

    Attributes:
        row: key in ``ROWS``.
        errors: validation MSE by steps ahead.
        epochs: the same after each epoch of training.
        cpu_seconds: processor time that it took.
    """

    row: str
    errors: dict[int, float] = field(default_factory=dict)
    epochs: dict[int, list[float]] = field(default_factory=dict)
    cpu_seconds: float = 0.0


class EpochErrors(Callback):
    """Keeps the validation error after each epoch, and tells ``report`` that another one is done."""

    def __init__(self, report: Callable[[], None]) -> None:
        self.errors: list[float] = []
        self.report = report

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take down ``val_loss``: nothing is transformed, so it is the MSE of the forecasts."""
        self.errors.append(float(trainer.callback_metrics["val_loss"]))
        self.report()


def quiet_trainer(**options: Any) -> Trainer:
    """Return a Trainer that does nothing beside training: steps are a millisecond or two."""
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )


def validate(model: Forecaster, steps: int) -> float:
    """Return the MSE on the validation series."""
    data = SyntheticDataModule(prediction_length=steps, batch_size=2000)
    (metrics,) = quiet_trainer().validate(model, data.val_dataloader(), verbose=False)
    return metrics["val_loss"]


def train(model: Forecaster, steps: int, task: Task, report: Callable[[], None]) -> list[float]:
    """Train as the book did and return the validation MSE after each epoch."""
    data = SyntheticDataModule(prediction_length=steps, batch_size=32)
    loader = data.train_dataloader()
    loader.sampler.seed = task.seed  # another order for every seed; the series remain the same
    validation = SyntheticDataModule(prediction_length=steps, batch_size=2000).val_dataloader()
    errors = EpochErrors(report)
    trainer = quiet_trainer(max_epochs=task.epochs, limit_train_batches=task.batches, callbacks=[errors])
    trainer.fit(model, loader, validation)
    return errors.errors


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


def cells(key: str, results: Sequence[Result], *, ranges: bool) -> list[str]:
    """Return one row of the table as text; the median is marked where it is above the book's figure."""
    row, cells = ROWS[key], [ROWS[key].title]
    mine = [result for result in results if result.row == key]
    for steps in STEPS:
        if steps not in row.book:
            cells += ["", ""]
            continue
        errors = [result.errors[steps] for result in mine]
        median = f"{statistics.median(errors):.4f}"
        lowest, highest = f"{min(errors):.4f}", f"{max(errors):.4f}"
        spread = f" ({lowest} to {highest})" if ranges and lowest != highest else ""
        # Compared as they are printed, in four digits.
        above = " above" if float(median) > max(row.book[steps]) else ""
        cells.append(" to ".join(f"{figure:.4f}" for figure in row.book[steps]))
        cells.append(median + spread + above)
    return [*cells, f"{statistics.mean(result.cpu_seconds for result in mine):.0f}"]


def table(keys: Sequence[str], results: Sequence[Result]) -> Table:
    """Return the table for the terminal."""
    printed = Table(
        *HEADER,
        title="Validation MSE, median of the seeds",
        caption="1: one step ahead; 10: the mean over ten steps; CPU s: processor time of one seed",
    )
    for key in keys:
        printed.add_row(*cells(key, results, ranges=False))
    printed.add_section()
    for limit in limits():
        printed.add_row(*limit)
    return printed


def markdown(keys: Sequence[str], results: Sequence[Result], about: str) -> str:
    """Return the same as Markdown."""
    lines = ["# The chapter's table", "", *about.splitlines(), ""]
    lines += ["| " + " | ".join(HEADER) + " |", "|---|" + "---:|" * (len(HEADER) - 1)]
    rows = [cells(key, results, ranges=True) for key in keys] + limits()
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


# The plots

OURS, BOOK, LIMIT, TEXT, GRID = "#1f5fa8", "#d9730d", "#6b6b6b", "#444444", "#e6e6e6"


def bare(ax: Any) -> None:
    """Take away what the eye need not see."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#bbbbbb")
    ax.tick_params(labelsize=8, colors=TEXT, length=3)
    ax.grid(True, which="major", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)


def draw_errors(keys: Sequence[str], results: Sequence[Result]) -> Figure:
    """One panel per column of the table: the book's figure, ours of every seed, and the noise."""
    columns = [(steps, [key for key in keys if steps in ROWS[key].book]) for steps in STEPS]
    columns = [(steps, rows) for steps, rows in columns if rows]
    heights = [len(rows) + 1.2 for _, rows in columns]
    figure = Figure(figsize=(9.5, 1.6 + 0.34 * sum(heights)), dpi=150, layout="constrained")
    axes = figure.subplots(
        len(columns), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    for ax, (steps, rows) in zip(axes, columns, strict=True):
        bare(ax)
        ax.grid(False, axis="y")
        for place, key in enumerate(rows):
            errors = [result.errors[steps] for result in results if result.row == key]
            book = ROWS[key].book[steps]
            ax.plot(book, [place] * len(book), color=BOOK, linewidth=2.0, zorder=2)
            ax.plot(book, [place] * len(book), "D", color=BOOK, mfc="white", markersize=7, zorder=3)
            ax.plot(errors, [place] * len(errors), "o", color=OURS, markersize=5, alpha=0.75, zorder=4)
        ax.axvline(NOISE_VARIANCE, color=LIMIT, linewidth=1.2, linestyle="--")
        ax.annotate(
            "noise", (NOISE_VARIANCE, 1.0), xycoords=("data", "axes fraction"), xytext=(4, -10),
            textcoords="offset points", fontsize=8, color=LIMIT,
        )  # fmt: skip
        ax.set_yticks(range(len(rows)), [ROWS[key].title for key in rows])
        ax.set_ylim(len(rows) - 0.4, -0.8)
        ax.set_xscale("log")
        ahead = "one step ahead" if steps == 1 else f"{steps} steps ahead, mean over all"
        ax.set_title(ahead, loc="left", fontsize=10, fontweight="bold", color=TEXT)
    axes[-1].xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes[-1].xaxis.set_minor_formatter(NullFormatter())
    axes[-1].set_xlabel("validation MSE", fontsize=9, color=TEXT)
    axes[0].plot([], [], "D", color=BOOK, mfc="white", label="the book")
    axes[0].plot([], [], "o", color=OURS, label="ours, each seed")
    figure.legend(loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    return figure


def draw_epochs(keys: Sequence[str], results: Sequence[Result]) -> Figure | None:
    """One panel per training: the validation error by epoch; None if nothing was trained."""
    panels = [(key, steps) for key in keys for steps in ROWS[key].trainings]
    if not panels:
        return None
    width = min(4, len(panels))
    height = -(-len(panels) // width)
    figure = Figure(figsize=(3.0 * width + 0.6, 2.2 * height + 0.4), dpi=150, layout="constrained")
    axes = figure.subplots(height, width, squeeze=False, sharey=True).flatten()
    for ax, (key, steps) in zip(axes, panels, strict=False):
        bare(ax)
        for result in results:
            if result.row == key:
                errors = result.epochs[steps]
                ax.plot(range(1, len(errors) + 1), errors, color=OURS, linewidth=1.2, alpha=0.75)
        for figure_of_book in ROWS[key].book[steps]:
            ax.axhline(figure_of_book, color=BOOK, linewidth=1.2)
        ax.axhline(NOISE_VARIANCE, color=LIMIT, linewidth=1.0, linestyle="--")
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
        title = ROWS[key].title.partition(";")[0]
        ahead = "one step ahead" if steps == 1 else f"{steps} steps ahead"
        ax.set_title(f"{title}\n{ahead}", loc="left", fontsize=8, color=TEXT)
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    figure.supxlabel("epoch", fontsize=9, color=TEXT)
    figure.supylabel("validation MSE", fontsize=9, color=TEXT)
    lines = [
        Line2D([], [], color=OURS, label="ours, each seed"),
        Line2D([], [], color=BOOK, label="the book after its last epoch"),
        Line2D([], [], color=LIMIT, linestyle="--", label="variance of the noise"),
    ]
    figure.legend(handles=lines, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS)
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
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
    console.print(table(keys, results))
    minutes, cpu = (time.perf_counter() - start) / 60, sum(result.cpu_seconds for result in results) / 60
    console.print(f"{minutes:.1f} minutes on {given.workers} processes, {cpu:.1f} minutes of processor time")

    about = (
        f"Made by `{shlex.join(['python', 'examples/chapter15.py', *sys.argv[1:]])}` in {minutes:.1f} "
        f"minutes on {given.workers} processes of one thread.\n\n"
        "Validation MSE after the last epoch: median (lowest to highest) of the seeds "
        f"{', '.join(map(str, given.seeds))}. The book's figures are those of Geron, "
        '"Hands-On Machine Learning" (2nd ed.), chapter 15. 1 is one step ahead, 10 the mean over ten steps; '
        "CPU s is the processor time of one seed.\n\n" + "\n".join(initial_weights(keys, given))
    )
    (given.output / "chapter15.md").write_text(markdown(keys, results, about), encoding="utf-8")
    draw_errors(keys, results).savefig(given.output / "chapter15.png")
    epochs_figure = draw_epochs(keys, results)
    if epochs_figure is not None:
        epochs_figure.savefig(given.output / "chapter15_epochs.png")
    console.print(f"wrote chapter15.md and its plots to {given.output.resolve()}", soft_wrap=True)


if __name__ == "__main__":
    main()
