"""Forecasts that need no training by steps: what a network has to beat."""

import time
from typing import Any

import numpy as np
from torch.utils.data import Subset

from seqlight.data import WindowDataModule, WindowDataset, WindowLoader
from seqlight.experiments.candidates import Candidate
from seqlight.experiments.sizes import COVARIATES, covariate_arguments, window_arguments
from seqlight.models import LinearForecaster, NaiveForecaster, SeasonalNaiveForecaster

MOST_ROWS = 20_000  # of least squares: more overlap so much that they tell little new
ROWS_PER_INPUT = 50  # where there are many inputs
CELLS_PER_BATCH = 2_000_000  # inputs of least squares at a time
EQUATION_BYTES = 1_000_000_000  # of the normal equations; one matrix for each output where cells are missing


def baselines(data: WindowDataModule, **bounds: Any) -> dict[str, Candidate]:
    """Return the simple forecasts that the data allow, the simplest last.

    ``"linear"``, least squares of all that a network sees (left out where its equations take more than
    ``EQUATION_BYTES``); ``"seasonal"``, the last season again (where the context holds a season); and
    ``"naive"``, the last value again.

    Args:
        data: a DataModule that is set up.
        bounds: ``bounds``, ``nonnegative`` and ``integer`` of :class:`seqlight.models.Forecaster`.

    Returns:
        Candidates by those names.

    """
    found = {}
    linear = linear_candidate(data, **bounds)
    if linear is not None:
        found["linear"] = linear
    return found | naive_forecasts(data, **bounds)


def linear_candidate(data: WindowDataModule, **bounds: Any) -> Candidate | None:
    """Return :func:`least_squares` as a candidate; None where memory does not suffice."""
    started = time.monotonic()
    linear = least_squares(data, **bounds)
    if linear is None:
        return None

    def again(more: WindowDataModule, max_time: float | None) -> Candidate:
        made = linear_candidate(more, **bounds)
        assert made is not None  # memory does not depend on the number of windows
        return made

    alone = ", without covariates" if leaves_covariates(linear, data) else ""
    name = f"linear (least squares{alone})"
    return Candidate(name, linear, seconds=time.monotonic() - started, again=again)


def naive_forecasts(data: WindowDataModule, **bounds: Any) -> dict[str, Candidate]:
    """Return those of :func:`baselines` that nothing is fitted for: ``"seasonal"`` and ``"naive"``."""
    sizes, season = window_arguments(data) | bounds, data.season_length
    found = {}
    if 1 < season <= data.context_length:
        forecaster = SeasonalNaiveForecaster(season_length=season, **sizes)
        found["seasonal"] = Candidate(f"seasonal naive ({season})", forecaster)
    found["naive"] = Candidate("naive", NaiveForecaster(**sizes))
    return found


def least_squares(data: WindowDataModule, **bounds: Any) -> LinearForecaster | None:
    """Return the linear forecast of all that a network sees, if memory allows, else of the values alone.

    None where the values alone take more than ``EQUATION_BYTES`` too.
    """
    linear = unsolved(data, **bounds)
    if linear is None:
        return None
    return linear.solve(windows_to_solve(data, linear))


def leaves_covariates(linear: LinearForecaster, data: WindowDataModule) -> bool:
    """Return whether :func:`least_squares` had to leave out what the data hold beside values."""
    return linear.target_only and any(getattr(data, name, None) for name in COVARIATES)


def windows_to_solve(data: WindowDataModule, linear: LinearForecaster) -> WindowLoader:
    """Return the training windows for a linear forecaster to solve; of very many, some at even distances.

    ``MOST_ROWS`` rows of the equations are enough, and ``ROWS_PER_INPUT`` for each of their inputs.
    """
    dataset: Any = data.dataset("train")
    inputs = data.context_length * linear.input_size
    rows_of_each = linear.rows_of_each
    most = max(MOST_ROWS, ROWS_PER_INPUT * inputs) // rows_of_each
    if len(dataset) > most:
        numbers = np.linspace(0, len(dataset) - 1, most).round().astype(np.int64)
        dataset = Subset(dataset, numbers.tolist())
    # Large batches: the sums over them are matrix products, of which few large ones are fastest.
    batch_size = max(64, CELLS_PER_BATCH // (inputs * rows_of_each))
    return WindowLoader(dataset, batch_size=batch_size, collate_fn=WindowDataset.collate)


def unsolved(data: WindowDataModule, **bounds: Any) -> LinearForecaster | None:
    """Return the forecaster that :func:`least_squares` solves, None where memory does not suffice."""
    all_inputs = {**covariate_arguments(data), "observed_indicator": data.observed_indicator}
    matrices = 1 + data.prediction_length * data.target_size * bool(np.isnan(data.store.values).any())
    for inputs in (all_inputs, {"targets_alone": True}):
        linear = LinearForecaster(**window_arguments(data), **inputs, **bounds)
        if 8 * matrices * (data.context_length * linear.input_size) ** 2 <= EQUATION_BYTES:
            return linear
    return None
