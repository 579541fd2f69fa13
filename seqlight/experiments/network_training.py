"""Training of a network as a candidate that can be made again of more data."""

from collections.abc import Callable
from typing import Any

from seqlight.data import ForecastDataModule, WindowDataModule
from seqlight.experiments.candidates import Candidate, trained
from seqlight.experiments.training import fit
from seqlight.models import Forecaster

LEAST_SECONDS = 1.0
"""Time after which a training is cut off, however little was planned for it."""

Build = Callable[[WindowDataModule], Forecaster]
Again = Callable[[ForecastDataModule, float | None], Candidate]


def train_network(
    build: Build, data: WindowDataModule, *, name: str, seed: int | None = 0, **limits: Any
) -> Candidate:
    """Train a network and return it as a candidate that can be made again of more data.

    Args:
        build: makes it untrained, with the sizes of the data that it is given.
        data: a DataModule that is set up.
        name: what tables call it.
        seed: of the first weights and the order of windows.
        limits: more arguments of :func:`seqlight.experiments.fit`.

    Raises:
        TrainingError: no epoch had a finite validation loss.

    """
    fitted = fit(lambda: build(data), data, seed=seed, **limits)
    again = training_again(
        build,
        name=name,
        steps=fitted.best_step,
        seconds_per_step=fitted.seconds / max(fitted.steps, 1),
        windows=len(data.dataset("train")),
        seed=seed,
        progress=limits.get("progress", False),
    )
    return trained(name, fitted, again)


def training_again(
    build: Build,
    *,
    name: str,
    steps: int,
    seconds_per_step: float,
    windows: int,
    seed: int | None = 0,
    progress: bool = False,
) -> Again:
    """Return what trains a network again, of more data, from the first step.

    It is trained for as many steps as its best epoch had seen, times the ratio of the windows, with no
    validation: a whole schedule of learning rates of its own. Where the time is short for so many steps there
    are fewer, and the schedule is shorter, for one that is cut off at its height gives a poor model.

    Args:
        build: makes it untrained, with the sizes of the data that it is given.
        name: what tables call it.
        steps: steps of the optimiser that the best epoch had seen.
        seconds_per_step: wall-clock time of each, with its share of the validation.
        windows: training windows that they were made on.
        seed: of the first weights and the order of windows.
        progress: show a bar, on a terminal.

    """

    def again(more: ForecastDataModule, max_time: float | None) -> Candidate:
        wanted = max(1, round(steps * len(more.dataset("train")) / windows))
        if max_time is not None:
            wanted = max(1, min(wanted, int(max_time / seconds_per_step)))
        refitted = fit(
            lambda: build(more),
            more,
            seed=seed,
            steps=wanted,
            max_time=None if max_time is None else max(max_time, LEAST_SECONDS),
            keep="last",
            progress=progress,
            limit_val_batches=0,
        )
        return trained(name, refitted)

    return again
