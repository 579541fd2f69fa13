"""Numbers, times and names as text."""

import numpy as np
import pytest

from seqlight.report.charts import _number
from seqlight.report.names import clean, plain
from seqlight.report.numbers import (
    Digits,
    count,
    duration,
    own_decimals,
    percent,
    ratio,
    time_style,
    time_text,
)


@pytest.mark.parametrize(
    ("values", "value", "text"),
    [
        ([1, 5, 12], 7.26, "7.3"),  # counts: one decimal more than their own
        ([1520, 1683, 2204], 1604.4449, "1,604"),  # four significant digits
        ([0.12, 0.5, 0.33], -0.5, "\u22120.500"),
        ([1.5, 2.25, 3.125], 2.0, "2.000"),
        (np.float32([25.3, 31.7, 18.4]), 25.349, "25.35"),  # float32 noise is no decimals
        ([1e9, 2.5e9], 1_234_567_890.4, "1,234,567,890"),
        ([1.25, 2.5, 1e9], 1_234_567_890.4, "1,234,567,890"),  # no digits that float32 does not have
        ([1.25, 2.5, 1e9], 123_456.78, "123,456.78"),
        ([1e-9, 3e-9], 2e-9, "2.000e-09"),
        ([1e20, 2e20], 1.5e20, "1.500e+20"),
        ([np.nan, np.nan], 3.4, "3"),
        ([100, 200], float("nan"), "\u2013"),
        ([100, 200], 0.004, "0.004"),  # not 0.0, for it is not nothing
        ([100, 200], 0.0, "0.0"),
    ],
)
def test_digits(values: list[float], value: float, text: str) -> None:
    assert Digits.of(values).text(value) == text


def test_errors_have_three_digits_at_least() -> None:
    digits = Digits.of([1520, 1683, 2204])
    assert [digits.error(error) for error in (83.26, 8.326, 0.8326, 1234.5, 0.0)] == [
        "83.3",
        "8.33",
        "0.833",
        "1,234",
        "0",
    ]


@pytest.mark.parametrize(
    ("values", "decimals"), [([1, 2], 0), ([1.5], 1), ([0.123456789], 6), ([1e7 + 0.5], 0), ([3.25, 1], 2)]
)
def test_own_decimals(values: list[float], decimals: int) -> None:
    assert own_decimals(np.array(values, np.float64)) == decimals


def test_shares() -> None:
    shares = [0.0, 1.0, 0.84, 0.001, 0.0001, 0.9999, -0.163, float("nan")]
    assert [percent(share).replace("\u00a0", " ") for share in shares] == [
        "0 %",
        "100 %",
        "84 %",
        "0.1 %",
        "< 0.1 %",
        "> 99.9 %",
        "\u221216 %",
        "\u2013",
    ]
    assert [ratio(value) for value in (0.40372, 0.49999, 12.34, 1234.5, 0.00012, float("inf"))] == [
        "0.404",
        "0.500",
        "12.3",
        "1,234",
        "1.2e-04",
        "\u2013",
    ]
    assert [duration(seconds) for seconds in (None, 0.44, 75.2, 3_725.0)] == [
        "",
        "0.4 s",
        "1 min 15 s",
        "1 h 02 min",
    ]
    assert (count(1, "series", "series"), count(1200, "step")) == ("1 series", "1,200 steps")


@pytest.mark.parametrize(
    ("begin", "step", "style", "text"),
    [
        ("1990", "Y", "year", "1991"),
        ("1990-01", "M", "month", "1990-02"),
        ("2024-01-30", "D", "day", "2024-01-31"),
        ("2024-01-31T06", "h", "minute", "2024-01-31 07:00"),
        ("2024-01-31T06:00:01", "s", "second", "2024-01-31 06:00:02"),
        ("2024-01-31T06:00:01.100", "ms", "fraction", "2024-01-31 06:00:01.101"),
    ],
)
def test_times(begin: str, step: str, style: str, text: str) -> None:
    times = (np.datetime64(begin, step) + np.arange(20)).astype("datetime64[us]")
    assert time_style([times]) == style
    assert time_text(times[1], style) == text


def test_steps_are_numbers() -> None:
    assert time_style([np.arange(5)]) == "step"
    assert time_text(np.int64(1200), "step") == "1,200"


def test_names_do_no_harm() -> None:
    assert clean("a\x00b\ud800c\x1b[31m\ufffe") == "a\ufffdb\ufffdc\ufffd[31m\ufffd"
    assert plain("  two\n lines\t ") == "two lines"
    assert plain("x" * 300) == "x" * 59 + "…"
    assert plain("\u202egnirts") == "\u2068\u202egnirts\u2069"
    assert plain("\u05e2\u05d1") == "\u2068\u05e2\u05d1\u2069"


def test_charts_keep_values_far_below_the_digits_of_others() -> None:
    digits = Digits.of([5.0, 1e9])
    assert [_number(value, digits) for value in (2.8513e-9, 5.0, 0.0)] == [2.8513e-9, 5, 0]
