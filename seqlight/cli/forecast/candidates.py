"""The models of ``seqlight forecast``: trained or solved, and made again of all data."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from seqlight.cli.bounds_arguments import bounds_arguments
from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.arguments import ForecastArguments
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
    train_forecaster,
)
from seqlight.experiments.refitting import all_training, share_of_time
from seqlight.experiments.simple_forecasts import EQUATION_BYTES

ADVICE = "look for very large values in the data, or use --model linear"
LEAST_TIME = 1.0  # seconds for training again, where the first training took all


def candidates_of(
    given: ForecastArguments, data: CSVDataModule, folder: Path, console: Console
) -> dict[str, Candidate]:
    """Train the network, if it is wanted, and make the simple forecasts; by what ``--model`` calls them.

    Raises:
        CommandError: the model that the user names cannot be had.
    """
    simple = baselines(data, **bounds_arguments(given))
    if given.model not in ("auto", "lstm"):
        if given.model not in simple:
            raise CommandError(
                f"--model {given.model}: least squares of {data.context_length} steps takes more than "
                f"{EQUATION_BYTES / 1e9:g} GB; give a shorter --context"
            )
        return simple
    try:
        network = train(given, data, folder)
    except TrainingError as error:
        if given.model == "lstm":
            raise CommandError(f"{error}; {ADVICE}") from error
        console.print(f"note: no network, the simple forecasts alone: {error}; {ADVICE}", markup=False)
        return simple
    assert network.fitted is not None
    console.print(training_summary(network.fitted, given, data), markup=False)
    return {"lstm": network, **simple}


def train(given: ForecastArguments, data: CSVDataModule, folder: Path) -> Candidate:
    """Train a peephole LSTM on the training part, in the share of the time that a refit leaves."""
    options = {"hidden_size": given.hidden_size, "num_layers": given.num_layers, "peephole": True}
    return train_forecaster(
        "lstm",
        data,
        name="peephole LSTM",
        seed=given.seed,
        options=options | bounds_arguments(given),
        epochs=given.epochs,
        max_time=given.max_time * (share_of_time(data) if given.refit else 1.0),
        folder=folder,
        progress=given.progress,
    )


def training_summary(fitted: Fitted[Any], given: ForecastArguments, data: CSVDataModule) -> str:
    """Say in a sentence what was trained on what, and how the training ended."""
    return (
        f"trained a peephole LSTM ({given.hidden_size} units, {data.context_length} steps in, "
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
    if after.fitted is not None:
        steps = f", {after.fitted.steps:,} steps"
        if after.fitted.ended == "time":
            steps += f" of {after.fitted.limit.partition(' ')[0]}, for --max-time {given.max_time:g} was up"
    console.print(
        f"made {before.name} again of all {len(everything.dataset('train')):,} windows{steps}, in "
        f"{after.seconds:.1f} s; the errors above are those from before",
        markup=False,
    )
    return replace(selection, forecast=forecast, series_index=series_index, start=start), after
