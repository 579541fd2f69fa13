"""Several forecasters in a given time, and their weighted mean."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from seqlight.data import WindowDataModule
from seqlight.evaluation import WindowForecasts
from seqlight.experiments.candidates import Candidate
from seqlight.experiments.look_back import over_whole_windows, with_look_back
from seqlight.experiments.member_training import Making, interrupts, train_member
from seqlight.experiments.members import networks, simple_members
from seqlight.experiments.named_networks import named_network
from seqlight.experiments.network_training import Build
from seqlight.experiments.origins import COST, origins_of, windows_at_origins
from seqlight.experiments.weighing import ENSEMBLE, best_cycle, best_look_back, weigh
from seqlight.models import WindowForecaster
from seqlight.whole_files import work_folder

SHARE_OF_SMOOTHING = 0.2
"""Of the time, for exponential smoothing, which is fitted anew to each window that is judged."""


@dataclass(frozen=True)
class Portfolio:
    """Members judged on the same validation windows, and the mean of the best of them.

    Attributes:
        members: in the order in which they were made, the simplest first.
        weights: of each member by its name; they add up to 1.
        errors: of each member, and of the ensemble, on the validation windows.
        error: what these are: ``"mase"``, or ``"mae"`` where there is no MASE.
        ensemble: the weighted mean as one candidate; None where one member has all weight.
        series_weights: weights of members of the ensemble, in their order, by the ids of the series that have
            their own.
        validation: the windows that members were weighed on, as all of them and the ensemble forecast them.
        origins: number of origins of these windows: 1 for the validation part alone.
        notes: what was left out or cut short, and why, one sentence each.
        seconds: wall-clock time of all.
    """

    members: list[Candidate]
    weights: dict[str, float]
    errors: dict[str, float]
    error: str
    ensemble: Candidate | None
    series_weights: dict[str, list[float]]
    validation: WindowForecasts
    origins: int
    notes: list[str]
    seconds: float

    @property
    def best(self) -> Candidate:
        """The ensemble, or the member that has all weight."""
        if self.ensemble is not None:
            return self.ensemble
        return next(member for member in self.members if self.weights[member.name] == 1.0)

    @property
    def predictor(self) -> WindowForecaster:
        """What forecasts."""
        assert isinstance(self.best.predictor, WindowForecaster)
        return self.best.predictor

    @property
    def candidates(self) -> list[Candidate]:
        """The ensemble and all members, the simplest last, for :func:`seqlight.experiments.select`."""
        first = [] if self.ensemble is None else [self.ensemble]
        return [*first, *reversed(self.members)]

    def weights_of(self, name: str) -> dict[str, float]:
        """Return the weight of each candidate in the forecast of one: the ensemble's, or all on itself."""
        if name == ENSEMBLE:
            return {ENSEMBLE: 0.0, **self.weights}
        return {one.name: float(one.name == name) for one in self.candidates}

    @property
    def table(self) -> pl.DataFrame:
        """One row for each member and the ensemble: ``model, weight``, the error, ``seconds``."""
        made = [*self.members, *([] if self.ensemble is None else [self.ensemble])]
        return pl.DataFrame(
            {
                "model": [one.name for one in made],
                "weight": [self.weights.get(one.name, 1.0) for one in made],
                self.error: [self.errors[one.name] for one in made],
                "seconds": [one.seconds for one in made],
            }
        )


def portfolio(
    data: WindowDataModule,
    *,
    max_time: float = 90.0,
    seed: int = 0,
    names: Sequence[str] | None = None,
    epochs: int | None = None,
    on_member: Callable[[Candidate], None] | None = None,
    on_progress: Callable[[str, float], None] | None = None,
    **options: Any,
) -> Portfolio:
    """Train what the time allows, the simplest first, and weigh it on the validation part.

    Simple forecasts come first: the last value, the last day, week or year, exponential smoothing, where
    statsforecast is installed, in a form of which the time allows all fits, least squares with and without a
    learned cycle. Networks follow, each with its share of the time that is left; a training is made as long
    as its share, so that its learning rate has come down when the time is up. One for which there is no time
    is left out. An interrupt (Ctrl-C, SIGTERM) ends the training that is running, whose best epoch so far is
    kept, and starts no other. Networks take the cycle and the look-back, the whole window or its later half,
    with which linear forecasts are best on the validation part.

    Weights are found by greedy selection (:func:`~seqlight.experiments.ensemble_weights.greedy_weights`), for
    all series together, and for a series by itself where its validation windows span enough horizons. Where
    the validation part spans fewer than four horizons in all, members are made again at up to three origins
    before it, and weighed on what followed each; half of their weights are those of the latest origin. The
    ensemble is never worse than the best member on the windows that they are weighed on.

    Args:
        data: a DataModule that is set up, with a validation part.
        max_time: seconds for all trainings together. Simple forecasts and the judging are made whatever it
            says.
        seed: of all random numbers.
        names: networks to train, of ``"segment_rnn"``, ``"linear_rnn"``, ``"es_rnn"``, ``"lstm"``, ``"tcn"``;
            None for all.
        epochs: of each network; None for as many as the time allows, up to the usual number.
        on_member: called with each member once it is made.
        on_progress: called with what is being made, and the share of all members that is done, 0 to 1.
        options: ``bounds``, ``nonnegative``, ``integer``, and the LSTM's ``hidden_size`` and ``num_layers``.

    Raises:
        ValueError: an unknown name, a time that is none, or no validation part.

    """
    started = time.monotonic()
    if not max_time >= 0:
        raise ValueError(f"max_time: expected seconds, at least 0, got {max_time}")
    if not len(data.dataset("val")):
        raise ValueError("data: there is no validation part to weigh members by; give it a val_size")
    made = Making()
    bounds = {name: value for name, value in options.items() if name in ("bounds", "nonnegative", "integer")}
    known = [network.name for network in networks(data, **options)]
    for name in names or ():
        if name not in known:
            raise ValueError(f"names: expected some of {', '.join(map(repr, known))}, got {name!r}")
    chosen = known if names is None else names
    origins = origins_of(data)
    steps = 1 + len(chosen) + len(origins)  # the simple ones together are the first
    of_training = 1 / (1 + COST * len(origins))

    def tell(title: str, done: float) -> None:
        if on_progress is not None:
            on_progress(title, done / steps)

    def add(member: Candidate) -> None:
        made.members.append(member)
        if on_member is not None:
            on_member(member)

    tell("simple forecasts", 0)
    with interrupts(made):
        smoothing_seconds = SHARE_OF_SMOOTHING * max_time
        for member in simple_members(data, smoothing_seconds=smoothing_seconds, notes=made.notes, **bounds):
            add(member)
    cycle = best_cycle(made.members, data) if chosen else None
    look_back = best_look_back(made.members, data) if chosen else None
    seen = with_look_back(data, look_back)
    wanted = [network for network in networks(seen, cycle, **options) if network.name in chosen]
    with work_folder() as folder:
        for number, network in enumerate(wanted):
            if made.interrupted:
                made.notes.append(f"{network.title}: not trained, after an interrupt")
                continue
            tell(network.title, 1 + number)
            left = of_training * max_time - (time.monotonic() - started)
            one = train_member(
                network,
                _builder(network.name, cycle, options),
                seen,
                made,
                share=left * network.weight / sum(one.weight for one in wanted[number:]),
                seed=seed,
                epochs=epochs,
                folder=Path(folder) / network.name,
                tell=partial(_tell_part, tell, network.title, 1 + number),
            )
            if one is not None:
                add(over_whole_windows(one, data, look_back))
    windows = []
    if origins and not made.interrupted:
        windows = windows_at_origins(
            made.members,
            origins,
            made,
            seconds=max_time - (time.monotonic() - started),
            tell=lambda number: tell("earlier origins", 1 + len(chosen) + number),
        )
    if origins and len(windows) < len(origins):
        made.notes.append("weighed at fewer origins than planned, after an interrupt")
    tell("weights", steps)
    weighed = weigh(made.members, data, bounds, windows)
    return Portfolio(
        members=made.members,
        weights=weighed.weights,
        errors=weighed.errors,
        error=weighed.error,
        ensemble=weighed.ensemble,
        series_weights=weighed.series_weights,
        validation=weighed.windows,
        origins=max(1, len(windows)),
        notes=made.sentences,
        seconds=time.monotonic() - started,
    )


def _tell_part(tell: Callable[[str, float], None], title: str, before: int, done: float) -> None:
    tell(title, before + done)


def _builder(name: str, cycle: int | None, options: Mapping[str, Any]) -> Build:
    """Return what makes a network for any data."""
    return lambda data: named_network(name, data, cycle, **options).build()
