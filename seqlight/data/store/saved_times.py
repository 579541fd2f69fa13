"""Frequencies and formats of times as plain data, to be kept in a file and made again."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from seqlight.data.time.calendar_format import CalendarFormat
from seqlight.data.time.interval_format import IntervalFormat
from seqlight.data.time.month_rules import MonthRuleFrequency, SemiMonthFrequency
from seqlight.data.time.number_formats import NumberFormat
from seqlight.data.time.step_names import StepNames
from seqlight.data.time.steps import BusinessDayFrequency, FixedFrequency, MonthFrequency
from seqlight.data.time.week_pattern import WeekPatternFrequency

_CLASSES = {
    cls.__name__: cls
    for cls in (
        BusinessDayFrequency,
        CalendarFormat,
        FixedFrequency,
        IntervalFormat,
        MonthFrequency,
        MonthRuleFrequency,
        NumberFormat,
        SemiMonthFrequency,
        StepNames,
        WeekPatternFrequency,
    )
}


def to_plain(value: Any) -> Any:
    """Return a frequency or a format, and what it is made of, as dicts and lists that JSON can hold.

    Raises:
        TypeError: it holds something else.
    """
    if is_dataclass(value) and type(value).__name__ in _CLASSES:
        made_of = {field.name: to_plain(getattr(value, field.name)) for field in fields(value) if field.init}
        return {"class": type(value).__name__, "fields": made_of}
    if isinstance(value, tuple):
        return {"tuple": [to_plain(one) for one in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} cannot be kept in a file")


def from_plain(plain: Any) -> Any:
    """Return what :func:`to_plain` was given.

    Raises:
        KeyError: a class that is not known here.
    """
    if isinstance(plain, Mapping):
        if "tuple" in plain:
            return tuple(from_plain(one) for one in plain["tuple"])
        return _CLASSES[plain["class"]](
            **{name: from_plain(value) for name, value in plain["fields"].items()}
        )
    return plain
