"""Times spread over several columns: a date and a time of day, or year, month, day and hour."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from seqlight.data.errors import DataError
from seqlight.data.time.candidates import date_patterns, time_pattern
from seqlight.data.time.formats import SAMPLE_ROWS
from seqlight.data.time.number_formats import number_text

# What a column of numbers is, by the beginning of its name.
_PARTS = {
    "year": ("year", "yr", "jahr", "annee", "ano", "yyyy", "y"),
    "quarter": ("quarter", "qtr", "quartal", "q"),
    "minute": ("minute", "min", "mi"),
    "month": ("month", "mon", "mo", "monat", "mois", "mes", "mm", "m"),
    "week": ("week", "wk", "kw", "woche", "w"),
    "day_of_year": ("day_of_year", "dayofyear", "doy", "yday"),
    "day": ("day", "tag", "dia", "dd", "d"),
    "hour": ("hour", "hr", "stunde", "std", "hh", "h"),
    "second": ("second", "sec", "ss", "s"),
}
# In the order in which they are written: what stands before each, and its directive.
_WRITTEN = {
    "year": ("", "%Y"),
    "quarter": ("-Q", "%q"),
    "month": ("-", "%m"),
    "week": ("-W", "%V"),
    "day_of_year": ("-", "%j"),
    "day": ("-", "%d"),
    "hour": (" ", "%H"),
    "minute": (":", "%M"),
    "second": (":", "%S"),
}
_POSITIONS = ("year", "month", "day", "hour", "minute", "second")
_START_OF_DAY = r"[ T]0{1,2}:00(?::00(?:\.0+)?)?$"
_LETTER = r"^([QqWw])(\d{1,2})$"  # of a quarter or a week
_DATE_BEFORE = r"^\d{4}-\d{2}-\d{2}[ T]"


@dataclass(frozen=True)
class CombinedTimes:
    """One column of times made of several, and the way back.

    Attributes:
        text: [N] String; null where one of the columns is.
        time_format: the pattern of ``text`` for :func:`parse_times`; None lets it be found.
    """

    text: pl.Series
    time_format: str | None
    _names: tuple[str, ...]
    _order: tuple[str, ...]
    _regex: str
    _prefixes: Mapping[str, str] = field(default_factory=dict)
    _suffixes: Mapping[str, str] = field(default_factory=dict)
    _unpadded: frozenset[str] = frozenset()

    def split(self, text: pl.Series) -> dict[str, pl.Series]:
        """Return times, as their format writes them, spread over the columns they came from.

        Args:
            text: [N] String, such as ``format`` of the found format gives.

        Returns:
            [N] String per column, in the order in which the columns were given.
        """
        parts = {}
        for group, name in enumerate(self._order, 1):
            part = text.str.extract(self._regex, group)
            if name in self._unpadded:
                part = part.str.replace(r"^0+(\d)", "${1}")
            parts[name] = (self._prefixes.get(name, "") + part + self._suffixes.get(name, "")).rename(name)
        return {name: parts[name] for name in self._names}


def combine_time_columns(columns: Mapping[str, pl.Series]) -> CombinedTimes:
    """Join columns that together hold the times into one column of text.

    The columns are a date and a time of day (and a zone), in any order; or numbers, told by their names
    (year, quarter, month, week, day, day of year, hour, minute, second) or else taken in this order: year,
    month, day, hour, minute, second.

    Args:
        columns: name to [N] column: String, integers, floats, Date, Datetime or Time.

    Returns:
        What :func:`parse_times` is to read (``parse_times(combined.text, combined.time_format)``), and
        ``split``, which writes times back into the columns.

    Raises:
        DataError: the columns are no such parts of a time.
    """
    texts = {name: _as_text(column) for name, column in columns.items()}
    samples = {name: text.head(SAMPLE_ROWS).drop_nulls() for name, text in texts.items()}
    empty = next((name for name, sample in samples.items() if sample.is_empty()), None)
    if empty is not None:
        raise DataError(f"time_col: the first rows of column {empty!r} are all empty")
    parts = _number_parts(samples)
    return _combine_numbers(texts, parts) if parts else _combine_texts(texts, samples)


def is_time_of_day(column: pl.Series) -> bool:
    """Return whether a column holds times of day without a date, such as 05:00, 5:30 PM or 13:00:00."""
    if column.dtype == pl.Time:
        return True
    if column.dtype != pl.String:
        return False
    sample = column.head(SAMPLE_ROWS).drop_nulls().str.strip_chars().unique().to_list()
    return bool(sample) and all(_is_time(text) and ":" in text for text in sample)


def _as_text(column: pl.Series) -> pl.Series:
    if column.dtype == pl.String:
        return column.str.strip_chars()
    if column.dtype.is_numeric():
        return number_text(column).str.strip_suffix(".0")
    if column.dtype == pl.Time:
        return column.dt.strftime("%H:%M:%S%.f")
    if column.dtype == pl.Datetime:
        return column.dt.strftime("%Y-%m-%d %H:%M:%S")
    return column.cast(pl.String)


def _number_parts(samples: Mapping[str, pl.Series]) -> dict[str, str]:
    """The part of a time that each column is, name to part; empty where they are no parts by themselves."""
    named: dict[str, str] = {}
    for name in samples:
        word = re.sub(r"[^a-z_]", "", name.strip().lower())
        part = next((part for part, words in _PARTS.items() if word in words), None)
        part = part or next((part for part, words in _PARTS.items() if word.startswith(words[0])), None)
        if part is not None and part not in named.values():
            named[name] = part
    numbers = {
        name: bool(sample.str.replace(_LETTER, "${2}").str.contains(r"^\d{1,4}$").all())
        for name, sample in samples.items()
    }
    months = {n: bool(s.str.contains(r"^[A-Za-z]{3,9}$").all()) for n, s in samples.items()}
    if len(named) == len(samples) and "year" in named.values():
        if all(numbers[n] or (months[n] and named[n] == "month") for n in samples):
            return named
        return {}
    numbers = {name: bool(sample.str.contains(r"^\d{1,4}$").all()) for name, sample in samples.items()}
    if all(numbers.values()) and samples[next(iter(samples))].str.contains(r"^\d{4}$").all():
        return dict(zip(samples, _POSITIONS, strict=False)) if len(samples) <= len(_POSITIONS) else {}
    return {}


def _combine_numbers(texts: Mapping[str, pl.Series], parts: dict[str, str]) -> CombinedTimes:
    order = sorted(parts, key=lambda name: list(_WRITTEN).index(parts[name]))
    present = [parts[name] for name in order]
    needed = {"day": "month", "hour": "day", "minute": "hour", "second": "minute"}
    for part in present:
        before = needed.get(part)
        if part == "hour" and "day_of_year" in present:
            continue
        if before is not None and before not in present:
            raise DataError(
                f"time_col: there is a column of the {part}, but none of the {before}; name that one too"
            )
    pattern, regex, unpadded = "", "^", set()
    prefixes: dict[str, str] = {}
    joined: pl.Series | None = None
    for name, part in zip(order, present, strict=True):
        between, directive = _WRITTEN[part]
        text = texts[name]
        if (
            part in ("quarter", "week")
            and (letter := text.str.extract(_LETTER, 1).drop_nulls().unique()).len()
        ):
            prefixes[name] = letter[0]
            text = text.str.replace(_LETTER, "${2}")
        if part == "year":
            years = int(text.str.len_chars().max() or 0)  # type: ignore[arg-type]
            directive = "%G" if "week" in present else "%Y" if years > 2 else "%y"
        if part == "month" and not bool(text.head(1).str.contains(r"\d").all()):
            directive = "%b" if int(text.str.len_chars().max() or 0) == 3 else "%B"  # type: ignore[arg-type]
        if directive not in ("%b", "%B", "%q", "%Y", "%G"):
            width = 3 if part == "day_of_year" else 2
            if (text.str.len_chars() < width).any():
                unpadded.add(name)
            text = text.str.zfill(width)
        pattern += between + directive
        regex += re.escape(between) + r"([^-: ]+)"
        joined = text if joined is None else joined + between + text
    assert joined is not None  # there is a year at least
    return CombinedTimes(
        joined, pattern, tuple(texts), tuple(order), regex + "$", prefixes, _unpadded=frozenset(unpadded)
    )


def _combine_texts(texts: Mapping[str, pl.Series], samples: Mapping[str, pl.Series]) -> CombinedTimes:
    prefixes: dict[str, str] = {}
    suffixes: dict[str, str] = {}
    bare: dict[str, pl.Series] = {}
    unpadded = set()
    for name, text in texts.items():
        sample = samples[name]
        # A spreadsheet writes a date as its first moment, and a time of day as one of a day in 1899.
        if (start := sample.str.extract(f"({_START_OF_DAY})").unique()).len() == 1 and start[0] is not None:
            suffixes[name] = start[0]
            text = text.str.strip_suffix(start[0])
        elif (date := sample.str.extract(f"({_DATE_BEFORE})").unique()).len() == 1 and date[0] is not None:
            prefixes[name] = date[0]
            text = text.str.strip_prefix(date[0])
        elif _lost_zeros(sample):
            unpadded.add(name)
            text = text.str.zfill(4)
        bare[name] = text
    firsts = {name: text.drop_nulls()[0] for name, text in bare.items()}
    dates = [name for name, first in firsts.items() if list(date_patterns(first))]
    times = [name for name, first in firsts.items() if _is_time(first) and name not in dates[:1]]
    if not dates or not times:
        got = ", ".join(f"{name!r} with {first!r}" for name, first in firsts.items())
        raise DataError(
            "time_col: several columns are to be a date and a time of day, or year, month, day and so on; "
            f"got {got}"
        )
    order = [dates[0], times[0], *(name for name in texts if name not in (dates[0], times[0]))]
    joined, regex = bare[order[0]], f"^({_words(bare[order[0]])})"
    for name in order[1:]:
        joined = joined + " " + bare[name]
        regex += f" ({_words(bare[name])})"
    return CombinedTimes(
        joined, None, tuple(texts), tuple(order), regex + "$", prefixes, suffixes, frozenset(unpadded)
    )


def _lost_zeros(sample: pl.Series) -> bool:
    """Whether these are times of day such as 930 for half past nine."""
    digits = bool(sample.str.contains(r"^\d{1,4}$").all())
    return digits and bool((sample.cast(pl.Int64) > 24).any()) and bool((sample.str.len_chars() < 4).any())


def _is_time(text: str) -> bool:
    ends = re.split(r" ?(?:-|\u2013| to ) ?", text)
    return time_pattern(text) is not None or (
        len(ends) == 2 and all(":" in end and time_pattern(end) is not None for end in ends)
    )


def _words(column: pl.Series) -> str:
    """A regular expression of as many words as the values of a column have."""
    spaces = column.head(SAMPLE_ROWS).drop_nulls().str.count_matches(" ").max()
    return " ".join([r"\S+"] * (int(spaces or 0) + 1))  # type: ignore[arg-type]
