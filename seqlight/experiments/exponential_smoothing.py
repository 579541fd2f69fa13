"""Exponential smoothing as a member of a portfolio: the library statsforecast fits it to each window."""

import time
from dataclasses import dataclass
from typing import Any

import torch

from seqlight.data import WindowDataModule
from seqlight.evaluation import forecast_windows
from seqlight.experiments.candidates import Candidate
from seqlight.experiments.selection import best_row, deciding_error
from seqlight.experiments.sizes import window_arguments
from seqlight.models import StatsForecastForecaster

TITLE = "exponential smoothing"
TRIED_FITS = 3
TRIED_WINDOWS = 64
SHARE_OF_TRIALS = 0.25  # of the seconds


@dataclass(frozen=True)
class Variant:
    """One form of exponential smoothing.

    Attributes:
        title: what tables add to ``exponential smoothing``.
        model: a class of ``statsforecast.models``.
        arguments: what it is made with.
    """

    title: str
    model: str
    arguments: dict[str, Any]


def exponential_smoothing(
    data: WindowDataModule, seconds: float, notes: list[str], **bounds: Any
) -> Candidate | None:
    """Return the form of exponential smoothing that serves a few validation windows best.

    Each window is fitted anew, so the number of windows decides what can be had: a form is taken only if
    fitting all that will be asked for, of all parts, fits in the seconds. None, with a note, where none does
    or where statsforecast is not installed.

    Args:
        data: a DataModule that is set up, with a validation part.
        seconds: for all fits.
        notes: a sentence is added for what is left out.
        bounds: ``bounds``, ``nonnegative`` and ``integer`` of :class:`seqlight.models.Forecaster`.

    """
    started = time.monotonic()
    made: dict[str, StatsForecastForecaster] = {}
    try:
        for variant in variants(data):
            made[f"{TITLE} ({variant.title})"] = StatsForecastForecaster(
                model=variant.model,
                model_arguments=variant.arguments,
                **window_arguments(data),
                **bounds,
            )
    except ImportError as error:
        notes.append(f"{TITLE}: left out, {error}")
        return None
    fits = windows_to_fit(data) * data.target_size
    costs = {name: seconds_per_fit(model, data) for name, model in made.items()}
    affordable = {name: model for name, model in made.items() if costs[name] * fits <= seconds}
    if not affordable:
        least = min(costs.values()) * fits
        notes.append(
            f"{TITLE}: left out, its fits to {fits:,} windows take about {least:.0f} s, of {seconds:.0f} s "
            "that it has"
        )
        return None
    name = next(iter(affordable))
    if len(affordable) > 1:
        per_window = sum(costs[one] for one in affordable) * data.target_size
        windows = int(SHARE_OF_TRIALS * seconds / per_window)
        judged = spread_windows(data, min(TRIED_WINDOWS, max(windows, 1)))
        rows = forecast_windows(affordable, [judged], part="val").rows
        name = best_row(rows, deciding_error(rows))["model"]
    return Candidate(name, affordable[name], seconds=time.monotonic() - started)


def variants(data: WindowDataModule) -> list[Variant]:
    """Return the forms that data may want, from the most to the least elaborate.

    With a season: additive errors and season without trend, the Theta method, which tests for the season
    itself, and a level for each phase of the season. Without one: errors and trend chosen by AICc, the Theta
    method, and a level alone.
    """
    season = int(data.season_length)
    if 1 < season <= data.context_length // 2:
        of_season = {"season_length": season}
        return [
            Variant("ETS", "AutoETS", of_season | {"model": "ANA"}),
            Variant("Theta", "DynamicOptimizedTheta", of_season | {"decomposition_type": "additive"}),
            Variant("seasonal", "SeasonalExponentialSmoothingOptimized", of_season),
        ]
    return [
        Variant("ETS", "AutoETS", {"season_length": 1}),
        Variant("Theta", "DynamicOptimizedTheta", {"season_length": 1}),
        Variant("simple", "SimpleExponentialSmoothingOptimized", {}),
    ]


def windows_to_fit(data: WindowDataModule) -> int:
    """Return the number of windows that a forecast with its tables asks for, of all parts."""
    parts = ["val", "test", *(["calibration"] if hasattr(data, "split") else [])]
    return sum(len(data.dataset(part)) for part in parts) + len(data.series_ids)  # type: ignore[arg-type, misc]


def seconds_per_fit(model: StatsForecastForecaster, data: WindowDataModule) -> float:
    """Return the time of a fit, the median of a few, after a first one, which compiles."""
    past = spread_windows(data, TRIED_FITS + 1)["past_target"].double().numpy()
    taken = []
    for values in past:
        started = time.perf_counter()
        model.fit_and_forecast(values[:, 0])
        taken.append(time.perf_counter() - started)
    timed = sorted(taken[1:] or taken)
    return timed[len(timed) // 2]


def spread_windows(data: WindowDataModule, count: int) -> dict[str, torch.Tensor]:
    """Return windows of the validation part at even distances, as one batch."""
    dataset = data.dataset("val")
    numbers = torch.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().to(torch.int64)
    return dataset.__getitems__(numbers.unique())
