"""The models of ``seqlight forecast``: trained or solved, and made again of all data."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from seqlight.cli.bounds_arguments import bounds_arguments
from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.arguments import NETWORKS, SIZED, ForecastArguments
from seqlight.cli.training_summary import epochs_summary
from seqlight.data import CSVDataModule
from seqlight.experiments import (
    Candidate,
    Fitted,
    Selection,
    TrainingError,
    baselines,
    forecast_future,
    refit,
)
from seqlight.experiments.members import robust_candidate
from seqlight.experiments.named_networks import named_network
from seqlight.experiments.network_training import train_network
from seqlight.experiments.refitting import all_training, share_of_time
from seqlight.experiments.seasons import learnable_cycles
from seqlight.experiments.simple_forecasts import EQUATION_BYTES
from seqlight.experiments.weighing import best_cycle

ADVICE = "look for very large values in the data, or use --model linear"
LEAST_TIME = 1.0  # seconds for training again, where the first training took all


def candidates_of(
    given: ForecastArguments, data: CSVDataModule, folder: Path, console: Console
) -> dict[str, Candidate]:
    """Train the network that is named, if any, and make the simple forecasts; by what ``--model`` calls them.

    Raises:
        CommandError: the model that the user names cannot be had.
    """
    simple = baselines(data, **bounds_arguments(given))
    if given.model in simple:
        return simple
    if given.model not in NETWORKS:
        raise CommandError(
            f"--model {given.model}: least squares of {data.context_length} steps takes more than "
            f"{EQUATION_BYTES / 1e9:g} GB; give a shorter --context"
        )
    try:
        network = train(given, data, folder)
    except TrainingError as error:
        raise CommandError(f"{error}; {ADVICE}") from error
    assert network.fitted is not None
    console.print(training_summary(network.fitted, given, data), markup=False)
    return {given.model: network, **simple}


def train(given: ForecastArguments, data: CSVDataModule, folder: Path) -> Candidate:
    """Train the network that the user names, in the share of the time that a refit leaves."""
    bounds = bounds_arguments(given)
    options = {"hidden_size": given.hidden_size, "num_layers": given.num_layers, **bounds}
    cycle = None
    if given.model in ("segment_rnn", "linear_rnn"):
        with_cycle = [robust_candidate(data, cycle, **bounds) for cycle in learnable_cycles(data)]
        cycle = best_cycle([one for one in with_cycle if one is not None], data)
    return train_network(
        lambda some: named_network(given.model, some, cycle, **options).build(),
        data,
        name=NETWORKS[given.model],
        seed=given.seed,
        epochs=given.epochs,
        max_time=given.max_time * (share_of_time(data) if given.refit else 1.0),
        folder=folder,
        progress=given.progress,
    )


def training_summary(fitted: Fitted[Any], given: ForecastArguments, data: CSVDataModule) -> str:
    """Say in a sentence what was trained on what, and how the training ended."""
    units = f"{given.hidden_size} units, " if given.model in SIZED else ""
    return (
        f"trained {NETWORKS[given.model]} ({units}{data.context_length} steps in, "
        f"{data.prediction_length} out) on {len(data.dataset('train')):,} windows: "
        f"{epochs_summary(fitted, given.max_time)}"
    )


def made_again(
    given: ForecastArguments, selection: Selection, data: CSVDataModule, console: Console
) -> tuple[Selection, Candidate]:
    """Make the model in use again of all data; return the selection with its forecast, and the model.

    All errors of the selection, and with them the intervals, stay those from before.
    """
    before = selection.candidates[selection.chosen]
    left = max(given.max_time - before.seconds, LEAST_TIME)
    try:
        after = refit(before, data, max_time=left)
    except TrainingError as error:
        console.print(f"note: no refit, the forecast is that of the model above: {error}", markup=False)
        return selection, before
    if after is before:
        console.print(
            f"note: --refit: nothing is fitted for {before.name}, which stays as it is", markup=False
        )
        return selection, before
    everything = all_training(data)
    levels = selection.forecast.quantile_levels
    forecast, series_index, start = forecast_future(after.predictor, everything, levels)
    steps = ""
    if after.fitted is not None and before.fitted is not None:
        steps = f", {after.fitted.steps:,} steps"
        ratio = len(everything.dataset("train")) / len(data.dataset("train"))
        wanted = max(1, round(before.fitted.best_step * ratio))
        if after.fitted.steps < wanted:
            steps += f" of {wanted:,}, for --max-time {given.max_time:g} allows no more"
    console.print(
        f"made {before.name} again of all {len(everything.dataset('train')):,} windows{steps}, in "
        f"{after.seconds:.1f} s; the errors above are those from before",
        markup=False,
    )
    return replace(selection, forecast=forecast, series_index=series_index, start=start), after
