"""What a portfolio is made of, the simplest first."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from seqlight.data import WindowDataModule
from seqlight.data.store.splits import training_rows
from seqlight.data.time.calendar_features import FEATURE_WIDTH, HOLIDAYS
from seqlight.experiments.candidates import Candidate
from seqlight.experiments.exponential_smoothing import exponential_smoothing
from seqlight.experiments.look_back import over_whole_windows, shorter_look_back, with_look_back
from seqlight.experiments.networks import build_forecaster
from seqlight.experiments.seasons import learnable_cycles, seasons
from seqlight.experiments.simple_forecasts import EQUATION_BYTES, linear_candidate, windows_to_solve
from seqlight.experiments.sizes import COVARIATES, forecaster_arguments, window_arguments
from seqlight.models import (
    ESRNNForecaster,
    Forecaster,
    LinearForecaster,
    NaiveForecaster,
    SeasonalNaiveForecaster,
    SegmentRNNForecaster,
)

SPREAD_OF_SCALES = 10.0
"""Series whose deviations differ more than so many times are not one scale to a network."""

ROBUST = "linear (robust)"


@dataclass(frozen=True)
class Network:
    """A member that is trained by steps.

    Attributes:
        name: what ``--model`` and :func:`seqlight.experiments.portfolio` call it.
        title: what tables call it.
        build: makes it untrained.
        weight: its part of the time, where there is too little for all.
    """

    name: str
    title: str
    build: Callable[[], Forecaster]
    weight: float = 1.0


def simple_members(
    data: WindowDataModule, *, smoothing_seconds: float, notes: list[str], **bounds: Any
) -> Iterator[Candidate]:
    """Make the members that need no training by steps, one by one, the simplest first.

    Args:
        data: a DataModule that is set up.
        smoothing_seconds: for all fits of exponential smoothing.
        notes: a sentence is added for what is left out.
        bounds: ``bounds``, ``nonnegative`` and ``integer`` of :class:`seqlight.models.Forecaster`.

    """
    sizes = window_arguments(data) | bounds
    yield Candidate("naive", NaiveForecaster(**sizes))
    for season in seasons(data):
        if season <= data.context_length:
            model = SeasonalNaiveForecaster(season_length=season, **sizes)
            yield Candidate(f"seasonal naive ({season})", model)
    smoothing = exponential_smoothing(data, smoothing_seconds, notes, **bounds)
    if smoothing is not None:
        yield smoothing
    linear = linear_candidate(data, **bounds)
    if linear is not None:
        yield linear
    for cycle in (None, *learnable_cycles(data)):
        robust = robust_candidate(data, cycle, **bounds)
        if robust is not None:
            yield robust
    look_back = shorter_look_back(data)
    if look_back is not None:
        robust = robust_candidate(with_look_back(data, look_back), None, **bounds)
        if robust is not None:
            name = f"{ROBUST[:-1]}, last {look_back} steps)"
            yield over_whole_windows(replace(robust, name=name), data, look_back)


def robust_candidate(data: WindowDataModule, cycle: int | None, **bounds: Any) -> Candidate | None:
    """Return :func:`robust_linear` as a candidate; None where memory does not suffice."""
    started = time.monotonic()
    model = robust_linear(data, cycle, **bounds)
    if model is None:
        return None

    def again(more: WindowDataModule, max_time: float | None) -> Candidate:
        made = robust_candidate(more, cycle, **bounds)
        assert made is not None  # memory does not depend on the number of windows
        return made

    name = ROBUST if cycle is None else f"cycle ({cycle}) + linear"
    return Candidate(name, model, seconds=time.monotonic() - started, again=again)


def robust_linear(
    data: WindowDataModule, cycle: int | None = None, *, targets_alone: bool | None = None, **bounds: Any
) -> LinearForecaster | None:
    """Return the linear forecast in which each window counts by its error, not by its square.

    Each channel is forecast from its own past. One set of weights serves all channels and series, each of
    which counts in units of its own MASE, so that neither rare events nor series of a large scale decide.
    Covariates of the data are inputs; features of the calendar alone are not, for they take the place of the
    windows' steps and a cycle says the same.

    Args:
        data: a DataModule that is set up.
        cycle: steps of a cycle whose mean shape is taken away first.
        targets_alone: leave all covariates out; None leaves out those of the calendar alone.
        bounds: as in :func:`simple_members`.

    Returns:
        The forecaster, or None where the equations take more than ``EQUATION_BYTES``.

    """
    alone = not _knows_more_than_the_clock(data) if targets_alone is None else targets_alone
    model = LinearForecaster(
        **(window_arguments(data) | {"targets_alone": True} if alone else forecaster_arguments(data)),
        cycle=cycle,
        channels="independent",
        transform=transform_of(data),
        loss=loss_of(data),
        **bounds,
    )
    cells = data.context_length * model.input_size  # those of the future's rows are few beside them
    matrices = 1 + data.prediction_length * bool(np.isnan(data.store.values).any())
    if 8 * matrices * cells**2 > EQUATION_BYTES:
        return None
    return model.solve(windows_to_solve(data, model))


def _knows_more_than_the_clock(data: WindowDataModule) -> bool:
    """Return whether there are covariates beside features of the calendar; holidays are such covariates."""
    clock = [name for name in getattr(data, "calendar_features", ()) if not name.startswith(HOLIDAYS)]
    sizes = {name: getattr(data, name, None) for name in COVARIATES}
    more = (sizes.pop("future_covariate_size") or 0) > FEATURE_WIDTH * len(clock)
    return more or any(sizes.values())


def loss_of(data: WindowDataModule) -> str:
    """Return the loss of what the portfolio is judged by: ``"mase"``, or ``"mae"`` where there is no MASE."""
    scale = getattr(data, "scale", None)
    return "mae" if scale is None or not bool((np.asarray(scale) > 0).any()) else "mase"


def networks(data: WindowDataModule, cycle: int | None = None, **options: Any) -> list[Network]:
    """Return the networks of a portfolio, in the order in which they are trained.

    Args:
        data: a DataModule that is set up.
        cycle: the cycle that networks learn beside the rest; None for none.
        options: ``bounds``, ``nonnegative``, ``integer``, and the LSTM's ``hidden_size`` and ``num_layers``.

    """
    own = {name: options.pop(name) for name in ("hidden_size", "num_layers") if name in options}
    linear = cache(lambda: robust_linear(data, cycle, targets_alone=True))
    return [
        Network(
            "segment_rnn",
            "segment RNN",
            lambda: _segment_rnn(data, cycle, **options),
            weight=2.0,  # these two have most of the weight on nearly all data
        ),
        Network(
            "linear_rnn",
            "linear + segment RNN",
            lambda: _segment_rnn(data, cycle, linear(), **options),
            weight=2.0,
        ),
        Network("es_rnn", "ES-RNN", lambda: _es_rnn(data, **options)),
        Network(
            "lstm", "peephole LSTM", lambda: build_forecaster("lstm", data, peephole=True, **own, **options)
        ),
        Network("tcn", "TCN", lambda: build_forecaster("tcn", data, dropout=0.1, lr=3e-3, **options)),
    ]


def _segment_rnn(
    data: WindowDataModule, cycle: int | None, linear: LinearForecaster | None = None, **options: Any
) -> SegmentRNNForecaster:
    """Return the network of segments; with a linear forecast of the targets it begins as that.

    Where series nearly repeat themselves, and many are to be learned in little time, the network alone does
    not come to what one solution of equations gives. Where the equations have learned what will not hold, it
    is better off without.
    """
    model = SegmentRNNForecaster(
        **forecaster_arguments(data),
        cycle=cycle,
        segment_length=segment_length(data),
        dropout=0.1,
        linear_skip=linear is not None,
        transform=transform_of(data),
        loss="mae",
        lr=2e-3,
        lr_schedule="one_cycle",
        **options,
    )
    return model if linear is None else model.begin_as(linear)


def _es_rnn(data: WindowDataModule, **options: Any) -> ESRNNForecaster:
    """Return the network of exponential smoothing: factors where all values are above 0, else summands."""
    values = data.store.values
    if hasattr(data, "ends"):  # what comes after a backtest's cutoff is not known
        values = values[training_rows(data.store.indptr, data.ends)]
    with np.errstate(invalid="ignore"):
        positive = bool(np.nanmin(values) > 0)
    season = data.season_length if data.season_length in learnable_cycles(data) else 1
    return ESRNNForecaster(
        **forecaster_arguments(data),
        series_ids=data.series_ids,
        season_length=season,
        transform="log" if positive else "instance",
        lr=3e-3,
        lr_schedule="one_cycle",
        **options,
    )


def segment_length(data: WindowDataModule) -> int:
    """Return the steps of a segment: those of the shortest season or of a part of it.

    A window has at least four segments and a segment at most 48 steps.
    """
    most = max(1, min(48, data.context_length // 4))
    season = next(iter(seasons(data)), most)
    if season <= most:
        return season
    divisors = [length for length in range(1, most + 1) if season % length == 0]
    return divisors[-1] if divisors[-1] >= min(4, most) else most


def transform_of(data: WindowDataModule) -> str:
    """Return the transform for networks that forecast the change from a window's last value.

    Series of one scale keep it: how large a window's changes are then tells how large the next ones are.
    Where scales differ, each window has its own.
    """
    values, store = data.store.values, data.store
    stops = store.indptr[:-1] + data.split.train_stop if hasattr(data, "split") else store.indptr[1:]
    with np.errstate(invalid="ignore"):
        deviations = np.array(
            [
                np.nanstd(values[first:stop], axis=0) if np.isfinite(values[first:stop]).any() else np.nan
                for first, stop in zip(store.indptr[:-1], stops, strict=True)
            ]
        ).reshape(len(store.indptr) - 1, -1)
    for channel in deviations.T:
        positive = channel[np.isfinite(channel) & (channel > 0)]
        if len(positive) and positive.max() > SPREAD_OF_SCALES * positive.min():
            return "instance + last"
    return "standard + last"
