"""What there is to fill: reads the file, without torch, and settles what the user left open."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from seqlight.cli.errors import CommandError
from seqlight.cli.impute.arguments import ImputeArguments
from seqlight.cli.input_arguments import dialect_of, source_name, source_of
from seqlight.cli.sizes import choose_calendar_features
from seqlight.cli.time_column import found_line, found_options, found_reading
from seqlight.cli.wording import as_options, percent
from seqlight.data import CSVDialect, DataError, read_table
from seqlight.data.io.column_names import column_names
from seqlight.data.io.detect import Reading
from seqlight.data.io.dialect import Layout
from seqlight.data.io.samples import SAMPLE_ROWS, is_empty, sample_of
from seqlight.data.io.sources import SeveralFiles, open_source
from seqlight.data.store.timed_rows import TimedRows, absent_rows, read_timed_rows
from seqlight.data.windows.held_out import gap_pattern

NETWORKS = ("rnn", "conv")
LEAST_KNOWN = 60  # known cells below which a network has nothing to learn from
DEFAULT_WINDOW = 168
LARGEST_WINDOW = 672
GAPS_IN_WINDOW = 4  # of the longest gap: both sides of it must be seen


@dataclass(frozen=True)
class ImputePlan:
    """The settled columns, sizes and methods, and what is to be said about the data.

    ``methods`` are the ways of filling to compare, empty where no cell is missing; ``missing`` counts the
    empty cells of each target; ``source`` is the open file. ``longest_gap`` is in rows. ``notes`` are
    sentences for the user.
    """

    source: Any
    time: list[str]
    ids: list[str]
    targets: list[str]
    layout: Layout
    methods: tuple[str, ...]
    missing: dict[str, int]
    window_length: int
    longest_gap: int
    batch_size: int
    calendar_features: list[str]
    description: str
    notes: list[str]


def plan(given: ImputeArguments) -> ImputePlan:
    """Read the file and choose what was not given.

    Raises:
        CommandError: there is no column to fill, a new column's name is taken, or too little is known.
        seqlight.data.DataError: the file cannot be read or its series are not what they should be.
    """
    source = open_source(source_of(given), dialect_of(given), in_memory=True)
    if given.file_id is not None and not isinstance(source, SeveralFiles):
        raise CommandError("--file-id: names series by their files, and there is one file; leave it out")
    reading = found_in(source, given)
    dialect = replace(dialect_of(given), layout=reading.layout)
    time, ids, targets = list(reading.time_cols), list(reading.id_cols), list(reading.target_cols)
    names = column_names(source, dialect)
    if reading.layout == "long":
        if given.targets is None:
            targets += late_columns(source, dialect, reading)
            targets.sort(key=names.index)
        check_numeric(targets, given)
    if given.insert_rows and not (time and reading.layout != "rows"):
        why = "the rows have no times" if not time else "each row is a series, whose times are columns"
        raise CommandError(f"--insert-rows: {why}, so that no row could be added; leave it out")
    for name in [*targets, *(names if reading.layout == "wide" else [])]:
        if name + given.suffix in names:
            raise CommandError(
                f"{given.csv}: there is a column {name + given.suffix!r} already, the name of a new one; "
                "choose another --suffix"
            )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            rows = read_timed_rows(
                source,
                time_col=time,
                target_cols=targets,
                id_col=ids,
                dialect=dialect,
                time_format=given.time_format,
                insert_rows=given.insert_rows,
                frequency=given.frequency,
            )
        except DataError as error:
            if given.targets is None and "expected a number" in str(error):
                raise DataError(f"{error}; or name the columns to fill with target_cols") from None
            raise
    found = found_line(found_options(given, reading, every_target=True))
    notes = [found] if found else []
    notes += list(dict.fromkeys(as_options(str(warning.message)) for warning in caught))
    if not given.insert_rows:
        absent, step_name = absent_rows(rows)
        if absent:
            notes.append(
                f"{absent:,} row{'s are' if absent > 1 else ' is'} absent from a grid of {step_name}: to the "
                "models that is a longer time between rows; --insert-rows adds and fills them"
            )
    observed = ~np.isnan(rows.store.values)
    missing = dict(zip(targets, (~observed).sum(0).tolist(), strict=True))
    longest = int(gap_pattern(observed, rows.store.indptr).lengths.max())
    window = given.window or min(max(DEFAULT_WINDOW, GAPS_IN_WINDOW * longest), LARGEST_WINDOW)
    window = min(window, int(rows.store.lengths.max()))
    step, span = step_and_span(rows)
    return ImputePlan(
        source=source,
        time=time,
        ids=ids,
        targets=targets,
        layout=reading.layout,
        methods=choose_methods(given, int(observed.sum()), any(missing.values()), notes),
        missing=missing,
        window_length=window,
        longest_gap=max(1, min(longest, window // 3)),
        batch_size=16 if window <= 2 * DEFAULT_WINDOW else 8,
        calendar_features=choose_calendar_features(step, span),
        description=describe(given, rows, missing),
        notes=notes,
    )


def found_in(source: Any, given: ImputeArguments) -> Reading:
    """The columns and the layout of the file, those found that were not given.

    Raises:
        CommandError: there are several to choose from.
    """
    return found_reading(source, dialect_of(given), given, "impute", every_target=True)


def late_columns(source: Any, dialect: CSVDialect, reading: Reading) -> list[str]:
    """The columns without a cell in the first rows that hold numbers further down."""
    sample = sample_of(source, dialect)
    taken = {*reading.time_cols, *reading.id_cols, *reading.target_cols}
    found = []
    for name in sample.frame.columns:
        if name in taken or sample.frame.height < SAMPLE_ROWS or not is_empty(sample.frame[name], dialect):
            continue
        try:
            table = read_table(source, time_cols=reading.time_cols, target_cols=[name], dialect=dialect)
        except DataError:  # it holds text
            continue
        if np.isfinite(table.values).any():
            found.append(name)
    return found


def check_numeric(found: list[str], given: ImputeArguments) -> None:
    """Raise :class:`CommandError` where there is no column to fill."""
    if not found:
        raise CommandError(
            f"{given.csv}: no column holds numbers only; name the column to fill with --target (and say "
            "--decimal-comma if numbers are written 1,5)"
        )


def choose_methods(
    given: ImputeArguments, known: int, any_missing: bool, notes: list[str]
) -> tuple[str, ...]:
    """The methods to compare: the chosen one, or all, and always the two that need no training."""
    simple = ("linear", "last")
    if not any_missing:
        return ()
    wanted = NETWORKS if given.model == "auto" else tuple({given.model} & set(NETWORKS))
    if known < LEAST_KNOWN and given.model in NETWORKS:
        raise CommandError(
            f"--model {given.model}: {known} known cells are too few to train on, {LEAST_KNOWN} are needed; "
            "use --model linear"
        )
    if known < LEAST_KNOWN and wanted:
        notes.append(f"{known} known cells are too few to train on: linear interpolation or last value")
        wanted = ()
    return (*wanted, *simple)


def step_and_span(rows: TimedRows) -> tuple[float, float]:
    """Median step and span of the longest series, in microseconds; 0 where rows have no times."""
    if not rows.has_times:
        return 0.0, 0.0
    longest = int(np.argmax(rows.store.lengths))
    times = rows.times[slice(*rows.store.indptr[longest : longest + 2])]
    if len(times) < 2:
        return 0.0, 0.0
    return float(np.median(np.diff(times))), float(times[-1] - times[0])


def describe(given: ImputeArguments, rows: TimedRows, missing: dict[str, int]) -> str:
    """One line: number and length of the series, added rows, and what is empty."""
    lengths = rows.store.lengths
    low, high = int(lengths.min()), int(lengths.max())
    length = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    series = f"{len(lengths)} series of {length} rows" if len(lengths) > 1 else f"{length} rows"
    added = int((rows.order < 0).sum())
    parts = [f"{source_name(given)}: {series}"]
    if given.insert_rows:
        parts.append(f"{added:,} of them added" if added else "no row is absent")
    empty, cells = sum(missing.values()), rows.store.values.size
    columns = sum(count > 0 for count in missing.values())
    if empty:
        several = f" in {columns} of {len(missing)} columns" if len(missing) > 1 else ""
        parts.append(f"{empty:,} empty cell{'s' * (empty != 1)}{several} ({percent(empty / cells)})")
    return ", ".join(parts)
