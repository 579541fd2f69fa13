"""The models of ``seqlight backtest``: recipes for those that are trained, and predictors."""

from typing import Any

from seqlight.cli.backtest.arguments import LEARNED, MODELS, TRAINED, BacktestArguments
from seqlight.cli.bounds_arguments import bounds_arguments
from seqlight.cli.errors import CommandError
from seqlight.cli.level_arguments import METHODS
from seqlight.cli.training_summary import epochs_summary
from seqlight.data import CSVDataModule, ForecastDataModule
from seqlight.experiments import Candidate, TrainingError, portfolio, refit, train_forecaster
from seqlight.experiments.backtesting import Recipe
from seqlight.experiments.interval_recipes import with_intervals
from seqlight.experiments.refitting import share_of_time
from seqlight.experiments.simple_forecasts import (
    leaves_covariates,
    linear_candidate,
    naive_forecasts,
    unsolved,
)
from seqlight.experiments.sizes import window_arguments
from seqlight.models import Naive2Forecaster
from seqlight.predictor import Predictor

ADVICE = "look for very large values in the data, or use --models linear naive"
DEFAULT = ("lstm", "linear", "seasonal", "naive")
BESIDE_CHECKPOINT = ("seasonal", "naive")


def models_of(
    given: BacktestArguments, data: CSVDataModule, checkpoint: Predictor | None, said: list[str]
) -> dict[str, Predictor | Recipe]:
    """Return what is to be compared, by the names of ``--models``; ``said`` gets lines about trainings.

    Raises:
        CommandError: a model that the user names cannot be had.
    """
    bounds = bounds_arguments(given)
    found: dict[str, Predictor | Recipe] = {"auto": auto(given, said), "lstm": lstm(given, said)}
    unfitted = unsolved(data, **bounds)
    if unfitted is not None:
        found["linear"] = linear(bounds)
    found |= {name: candidate.predictor for name, candidate in naive_forecasts(data, **bounds).items()}
    sizes = window_arguments(data) | bounds
    found["naive2"] = Naive2Forecaster(season_length=data.season_length, **sizes)
    missing = [name for name in given.models or () if name not in found]
    if missing:  # a season that does not fit is refused before
        raise CommandError(
            f"--models {missing[0]}: its equations take too much memory; give a shorter --context"
        )
    wanted = given.models or (DEFAULT if checkpoint is None else BESIDE_CHECKPOINT)
    first: dict[str, Predictor | Recipe] = {}
    if checkpoint is not None:
        assert given.checkpoint is not None
        file = given.checkpoint
        first[file.name if file.stem in MODELS else file.stem] = checkpoint  # no other model's name
    chosen = {name: found[name] for name in MODELS if name in wanted and name in found}
    if unfitted is not None and "linear" in chosen and leaves_covariates(unfitted, data):
        said.append("linear sees no covariates: with them its equations take too much memory")
    return first | chosen


def as_asked(
    given: BacktestArguments, models: dict[str, Predictor | Recipe]
) -> dict[str, Predictor | Recipe]:
    """Return the models with the intervals that are wanted, made again of all that was known if that is."""
    method = None if given.interval_method == "auto" else METHODS[given.interval_method]
    found: dict[str, Predictor | Recipe] = {}
    for name, model in models.items():
        again = given.all_data and name in LEARNED
        if given.levels:
            found[name] = with_intervals(model, given.levels, method=method, refit=again)
        else:
            found[name] = of_all_data(model) if again and not isinstance(model, Predictor) else model
    return found


def of_all_data(model: Recipe) -> Recipe:
    """Return a recipe that makes a model again of all that was known."""

    def recipe(fold: ForecastDataModule) -> Candidate:
        made = model(fold)
        return refit(made if isinstance(made, Candidate) else Candidate("", made), fold)

    return recipe


def linear(bounds: dict[str, Any]) -> Recipe:
    """Return least squares of what was known."""

    def recipe(fold: ForecastDataModule) -> Candidate:
        found = linear_candidate(fold, **bounds)
        assert found is not None  # its size does not depend on the fold
        return found

    return recipe


def lstm(given: BacktestArguments, said: list[str]) -> Recipe:
    """Return the training of a peephole LSTM on what was known."""

    def recipe(fold: ForecastDataModule) -> Candidate:
        try:
            options = {"hidden_size": given.hidden_size, "num_layers": given.num_layers, "peephole": True}
            made = train_forecaster(
                "lstm",
                fold,
                seed=given.seed,
                options=options | bounds_arguments(given),
                epochs=given.epochs,
                max_time=given.max_time * (share_of_time(fold) if given.all_data else 1.0),
            )
        except TrainingError as error:
            raise CommandError(f"{error}; {ADVICE}") from error
        assert made.fitted is not None
        said.append(
            f"trained a peephole LSTM on {len(fold.dataset('train')):,} windows: "
            f"{epochs_summary(made.fitted, given.max_time)}"
        )
        return made

    return recipe


def auto(given: BacktestArguments, said: list[str]) -> Recipe:
    """Return the weighted mean of several models, as ``seqlight forecast --model auto`` makes it."""

    def recipe(fold: ForecastDataModule) -> Candidate:
        if not len(fold.dataset("val")):
            raise CommandError(
                "--models auto: before the first window the series are too short for a validation part, by "
                "which members are weighed; give a shorter --horizon or --context, or fewer --windows"
            )
        made = portfolio(
            fold,
            max_time=given.max_time * (share_of_time(fold) if given.all_data else 1.0),
            seed=given.seed,
            epochs=given.epochs,
            hidden_size=given.hidden_size,
            num_layers=given.num_layers,
            **bounds_arguments(given),
        )
        weights = {name: weight for name, weight in made.weights.items() if weight > 0}
        shares = ", ".join(
            f"{weight:.2f} {name}" for name, weight in sorted(weights.items(), key=lambda item: -item[1])
        )
        said.append(f"auto, {len(made.members)} members in {made.seconds:.0f} s: {shares}")
        said.extend(f"note: {note}" for note in made.notes)
        return made.best

    return recipe


def expected_time(given: BacktestArguments, models: dict[str, Predictor | Recipe]) -> str:
    """Say how long all trainings together may take; "" where nothing is trained by steps."""
    names = [name for name in TRAINED if name in models]
    if not names:
        return ""
    fits = 1 if given.refit == 0 else -(-given.windows // given.refit)
    count = fits * len(names)
    each = f"{given.max_time:g} s"
    times = f"{fits} times" if fits > 1 else "once"
    return (
        f"trains {' and '.join(names)} {times}, up to {each} each (--max-time): up to "
        f"{duration_text(count * given.max_time)} in all"
    )


def duration_text(seconds: float) -> str:
    """Return a duration in the unit that suits it."""
    if seconds < 120:
        return f"{seconds:g} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
