"""Models of a backtest with intervals: made at each fit from the calibration part of what was known."""

from collections.abc import Sequence
from dataclasses import replace

from seqlight.data import ForecastDataModule
from seqlight.evaluation.scored_windows import tell_data
from seqlight.experiments.backtesting import Recipe
from seqlight.experiments.candidates import Candidate
from seqlight.experiments.intervals import compare_methods, preferred, scale_ratio, wanted_quantiles
from seqlight.experiments.refitting import all_training
from seqlight.experiments.refitting import refit as made_again
from seqlight.intervals import (
    AdaptiveConformal,
    ConformalPredictor,
    ForecastWindows,
    Interval,
    SplitConformal,
    check_levels,
    interval_methods,
)
from seqlight.models.lightning.trained_until import check_part_is_later
from seqlight.predictor import Batch, Forecast, Predictor


class FollowingPredictor(ConformalPredictor):
    """A conformal predictor whose adaptive margins follow the windows of a backtest.

    Batches that hold ``future_target`` become scores of later ones; that of each step is used only for
    windows that begin after its row. Windows must come in order of time, each once, as
    :func:`seqlight.experiments.backtest` has them.

    Args:
        predictor: whatever forecasts.
        method: fitted on forecasts of the predictor.

    """

    def __init__(self, predictor: Predictor, method: SplitConformal) -> None:
        super().__init__(predictor, method)
        self._seen: list[ForecastWindows] = []

    def intervals(self, batch: Batch) -> tuple[Forecast, dict[float, Interval]]:
        """Forecast a batch, see :class:`~seqlight.intervals.ConformalPredictor`, and keep what came."""
        if isinstance(self.method, AdaptiveConformal) and self._seen:
            self.method.observe(ForecastWindows.joined(self._seen))
            self._seen = []
        forecast, made = super().intervals(batch)
        if "future_target" in batch:
            self._seen.append(ForecastWindows.of_batch(forecast, batch))
        return forecast, made


def with_intervals(
    model: Predictor | Recipe, levels: Sequence[float], *, method: str | None = None, refit: bool = False
) -> Recipe:
    """Return a recipe that makes a model's forecasts with intervals.

    Called with the series as they were known at a cutoff, it makes the model, and its margins from the
    errors on the calibration part, which ends there. The method is chosen within that part, see
    :func:`seqlight.experiments.intervals.calibrate`.

    Args:
        model: a predictor or a recipe; for ``refit`` one that gives a candidate that can be made again, or a
            predictor that nothing is fitted for.
        levels: nominal coverages in per cent.
        method: the one to take, by its name in tables; None chooses.
        refit: whether the model is then made again of all that is known at the cutoff
            (:func:`seqlight.experiments.refit`), with the margins from before, relative to each series'
            scale. A backtest thus measures how such intervals hold.

    Returns:
        A recipe; what it makes gives quantiles that are the bounds of the levels.

    """
    levels = check_levels(levels)

    def recipe(fold: ForecastDataModule) -> Candidate:
        made = model if isinstance(model, Predictor) else model(fold)
        candidate = made if isinstance(made, Candidate) else Candidate(type(made).__name__, made)
        chosen = fitted_method(candidate.predictor, fold, levels, method)
        if refit:
            candidate = made_again(candidate, fold)
            chosen = chosen.rescaled(scale_ratio(fold, all_training(fold)))
        return replace(candidate, predictor=FollowingPredictor(candidate.predictor, chosen))

    return recipe


def fitted_method(
    predictor: Predictor, data: ForecastDataModule, levels: Sequence[float], method: str | None
) -> SplitConformal:
    """Return a method, chosen and fitted on the calibration part of the data.

    Raises:
        ValueError: no calibration part, a method that is unknown or cannot be had of this model, or a model
            that was trained on that part.

    """
    batches = data.calibration_dataloader()
    if not len(batches):
        raise ValueError("data: expected a calibration part, got none; give calibration_size above 0")
    check_part_is_later(predictor, data, "calibration", "the model")
    tell_data([predictor], data)
    windows = ForecastWindows.collect(predictor, batches, quantile_levels=wanted_quantiles(levels))
    with_quantiles = windows.forecast.quantiles is not None
    methods = interval_methods(levels, with_quantiles=with_quantiles)
    if method is None:
        scores = compare_methods(windows, levels, with_quantiles=with_quantiles)
        method = preferred(scores, methods) if scores else next(iter(methods))
    elif method not in methods:
        raise ValueError(f"method: expected one of {', '.join(map(repr, methods))}, got {method!r}")
    return methods[method].fit(windows, data=data)
