"""The rules that find what is odd: each finds what it is for, at its place, and is quiet on what is not."""

from collections.abc import Callable

import numpy as np
import pytest

from seqlight.report import Rules, Series, find_oddities
from seqlight.report.model import Oddity
from seqlight.report.numbers import Digits
from seqlight.report.oddities import KINDS, counted

N = 600
RULES = Rules(season_length=24, least=48, horizon=24, style="step")


def found(values: np.ndarray, rules: Rules = RULES) -> list[Oddity]:
    series = Series(name="a", unit="y", time=np.arange(len(values)), values=values)
    return find_oddities([series], [Digits.of(values)], rules)


def wave(seed: int = 0, noise: float = 3.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 100 + 30 * np.sin(2 * np.pi * np.arange(N) / 24) + rng.normal(0, noise, N)


def gap(values: np.ndarray) -> None:
    values[200:230] = np.nan
    values[100] = np.nan


def outlier(values: np.ndarray) -> None:
    values[300] = 400


def smaller_outlier(values: np.ndarray) -> None:
    values[300] += 80  # 19 robust standard deviations of the changes, which are 4.2


def two_values_outlier(values: np.ndarray) -> None:
    values[300:302] = 400


def level_step(values: np.ndarray) -> None:
    values[300:] += 200


def small_level_step(values: np.ndarray) -> None:
    values[300:] += 12  # within what one change is, but not within what means are


def jump(values: np.ndarray) -> None:
    values[300:306] += np.array([300, 290, 280, 260, 160, 110])  # decays slowly


def stuck(values: np.ndarray) -> None:
    values[300:330] = 87.5


@pytest.mark.parametrize(
    ("spoil", "kind", "position", "what"),
    [
        (gap, "gap", 200, "2 gaps, 31 missing steps (5\u00a0%); the longest, of 30, begins here"),
        (outlier, "outlier", 300, "400.0 where its neighbours are about"),
        (smaller_outlier, "outlier", 300, " where its neighbours are about"),
        (two_values_outlier, "outlier", 300, "400.0 where"),
        (level_step, "step", 300, "the level goes from about"),
        (small_level_step, "step", 300, "the level goes from about"),
        (jump, "jump", 300, " after 11"),
        (stuck, "stuck", 300, "87.50 repeats 30 times"),
    ],
)
def test_each_kind_is_found_where_it_is(
    spoil: Callable[[np.ndarray], None], kind: str, position: int, what: str
) -> None:
    values = wave()
    spoil(values)
    (odd,) = found(values)
    assert odd.kind == kind
    assert odd.position is not None and abs(odd.position - position) <= (2 if kind == "step" else 0)
    assert what in odd.what


def test_whole_series() -> None:
    (empty,) = found(np.full(50, np.nan))
    assert (empty.kind, empty.time, empty.position) == ("empty", "", None)
    (short,) = found(wave()[:30])
    assert (short.kind, short.what) == ("short", "only 30 known steps, below 48")
    (constant,) = found(np.full(100, 7.0))
    assert (constant.kind, constant.what) == ("constant", "every known value is 7")


def test_a_series_is_counted_once_whatever_its_gaps() -> None:
    assert (counted("gap", 1), counted("ended", 1)) == ("series with gaps", "series that ended")
    assert (counted("jump", 1), counted("jump", 2)) == ("jump", "jumps")


def test_a_series_that_ended() -> None:
    early = Series(name="a", unit="y", time=np.arange(500), values=wave()[:500])
    late = Series(name="b", unit="y", time=np.arange(N), values=wave(1))
    (odd,) = find_oddities([late, early], [Digits(1), Digits(1)], RULES)
    assert (odd.kind, odd.series, odd.index, odd.position) == ("ended", "a", 1, 499)
    assert odd.what == "its last known value is 100 steps before the end of the data"
    # Times: the same, in their own steps.
    hours = np.datetime64("2024-01-01", "us") + np.arange(N) * np.timedelta64(1, "h")
    timed = [
        Series(name="b", unit="y", time=hours, values=wave(1)),
        Series(name="a", unit="y", time=hours[:500], values=wave()[:500]),
    ]
    (odd,) = find_oddities(timed, [Digits(1), Digits(1)], Rules(season_length=24, horizon=24, style="minute"))
    assert (odd.what, odd.time) == (
        "its last known value is 100 steps before the end of the data",
        str(hours[499])[:16].replace("T", " "),
    )


def test_quiet_on_what_is_well() -> None:
    """Noise, season, trend, a random walk, counts: at most one in a hundred series is called odd."""
    rng = np.random.default_rng(0)
    steps = np.arange(N)
    kinds = {
        "noise": lambda: rng.normal(0, 1, N),
        "season": lambda: 100 + rng.uniform(1, 50) * np.sin(2 * np.pi * steps / 24) + rng.normal(0, 3, N),
        "trend": lambda: steps * rng.uniform(-2, 2) + rng.normal(0, 3, N),
        "walk": lambda: np.cumsum(rng.normal(0, 1, N)),
        "counts": lambda: rng.poisson(rng.uniform(0.5, 20), N).astype(np.float64),
        "pulse": lambda: np.where(steps % 24 < 2, 500.0, 10.0) + rng.normal(0, 1, N),  # large, but each day
    }
    short = {"short waves": lambda: np.sin(steps[:50] * rng.uniform(0.2, 0.5)) + rng.normal(0, 0.05, 50)}
    rules = Rules(season_length=1, least=20, horizon=10, style="step")
    assert sum(bool(found(make(), rules)) for make in short.values() for _ in range(50)) <= 1
    odd = {name: sum(bool(found(make())) for _ in range(50)) for name, make in kinds.items()}
    assert sum(odd.values()) <= 3, odd


def test_filled_values_are_missing() -> None:
    values = wave()
    filled = np.zeros(N, bool)
    filled[50:80] = True
    series = Series(name="a", unit="y", time=np.arange(N), values=values, filled=filled)
    (odd,) = find_oddities([series], [Digits(1)], RULES)
    assert (odd.kind, odd.position) == ("gap", 50)


def test_the_weightiest_come_first_and_few_of_a_kind() -> None:
    values = wave()
    values[100:600:40] += 500
    values[20:25] = np.nan
    odd = found(values)
    assert [one.weight for one in odd] == sorted((one.weight for one in odd), reverse=True)
    assert sum(one.kind == "outlier" for one in odd) == 5
    assert {one.kind for one in odd} <= KINDS.keys()
