"""What there is to forecast: reads the file, without torch, and settles what the user left open."""

import warnings
from dataclasses import dataclass

import numpy as np

from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.arguments import ForecastArguments
from seqlight.cli.input_arguments import dialect_of, source_name, source_of
from seqlight.cli.level_arguments import LevelArguments, bound_columns
from seqlight.cli.series_arguments import SeriesArguments, holiday_features
from seqlight.cli.sizes import (
    choose_batch_size,
    choose_calendar_features,
    choose_calibration_size,
    step_and_span,
)
from seqlight.cli.wording import as_options, percent
from seqlight.data import SeriesFile, SeriesStore
from seqlight.data.store.origins import forecast_origins, origin_note
from seqlight.data.store.window_sizes import MAX_DEFAULT_HORIZON, choose_sizes

WHOLE_TEST = 0.2
TEST_BESIDE_CALIBRATION = 0.1
WINDOWS_IN_PARTS = 4  # one horizon each of training, validation, calibration and test


@dataclass(frozen=True)
class ForecastPlan:
    """The series, the settled sizes in steps of them, and what is to be said about them.

    ``calendar_features`` are names that ``CSVDataModule`` takes; ``begins`` says where the forecast begins,
    ``notes`` are more sentences for the user. ``calibration_size`` and ``test_size`` are those parts as the
    data module takes them. ``horizon_cut`` tells that the series are too short for a season ahead.
    """

    store: SeriesStore
    context_length: int
    prediction_length: int
    season_length: int
    batch_size: int
    calendar_features: list[str]
    description: str
    begins: str
    notes: list[str]
    calibration_size: float | int = 0.0
    test_size: float = WHOLE_TEST
    horizon_cut: bool = False


def plan(given: SeriesArguments) -> ForecastPlan:
    """Read the file and choose what was not given.

    Raises:
        seqlight.data.DataError: the file cannot be read or its series are not what they should be.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        store = read_store(given)
    season = given.season
    if season is None:
        season = 1 if store.grid is None else store.grid.frequency.season_length
    length = int(np.median(store.ends))
    context, horizon = choose_sizes(length, season, horizon=given.horizon, context=given.context)
    notes = [as_options(str(warning.message)) for warning in caught]
    origins = forecast_origins(store, given.origin, context)
    levels = given.levels if isinstance(given, LevelArguments) else ()
    if store.ends.max() < context + horizon * WINDOWS_IN_PARTS:
        levels = ()  # too short for a calibration part beside the others: a forecast without intervals
    return ForecastPlan(
        store=store,
        context_length=context,
        prediction_length=horizon,
        season_length=season,
        batch_size=choose_batch_size(int(store.ends.sum())),
        calendar_features=[
            *([] if store.grid is None else choose_calendar_features(*step_and_span(store))),
            *holiday_features(given, store),
        ],
        description=describe(store, given),
        begins=as_options(origin_note(store, origins, context)),
        notes=notes,
        calibration_size=choose_calibration_size(length, horizon, levels, len(store)),
        test_size=TEST_BESIDE_CALIBRATION if levels else WHOLE_TEST,
        horizon_cut=given.horizon is None and horizon < min(season, MAX_DEFAULT_HORIZON),
    )


def check_columns(given: ForecastArguments) -> None:
    """Raise :class:`CommandError` if a column of bounds would have the name of another column."""
    taken = {*given.targets, *(given.id or []), *(given.time or [])}
    for target in given.targets:
        for name in bound_columns(target, given.levels):
            if name in taken:
                raise CommandError(
                    f"--level: the column {name!r} of bounds would be written beside a column of that name; "
                    "rename it, or pass other levels or --no-intervals"
                )


def check_model(model: str, plan: ForecastPlan) -> None:
    """Raise :class:`CommandError` if ``--model`` asks for the seasonal naive forecast and no season fits."""
    season, context = plan.season_length, plan.context_length
    if model != "seasonal" or 1 < season <= context:
        return
    if season <= 1:
        raise CommandError("--model seasonal: these data have no season; give its steps, 2 or more: --season")
    raise CommandError(
        f"--model seasonal: a season of {season} steps does not fit in the context of {context}; "
        f"give a longer --context or a shorter --season"
    )


def read_store(given: SeriesArguments) -> SeriesStore:
    """The series of the file, on their time grids."""
    file = SeriesFile(
        source_of(given),
        time_col=given.time,
        target_cols=given.targets,
        id_col=given.id,
        past_covariate_cols=given.past_covariates,
        future_covariate_cols=given.future_covariates,
        static_cols=given.static,
        future=given.future,
        static=given.static_file,
        missing=given.missing,
        frequency=given.frequency,
        time_format=given.time_format,
        round=given.round,
        as_of=given.as_of,
        dialect=dialect_of(given),
    )
    return file.read().store


def describe(store: SeriesStore, given: SeriesArguments) -> str:
    """One line: number and length of the series, their step and dates, and the share of missing cells."""
    lengths = store.ends  # what comes later is the future
    length = (
        f"{lengths.min():,}" if lengths.min() == lengths.max() else f"{lengths.min():,} to {lengths.max():,}"
    )
    count = len(store)
    longest = int(np.argmax(lengths))
    first, last = (store.time_text(longest, position) for position in (0, max(int(lengths[longest]) - 1, 0)))
    gaps = int(np.isnan(store.values).sum()) - int((store.lengths - lengths).sum()) * store.values.shape[1]
    missing = gaps / (int(lengths.sum()) * store.values.shape[1])
    parts = [
        f"{source_name(given)}: {count} series of {length} steps"
        if count > 1
        else f"{source_name(given)}: {length} steps",
        f"{first} to {last}" if store.grid is None else f"of {store.grid.frequency.name}, {first} to {last}",
    ]
    if missing:
        parts.append(f", {percent(missing)} missing")
    return f"{parts[0]} {parts[1]}{''.join(parts[2:])}"
