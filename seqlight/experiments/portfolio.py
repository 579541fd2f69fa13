"""Several forecasters in a given time, and their weighted mean."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

from seqlight.data import WindowDataModule
from seqlight.evaluation import WindowForecasts, forecast_windows
from seqlight.experiments.candidates import Candidate, trained
from seqlight.experiments.ensemble_weights import ScoredCells, combined, weights_of_series
from seqlight.experiments.members import Network, networks, simple_members
from seqlight.experiments.selection import best_row, deciding_error
from seqlight.experiments.time_shares import schedule
from seqlight.experiments.training import TrainingError, fit
from seqlight.models import EnsembleForecaster, Forecaster, WindowForecaster, load
from seqlight.whole_files import work_folder

MOST_CELLS = 4_000_000
"""Cells of forecasts that members are judged on; of more, windows at even distances are taken."""

LEAST_HORIZONS = 8
"""Horizons, one behind the other, that a series' validation windows span before it has weights of its own."""

ENSEMBLE = "ensemble"


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
        notes: what was left out or cut short, and why, one sentence each.
        seconds: wall-clock time of all.
    """

    members: list[Candidate]
    weights: dict[str, float]
    errors: dict[str, float]
    error: str
    ensemble: Candidate | None
    series_weights: dict[str, list[float]]
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


@dataclass
class _Making:
    """What there is so far."""

    members: list[Candidate] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False


def portfolio(
    data: WindowDataModule,
    *,
    max_time: float = 300.0,
    seed: int = 0,
    names: Sequence[str] | None = None,
    epochs: int | None = None,
    progress: bool = False,
    on_member: Callable[[Candidate], None] | None = None,
    **options: Any,
) -> Portfolio:
    """Train what the time allows, the simplest first, and weigh it on the validation part.

    Simple forecasts come first: the last value, the last day, week or year, least squares with and without a
    learned cycle. Networks follow, each with its share of the time that is left; a training is made as long
    as its share, so that its learning rate has come down when the time is up. One for which there is no time
    is left out. An interrupt (Ctrl-C) ends the training that is running, whose best epoch so far is kept, and
    starts no other.

    Weights are found by greedy selection (:func:`~seqlight.experiments.ensemble_weights.greedy_weights`), for
    all series together, and for a series by itself where its validation windows span enough horizons. The
    ensemble is never worse than the best member on the validation windows.

    Args:
        data: a DataModule that is set up, with a validation part.
        max_time: seconds for all trainings together. Simple forecasts and the judging are made whatever it
            says.
        seed: of all random numbers.
        names: networks to train, of ``"segment_rnn"``, ``"es_rnn"``, ``"lstm"``, ``"tcn"``; None for all.
        epochs: of each network; None for as many as the time allows, up to the usual number.
        progress: show bars, on a terminal.
        on_member: called with each member once it is made.
        options: ``bounds``, ``nonnegative``, ``integer``, and the LSTM's ``hidden_size`` and ``num_layers``.

    Raises:
        ValueError: an unknown name, a time that is none, or no validation part.

    """
    started = time.monotonic()
    if not max_time >= 0:
        raise ValueError(f"max_time: expected seconds, at least 0, got {max_time}")
    if not len(data.dataset("val")):
        raise ValueError("data: there is no validation part to weigh members by; give it a val_size")
    made = _Making()
    bounds = {name: value for name, value in options.items() if name in ("bounds", "nonnegative", "integer")}
    known = [network.name for network in networks(data, **options)]
    for name in names or ():
        if name not in known:
            raise ValueError(f"names: expected some of {', '.join(map(repr, known))}, got {name!r}")

    def add(member: Candidate) -> None:
        made.members.append(member)
        if on_member is not None:
            on_member(member)

    with _interrupts(made):
        for member in simple_members(data, **bounds):
            add(member)
    chosen = known if names is None else names
    cycle = _best_cycle(made.members, data) if chosen else None
    wanted = [network for network in networks(data, cycle, **options) if network.name in chosen]
    with work_folder() as folder:
        for number, network in enumerate(wanted):
            if made.interrupted:
                made.notes.append(f"{network.title}: not trained, after an interrupt")
                continue
            left = max_time - (time.monotonic() - started)
            one = _train(
                network,
                data,
                made,
                share=left / (len(wanted) - number),
                seed=seed,
                epochs=epochs,
                folder=Path(folder) / network.name,
                progress=progress,
            )
            if one is not None:
                add(one)
    return _weighed(made, data, started, bounds)


def _best_cycle(members: Sequence[Candidate], data: WindowDataModule) -> int | None:
    """Return the cycle with which least squares are best on the validation part; None where none has one."""
    with_cycle = [
        one for one in members if isinstance(one.predictor, Forecaster) and one.predictor.learned_cycle
    ]
    if not with_cycle:
        return None
    windows = judged_windows(with_cycle, data)
    by_name = {one.name: one for one in with_cycle}
    best = best_row(windows.rows, deciding_error(windows.rows))["model"]
    return by_name[best].predictor.learned_cycle.cycle  # type: ignore[attr-defined]


def _train(
    network: Network,
    data: WindowDataModule,
    made: _Making,
    *,
    share: float,
    seed: int,
    epochs: int | None,
    folder: Path,
    progress: bool,
) -> Candidate | None:
    """Train a network in its share of the time; None, with a note, where nothing comes of it."""
    began = time.monotonic()
    torch.manual_seed(seed)
    planned: dict[str, Any] = {"epochs": epochs}
    if epochs is None:
        found = None if share <= 0 else schedule(network.build(), data, share)
        if found is None:
            made.notes.append(f"{network.title}: left out, {max(share, 0):.0f} s are too short for it")
            return None
        planned = {"epochs": found.epochs, "batches_per_epoch": found.batches_per_epoch}
    failure = ""
    with _interrupts(made):
        try:
            fitted = fit(
                network.build,
                data,
                seed=seed,
                max_time=max(share, 1.0),
                folder=folder,
                progress=progress,
                **planned,
            )
            return trained(network.title, replace(fitted, checkpoint=None))  # its folder goes
        except TrainingError as error:
            failure = str(error)
    best = folder / "best.ckpt"
    if failure or not best.exists():
        made.notes.append(f"{network.title}: left out, {failure or 'interrupted before its first epoch'}")
        return None
    made.notes.append(f"{network.title}: interrupted, its best epoch so far is used")
    return Candidate(network.title, load(best), seconds=time.monotonic() - began)


@contextmanager
def _interrupts(made: _Making) -> Iterator[None]:
    """Take an interrupt for the end of what is being made; Lightning turns it into an exit of the process."""
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if in_main else None
    try:
        yield
    except KeyboardInterrupt:
        made.interrupted = True
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise  # it is not Lightning's
        made.interrupted = True
    finally:
        if in_main and signal.getsignal(signal.SIGINT) != handler:
            signal.signal(signal.SIGINT, handler)


def _weighed(made: _Making, data: WindowDataModule, started: float, bounds: dict[str, Any]) -> Portfolio:
    """Judge all members and join those that have weight."""
    names = [member.name for member in made.members]
    windows = judged_windows(made.members, data)
    preds = torch.stack([windows.forecasts[name].point for name in names])
    scale, error = windows.scale, "mase"
    if scale is None or not bool(scale.isfinite().any()):
        scale, error = torch.ones(windows.target.shape[0], windows.target.shape[2]), "mae"
    cells = ScoredCells(windows.target, windows.known, scale)
    weights, own = weights_of_series(
        preds, cells, windows.series_index, windows.start, least_horizons=LEAST_HORIZONS
    )
    count = cells.counts.sum().double()
    errors = {name: float(cells.sums(preds[index]).sum() / count) for index, name in enumerate(names)}
    ensemble, series_weights = None, {}
    taken = _taken(weights, own)
    if len(taken) > 1:
        began = time.monotonic()
        series_weights = {
            data.series_ids[series]: row[taken].double().tolist() for series, row in sorted(own.items())
        }
        joined = EnsembleForecaster.of(
            [made.members[index].predictor for index in taken],  # type: ignore[misc]
            weights[taken].double().tolist(),
            series_ids=list(series_weights) or None,
            series_weights=list(series_weights.values()) or None,
            **bounds,
        )
        joined.use_series(data.series_ids)
        rows = torch.stack([own.get(int(one), weights) for one in windows.series_index])
        mean = joined.bounds.apply(combined(preds, rows))
        error_of_mean = float(cells.sums(mean).sum() / count)
        if error_of_mean < min(errors.values()):
            errors[ENSEMBLE] = error_of_mean
            ensemble = Candidate(ENSEMBLE, joined, seconds=time.monotonic() - began)
    if ensemble is None:  # of equals the simplest, and so the first
        best = min(names, key=lambda name: errors[name] if math.isfinite(errors[name]) else math.inf)
        weights, series_weights = torch.tensor([float(name == best) for name in names]), {}
    return Portfolio(
        members=made.members,
        weights=dict(zip(names, weights.tolist(), strict=True)),
        errors=errors,
        error=error,
        ensemble=ensemble,
        series_weights=series_weights,
        notes=made.notes,
        seconds=time.monotonic() - started,
    )


def _taken(weights: Tensor, own: dict[int, Tensor]) -> list[int]:
    """Return the members that have weight for some series."""
    used = torch.stack([weights, *own.values()]).amax(0) > 0
    return used.nonzero().flatten().tolist()


def judged_windows(members: Sequence[Candidate], data: WindowDataModule) -> WindowForecasts:
    """Forecast the windows of the validation part by all members, of many windows some at even distances."""
    dataset = data.dataset("val")
    cells = data.prediction_length * data.target_size * len(members)
    count = min(len(dataset), max(1, MOST_CELLS // cells))
    numbers = torch.linspace(0, len(dataset) - 1, count).round().to(torch.int64).unique()
    batches = [dataset.__getitems__(some) for some in numbers.split(256)]
    return forecast_windows({member.name: member.predictor for member in members}, batches, part="val")
