"""Earlier origins to weigh members at, where the validation part alone is too short for that."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from seqlight.data import DataError, ForecastDataModule, Splitter, WindowDataModule
from seqlight.evaluation import WindowForecasts
from seqlight.experiments.candidates import Candidate
from seqlight.experiments.member_training import Making, interrupts, members_again
from seqlight.experiments.training import TrainingError
from seqlight.experiments.weighing import judged_windows
from seqlight.models import NonFiniteError
from seqlight.predictor import Forecast

FEW_HORIZONS = 4
"""Horizons, one behind the other, that the validation windows of all series span at least; below it members
are weighed at earlier origins too."""

MOST_ORIGINS = 4
"""The validation part, and three before it."""

LEAST_TRAINING = 0.45
"""Share of the training part that comes before an origin."""

COST = 0.7
"""Of making a member again at an origin, in times of its first training."""


def origins_of(data: WindowDataModule) -> list[ForecastDataModule]:
    """Return the data as they were known at several origins, the latest first; none where one is enough.

    The validation part of the first is that of ``data``, that of each other lies just before the one after it
    and is as long. Each has as training part what comes before.

    Args:
        data: a DataModule that is set up, with a validation part.

    """
    if not isinstance(data, ForecastDataModule):
        return []
    split, horizon = data.split, data.prediction_length
    steps = split.val_stop - split.train_stop
    judged = steps >= horizon
    if int((steps[judged] // horizon).sum()) >= FEW_HORIZONS:
        return []
    size = int(steps.max())
    longest = int(np.argmax(split.train_stop))
    least = max(LEAST_TRAINING * int(split.train_stop[longest]), data.context_length / 2 + horizon)
    splitter = Splitter(data.context_length, horizon, val_size=size, calibration_size=0.0, test_size=0.0)
    found: list[ForecastDataModule] = []
    while len(found) < MOST_ORIGINS:
        ends = split.val_stop - size * len(found)
        if ends[longest] - size < least:
            break
        known = data.until(ends, splitter)
        try:
            known.setup("fit")
        except DataError:
            break
        found.append(known)
    return found if len(found) > 1 else []


def windows_at_origins(
    members: Sequence[Candidate],
    origins: Sequence[ForecastDataModule],
    made: Making,
    *,
    seconds: float,
    tell: Callable[[int], None],
) -> list[WindowForecasts]:
    """Forecast what followed each origin by members that are made again of what was known there.

    They are trained for as many steps as their first training says, without an end that these windows decide,
    so that the windows are new to them. A member that cannot be made at an origin has no forecast there. An
    interrupt leaves the origins that are done.

    Args:
        members: the simplest first.
        origins: see :func:`origins_of`.
        made: what there is so far; is told of an interrupt.
        seconds: for all together.
        tell: called with the number of each origin, from 0, before it is begun.

    """
    started = time.monotonic()
    found: list[WindowForecasts] = []
    with interrupts(made):
        for number, known in enumerate(origins):
            tell(number)
            left = max(0.0, seconds - (time.monotonic() - started))
            again, failed = _made(members, known, left / (len(origins) - number))
            windows = judged_windows(again, known)
            none = Forecast(torch.full_like(windows.target, torch.nan))
            forecasts = {
                one.name: none if one.name in failed else windows.forecasts[one.name] for one in members
            }
            found.append(replace(windows, forecasts=forecasts))
    return found


def _made(
    members: Sequence[Candidate], known: ForecastDataModule, seconds: float
) -> tuple[list[Candidate], set[str]]:
    """Make members at an origin; return those that could be made, and the names of the others."""
    try:
        return members_again(members, known, seconds), set()
    except (TrainingError, NonFiniteError):
        pass
    made, failed = [], set()
    for member in members:
        try:
            made += members_again([member], known, seconds / len(members))
        except (TrainingError, NonFiniteError):
            failed.add(member.name)
    return made, failed
