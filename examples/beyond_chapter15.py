"""How far below the chapter's errors one recipe gets, on the chapter's own 7,000 training series.

    python examples/beyond_chapter15.py            # under five minutes on two cores
    python examples/beyond_chapter15.py --epochs 20 -o out

Two models are trained at the same time, each by a process of its own: one on the series for ten steps ahead,
one on those for one step ahead. The chapter's best model leaves an error five times that of the least-squares
fit, which is told the form of the series; these two networks, which are not, come close to it. What does it:

- **An LSTM of 64-64 units that forecasts at every step**, from orthogonal recurrent weights and with a forget
  gate that is open at first; AdamW, one cycle of the learning rate, clipped gradients.
- **Each error is weighed by how small it can be.** A forecast made from 3 inputs errs a hundred times as much
  as one made from 50, whatever the network does, and in a plain mean over all steps its noise drowns what is
  left to be learnt at the end. If errors are Gaussian, with an unknown variance for each input step and each
  step ahead, the most likely weights minimise the mean over all these of the logarithm of the mean squared
  error; that is the loss here.
- **Symmetries of the series.** Upside down, or backward in time and upside down, a sum of sines of random
  phases is another one of its kind; so each series is shown in four forms.

Nothing but the training series is trained on. The recipe was chosen by the validation series; the test
series are evaluated once, at the end. Prints the table, writes beyond_chapter15.md and beyond_chapter15.png.
"""

import argparse
import logging
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from keras_initialization import initialize_as_keras_
from lightning import Callback, LightningModule, Trainer, seed_everything
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from torch import Tensor, nn
from two_sine_fit import NOISE_VARIANCE, TwoSineFit
from worker_processes import run_side_by_side

from seqlight.data import SyntheticDataModule
from seqlight.experiments import fit
from seqlight.models import LSTMForecaster
from seqlight.strategies import EveryStepStrategy, PointwiseLoss, Window, output_steps, run_network

CONTEXT = 50
BOOK = {1: 0.0026, 10: 0.0058}
"""The lowest errors in the chapter, on the validation series, by steps ahead."""

TITLES = {1: "one step ahead", 10: "ten steps ahead"}


class WeighedEveryStepStrategy(EveryStepStrategy):
    """Every step, with the mean logarithm of the mean squared errors for a loss.

    For input step t and h steps ahead: loss = mean over t and h of log(mean over the batch of e_th^2). The
    series have no missing cells, so none are looked for.
    """

    def loss(
        self, network: nn.Module, window: Window, future: Tensor, pointwise: PointwiseLoss
    ) -> tuple[Tensor, Tensor]:
        """Return the sum of the logarithms and their number."""
        inputs = window.inputs()
        output, _ = run_network(network, inputs, None, self.output_size, window)
        steps = output_steps(network, inputs.shape[1], output.shape[1])
        preds = output.unflatten(2, (self.horizon, self.target_size))
        errors = pointwise(preds, self.targets(window.past, future, steps)).mean(0)  # [T, horizon, C]
        return errors.log().sum(), torch.tensor(float(errors.numel()))


class WeighedForecaster(LSTMForecaster):
    """An LSTM trained by :class:`WeighedEveryStepStrategy` on series in four forms."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strategy="every_step", **kwargs)
        self.strategy = WeighedEveryStepStrategy(self.target_size, self.prediction_length)

    def on_after_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int) -> dict[str, Tensor]:
        """Turn each training series upside down, or backward and upside down, or both, or neither."""
        if not self.trainer.training:
            return batch
        series = torch.cat([batch["past_target"], batch["future_target"]], dim=1)
        upside_down, backward = torch.rand(2, len(series), 1, 1, device=series.device) < 0.5
        series = torch.where(upside_down, -series, series)
        # sin(w (1 - t - o)) = -sin(w (t - (1 - o))): exactly what an offset of 1 - o gives, upside down.
        series = torch.where(backward, -series.flip(1), series)
        past, future = series.split([self.context_length, self.prediction_length], dim=1)
        return batch | {"past_target": past, "future_target": future}


@dataclass(frozen=True)
class Task:
    """What one process is told to do: train for ``steps`` steps ahead."""

    steps: int
    seed: int
    epochs: int
    batches: int | None
    options: dict[str, Any]
    batch_size: int


@dataclass(frozen=True)
class Outcome:
    """What it came to.

    Attributes:
        steps: steps ahead.
        errors: squared errors [series, steps] by "val" and "test".
        forecasts: forecasts [series, steps] of the test series.
        cpu_seconds: processor time.
    """

    steps: int
    errors: dict[str, np.ndarray]
    forecasts: np.ndarray
    cpu_seconds: float


class ReportEpochs(Callback):
    """Tells ``report`` after each epoch the steps ahead, the epoch and the last validation error."""

    def __init__(self, report: Callable[[tuple[int, int, float]], None]) -> None:
        self.report = report

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report; an epoch without validation has the error of the last one that had."""
        error = float(trainer.callback_metrics.get("val_loss", torch.nan))
        self.report((pl_module.prediction_length, trainer.current_epoch + 1, error))


def run(task: Task, report: Callable[[tuple[int, int, float]], None]) -> Outcome:
    """Train one model and forecast the validation and test series."""
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    start = time.process_time()
    seed_everything(task.seed, verbose=False)
    data = SyntheticDataModule(prediction_length=task.steps, batch_size=task.batch_size)
    # One batch of all validation series: nothing is learnt from them, so it makes no difference but in time.
    evaluated = SyntheticDataModule(prediction_length=task.steps, batch_size=2000)
    model = WeighedForecaster(
        context_length=CONTEXT, prediction_length=task.steps, transform="none", **task.options
    )
    initialize_as_keras_(model)  # orthogonal recurrent weights, forget gates open at first
    model = fit(
        model,
        (data.train_dataloader(), evaluated.val_dataloader()),
        epochs=task.epochs,
        batches_per_epoch=task.batches,
        patience=None,
        keep="last",
        callbacks=[ReportEpochs(report)],
        accelerator="cpu",
        check_val_every_n_epoch=min(5, task.epochs),
    ).model
    forecasts, errors = {}, {}
    for part, loader in (("val", evaluated.val_dataloader()), ("test", evaluated.test_dataloader())):
        predicted = [model.predict(batch).point[:, :, 0] for batch in loader]
        forecasts[part] = torch.cat(predicted).numpy()
        errors[part] = (forecasts[part] - series_of(part, task.steps)[:, CONTEXT:]) ** 2
    return Outcome(task.steps, errors, forecasts["test"], time.process_time() - start)


def series_of(part: str, steps: int) -> np.ndarray:
    """Return the series [B, CONTEXT + steps] of a part."""
    data = SyntheticDataModule(prediction_length=steps)
    first = data.n_train + (data.n_val if part == "test" else 0)
    return data.drawn.target[first : first + (data.n_test if part == "test" else data.n_val), :, 0]


@cache
def fit_of(part: str, steps: int) -> np.ndarray:
    """Return the least-squares fit's forecasts [B, steps] of a part."""
    return TwoSineFit(CONTEXT, steps)(series_of(part, steps)[:, :CONTEXT])


HEADER = ("mean squared error", "the chapter's best", "this recipe", "fit of the sines", "noise")


def rows(outcomes: list[Outcome]) -> list[list[str]]:
    """Return the lines of the table as text."""
    lines = []
    for outcome in sorted(outcomes, key=lambda outcome: outcome.steps):
        for part, name in (("val", "validation"), ("test", "test")):
            ours = outcome.errors[part]
            fit = (fit_of(part, outcome.steps) - series_of(part, outcome.steps)[:, CONTEXT:]) ** 2
            book = f"{BOOK[outcome.steps]:.4f}" if part == "val" else ""
            title = f"{TITLES[outcome.steps]}, {name}"
            lines.append([title, book, f"{ours.mean():.5f}", f"{fit.mean():.5f}", f"{NOISE_VARIANCE:.5f}"])
            if outcome.steps > 1:
                first = [f"{errors[:, 0].mean():.5f}" for errors in (ours, fit)]
                lines.append([f"the first of these, {name}", "", *first, f"{NOISE_VARIANCE:.5f}"])
    return lines


OURS, FIT, SERIES, TEXT, GRID = "#1f5fa8", "#d9730d", "#8a8a8a", "#444444", "#e6e6e6"


def draw(outcome: Outcome) -> Figure:
    """Six test series with their forecasts, unselected, and the error by steps ahead over all of them."""
    past_and_future = series_of("test", outcome.steps)
    fit = fit_of("test", outcome.steps)
    figure = Figure(figsize=(11.0, 8.2), dpi=150, layout="constrained")
    grid = figure.add_gridspec(3, 3, height_ratios=(1, 1, 1.1))
    ahead = np.arange(CONTEXT, CONTEXT + outcome.steps)
    for index in range(6):
        ax = figure.add_subplot(grid[index // 3, index % 3])
        bare(ax)
        series = past_and_future[index]
        ax.axvspan(CONTEXT - 0.5, CONTEXT + outcome.steps - 0.5, color="#f4f4f4", zorder=0)
        ax.plot(np.arange(len(series)), series, ".-", color=SERIES, linewidth=0.7, markersize=4)
        ax.plot(ahead, fit[index], color=FIT, linewidth=2.4)
        ax.plot(ahead, outcome.forecasts[index], color=OURS, linewidth=1.4)
        ax.set_xlim(CONTEXT - 25.5, CONTEXT + outcome.steps - 0.5)
        ax.set_title(f"test series {index}", loc="left", fontsize=9, color=TEXT)
    ax = figure.add_subplot(grid[2, :])
    bare(ax)
    steps = np.arange(1, outcome.steps + 1)
    errors = ((fit - past_and_future[:, CONTEXT:]) ** 2).mean(0)
    ax.plot(steps, errors, "o-", color=FIT, linewidth=2.4, label="least-squares fit of the two sines")
    ax.plot(steps, outcome.errors["test"].mean(0), "o-", color=OURS, linewidth=1.4, label="the LSTM")
    ax.axhline(NOISE_VARIANCE, color=TEXT, linewidth=1.0, linestyle="--", label="variance of the noise")
    ax.plot([], [], ".-", color=SERIES, label="the series")
    ax.set_ylim(0, 1.15 * ax.dataLim.ymax)
    ax.set_xticks(steps)
    ax.set_title("mean squared error over all test series", loc="left", fontsize=9, color=TEXT)
    ax.set_xlabel("steps ahead", fontsize=9, color=TEXT)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    return figure


def bare(ax: Any) -> None:
    """Take away what the eye need not see."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#bbbbbb")
    ax.tick_params(labelsize=8, colors=TEXT, length=3)
    ax.grid(True, color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=140)
    parser.add_argument("--batches", type=int, default=None, help="at most so many batches per epoch")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--hidden-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=8e-3, help="the highest learning rate of the cycle")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, choices=(1, 2), help="processes, one thread each")
    parser.add_argument("-o", "--output", type=Path, default=Path(), help="folder of the table and the plot")
    return parser.parse_args()


def main() -> None:
    """Train both models, print, write."""
    given = arguments()
    given.output.mkdir(parents=True, exist_ok=True)
    console, start = Console(), time.perf_counter()
    options = {
        "hidden_size": given.hidden_size,
        "num_layers": 2,
        "optimizer": "adamw",
        "weight_decay": 0.01,
        "lr": given.lr,
        "lr_schedule": "one_cycle",
    }
    tasks = [
        Task(steps, given.seed, given.epochs, given.batches, options, given.batch_size) for steps in (10, 1)
    ]
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("validation MSE {task.fields[error]:.5f}"),
        console=console,
    ) as progress:
        bars = {
            task.steps: progress.add_task(TITLES[task.steps], total=task.epochs, error=float("nan"))
            for task in tasks
        }

        def report(done: tuple[int, int, float]) -> None:
            steps, epoch, error = done
            progress.update(bars[steps], completed=epoch, error=error)

        outcomes = run_side_by_side(run, tasks, given.workers, report)
    lines = rows(outcomes)
    printed = Table(*HEADER)
    for line in lines:
        printed.add_row(*line)
    console.print(printed)
    minutes = (time.perf_counter() - start) / 60
    cpu = ", ".join(f"{outcome.cpu_seconds:.0f} s for {outcome.steps}" for outcome in outcomes)
    about = (
        f"Made by `{' '.join(['python examples/beyond_chapter15.py', *sys.argv[1:]])}` in {minutes:.1f} "
        f"minutes on {given.workers} processes of one thread; processor time by steps ahead: {cpu}."
    )
    console.print(f"{minutes:.1f} minutes; processor time by steps ahead: {cpu}")
    markdown = [
        "# Beyond the chapter",
        "",
        about,
        "",
        "| " + " | ".join(HEADER) + " |",
        "|---|" + "---:|" * (len(HEADER) - 1),
    ]
    markdown += ["| " + " | ".join(line) + " |" for line in lines]
    (given.output / "beyond_chapter15.md").write_text("\n".join(markdown) + "\n", encoding="utf-8")
    draw(max(outcomes, key=lambda outcome: outcome.steps)).savefig(given.output / "beyond_chapter15.png")
    console.print(
        f"wrote beyond_chapter15.md and beyond_chapter15.png to {given.output.resolve()}", soft_wrap=True
    )


if __name__ == "__main__":
    main()
