"""Backtests: forecasts from several cutoffs, each made as if nothing after it were known."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqlight.data import DataError, ForecastDataModule, WindowLoader
from seqlight.data.store.cutoffs import backtest_cutoffs
from seqlight.data.store.origins import Origin
from seqlight.data.windows.window_dataset import WindowDataset
from seqlight.evaluation import ComparisonRow, WindowForecasts, forecast_windows
from seqlight.evaluation.forecast_table import check_different, table_columns
from seqlight.evaluation.scored_windows import tell_data
from seqlight.evaluation.window_forecasts import joined
from seqlight.experiments.candidates import Candidate
from seqlight.intervals.levels import check_levels, interval_quantiles
from seqlight.models.lightning.trained_until import check_trained_before
from seqlight.predictor import Predictor

WINDOWS_AT_ONCE = 512  # in a batch; of more, each batch waits for new memory from the system

Recipe = Callable[[ForecastDataModule], Predictor | Candidate]


@dataclass(frozen=True)
class BacktestWindow:
    """One cutoff of a backtest.

    Attributes:
        number: from 1.
        of: number of cutoffs.
        cutoff: int64 ``[S]``, position of the first step to forecast of each series.
        judged: bool ``[S]``, the series that are forecast there: they have begun, and have not ended.
        forecasts: the windows with their forecasts.
        fitted: whether models were fitted at this cutoff.
        seconds: wall-clock time, of fitting and forecasting.
    """

    number: int
    of: int
    cutoff: NDArray[np.int64]
    judged: NDArray[np.bool_]
    forecasts: WindowForecasts
    fitted: bool
    seconds: float

    @property
    def rows(self) -> list[ComparisonRow]:
        """Errors over this cutoff's windows, one row for each model."""
        return self.forecasts.rows


@dataclass(frozen=True)
class Backtest:
    """Forecasts from several cutoffs.

    Attributes:
        windows: the cutoffs in order of time.
        forecasts: all windows of all cutoffs, with ``rows``, ``by_step`` and ``by_series``. MASE is scaled by
            what came before each cutoff.
        refit: after how many cutoffs models were fitted again; 0 for never.
        level: coverages of the intervals in the table, in per cent.
        fit_seconds: by model, wall-clock time of all fits together.
        seconds: wall-clock time of everything.
        data: the series.
    """

    windows: tuple[BacktestWindow, ...]
    forecasts: WindowForecasts
    refit: int
    level: tuple[float, ...]
    fit_seconds: Mapping[str, float]
    seconds: float
    data: ForecastDataModule

    @property
    def rows(self) -> list[ComparisonRow]:
        """Errors over all windows of all cutoffs, one row for each model."""
        return self.forecasts.rows

    @property
    def window_number(self) -> Tensor:
        """int64 ``[W]``, the cutoff, from 1, of each window of ``forecasts``."""
        return torch.cat([torch.full((one.forecasts.windows,), one.number) for one in self.windows])

    @cached_property
    def by_window(self) -> pl.DataFrame:
        """Errors of each cutoff and model: ``window, model, mae, rmse, mase, smape, windows``."""
        return pl.DataFrame([{"window": one.number, **row} for one in self.windows for row in one.rows])

    @cached_property
    def frame(self) -> pl.DataFrame:
        """The long table ``<id>, <time>, cutoff, <target>, <model>, <model>-lo-80, ...``.

        Sorted by series, cutoff and time, as the cross-validation of Nixtla's libraries gives it; see
        :func:`seqlight.evaluation.forecast_table`.
        """
        table = self.forecasts.frame(self.data, self.level)
        horizon = self.forecasts.target.shape[1]
        order = np.lexsort((self.forecasts.start.numpy(), self.forecasts.series_index.numpy()))
        return table[(order[:, None] * horizon + np.arange(horizon)).reshape(-1)]


def backtest(
    models: Mapping[str, Predictor | Recipe],
    data: ForecastDataModule,
    *,
    windows: int,
    step_size: int | None = None,
    refit: bool | int = False,
    level: Sequence[float] | float = (),
    origin: Origin | None = None,
    batch_size: int = WINDOWS_AT_ONCE,
    on_window: Callable[[BacktestWindow], None] | None = None,
) -> Backtest:
    """Forecast all series from several cutoffs, as if nothing after each were known.

    The last window ends with the last known target of the series that ends last, each one before it begins
    ``step_size`` steps earlier, and all series are cut at the same times. A model is a predictor, which is
    used as it is, or a recipe, a function of the series as they were known at a cutoff
    (:meth:`ForecastDataModule.until`): parts, scales, categories, statistics and the denominators of MASE end
    there. Columns that are known ahead are so as in the file.

    A series is forecast in the windows that begin after its first known step and before its last one; of a
    window in which it ends, the steps up to its end count. Where it has columns that are known ahead, and
    they end with it, that window is left out.

    Args:
        models: predictors and recipes by the names that the table is to have.
        data: a DataModule of series.
        windows: number of cutoffs.
        step_size: steps from one cutoff to the next; None for the horizon.
        refit: whether recipes are called again at every cutoff, or at every so manieth; False calls them
            once, at the first cutoff.
        level: coverages in per cent, such as ``[80, 95]``, of the intervals that are wanted, of models that
            have quantiles.
        origin: ``"common"`` cuts all series at the same times, ``"own"`` counts from each one's own end: then
            a recipe that learns of all of them has seen values of some that came after the cutoff of others.
            ``"auto"`` is ``"common"`` where rows have times, ``"own"`` where they have none. None takes that
            of the data.
        batch_size: windows in a batch; all series of a cutoff are batched.
        on_window: told each cutoff when it is done.

    Returns:
        All forecasts, their errors and the long table.

    Raises:
        DataError: a wrong number, or no series is long enough for so many windows.
        ValueError: no model, a wrong level, a model with the name of a column, or a predictor that was
            trained on what it is to forecast.

    """
    if not models:
        raise ValueError("models: expected at least one, got none")
    every = _refit_every(refit)
    levels = check_levels(level) if level != () and level != [] else ()
    quantile_levels = interval_quantiles(levels)
    check_different(table_columns(models, data))
    begun = time.monotonic()
    data.setup("predict")
    cutoffs = backtest_cutoffs(
        data.store,
        data.ends,
        data.splitter,
        windows=windows,
        step_size=step_size,
        origin=data.origin if origin is None else origin,
    )
    judged = _judged(data, cutoffs)
    _check_room(data, cutoffs, judged)
    recipes = {name: model for name, model in models.items() if not isinstance(model, Predictor)}
    predictors = {name: model for name, model in models.items() if isinstance(model, Predictor)}
    for name, predictor in predictors.items():
        check_trained_before(predictor, data, np.maximum(cutoffs[0], 1), name)
    fit_seconds = dict.fromkeys(models, 0.0)
    done: list[BacktestWindow] = []
    fold = data
    for number, cutoff in enumerate(cutoffs):
        started = time.monotonic()
        fitted = bool(recipes) and (number == 0 or (every > 0 and number % every == 0))
        if fitted:
            fold = data.until(cutoff)
            fold.setup("fit")
            for name, recipe in recipes.items():
                before = time.monotonic()
                made = recipe(fold)
                predictors[name] = made.predictor if isinstance(made, Candidate) else made
                fit_seconds[name] += time.monotonic() - before
                check_trained_before(predictors[name], data, np.maximum(cutoff, 1), name)
        if fitted or number == 0:
            tell_data(predictors.values(), fold)
        forecasts = forecast_windows(
            {name: predictors[name] for name in models},
            _batches(fold, cutoff, judged[number], batch_size),
            quantile_levels=quantile_levels,
        )
        done.append(
            BacktestWindow(
                number=number + 1,
                of=len(cutoffs),
                cutoff=cutoff,
                judged=judged[number],
                forecasts=forecasts,
                fitted=fitted,
                seconds=time.monotonic() - started,
            )
        )
        if on_window is not None:
            on_window(done[-1])
    return Backtest(
        windows=tuple(done),
        forecasts=joined([one.forecasts for one in done], "backtest"),
        refit=every,
        level=levels,
        fit_seconds=fit_seconds,
        seconds=time.monotonic() - begun,
        data=data,
    )


def _refit_every(refit: bool | int) -> int:
    """Return after how many cutoffs models are fitted again, 0 for never.

    Raises:
        ValueError: below 0.

    """
    if isinstance(refit, bool):
        return int(refit)
    if not isinstance(refit, int) or refit < 0:
        raise ValueError(f"refit: expected True, False or a number of windows, got {refit!r}")
    return refit


def _judged(data: ForecastDataModule, cutoffs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which series are forecast in which window, ``[windows, S]``."""
    judged: NDArray[np.bool_] = (cutoffs >= 1) & (cutoffs < data.ends)
    covariates = data.store.covariates
    if covariates is not None and (covariates.future.names or covariates.future_categories.names):
        judged &= cutoffs + data.prediction_length <= data.store.lengths
    return judged


def _check_room(data: ForecastDataModule, cutoffs: NDArray[np.int64], judged: NDArray[np.bool_]) -> None:
    """Raise :class:`DataError` unless some series is forecast in each window."""
    empty = np.flatnonzero(~judged.any(axis=1))
    if not len(empty):
        return
    windows, horizon = len(cutoffs), data.prediction_length
    step_size = int(cutoffs[1, 0] - cutoffs[0, 0]) if windows > 1 else horizon
    most = windows - 1 - int(empty[-1])  # the last ones, before which there is a gap
    advice = f"give at most {most}" if most > 0 else "forecast fewer steps"
    if (cutoffs[empty[-1]] < 1).all():
        needed, longest = 1 + horizon + (windows - 1) * step_size, int(data.ends.max())
        raise DataError(
            f"windows: {windows} windows of {horizon} steps, {step_size} apart, need {needed} steps, the "
            f"longest series has {longest}; {advice}"
        )
    raise DataError(
        f"windows: no series has values both before and in window {int(empty[-1]) + 1} of {windows}; "
        f"{advice}, or origin='own', which counts from each series' own end"
    )


def _batches(
    data: ForecastDataModule, cutoff: NDArray[np.int64], judged: NDArray[np.bool_], batch_size: int
) -> WindowLoader:
    """Return the windows that begin at the cutoffs [S], with the denominators of MASE that end there."""
    first = np.where(judged, cutoff, 0)
    scale = data.store.statistics.mase_scale(first, data.season_length)
    data.check_known_ahead(first, first + data.prediction_length, judged)
    stop = np.where(judged, first + data.prediction_length, first)
    windows = data.windows(first, stop, scale=scale, beyond_end=True)
    return WindowLoader(windows, batch_size=batch_size, collate_fn=WindowDataset.collate)
