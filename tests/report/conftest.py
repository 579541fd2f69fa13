"""What the tests of reports share: series of every kind with hostile names, a written page, a browser."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from seqlight.report import ModelRun, Origin, PastForecasts, Report, Series, build, write

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'`><img src=x onerror=alert(1)>",
    "</script><!--",
    '=HYPERLINK("http://x.invalid")',
    "عربي שלום",
    "\u202egnirts\u202d",
    "emoji 🦆👨‍👩‍👧",
    "x" * 300,
    "a\x00b\ud800c\x1b[31m",
    "{{ 7*7 }}{% raw %}",
    "&amp;&lt;",
    "line\nbreak\ttab",
)
HOSTILE_MODELS = ("<i>LSTM</i>", "=cmd|' /C calc'!A0", "\u202emodel")
HORIZON, SEASON, STEPS, WINDOWS = 24, 24, 500, 5


def make_series(name: str, level: float, rng: np.random.Generator) -> tuple[Series, np.ndarray]:
    """Hourly values with a daily season, forecast and bands; and the values, what came included."""
    time = np.datetime64("2024-01-01", "us") + np.arange(STEPS + HORIZON) * np.timedelta64(1, "h")
    values = level * (1 + 0.3 * np.sin(2 * np.pi * np.arange(STEPS + HORIZON) / SEASON))
    values = (values + rng.normal(0, 0.02 * level, len(values))).round(1)
    forecast = values[STEPS:] + rng.normal(0, 0.02 * level, HORIZON)
    wide = 0.03 * level * np.sqrt(np.arange(1, HORIZON + 1))
    series = Series(
        name=name,
        unit="<b>demand</b>\u202e",
        time=time[:STEPS],
        values=values[:STEPS].copy(),
        forecast_time=time[STEPS:],
        forecast=forecast,
        bands={80: (forecast - wide, forecast + wide), 95: (forecast - 2 * wide, forecast + 2 * wide)},
    )
    return series, values


def make_past(series: list[Series], rng: np.random.Generator, models: tuple[str, ...]) -> PastForecasts:
    """Forecasts of the last steps of every series by models of growing errors; the first has a band."""
    index, time, target = [], [], []
    for place, one in enumerate(series):
        for window in range(WINDOWS):
            begin = len(one.values) - HORIZON - 7 * window
            index.append(place)
            time.append(one.time[begin : begin + HORIZON])
            target.append(one.values[begin : begin + HORIZON])
    came = np.array(target)
    size = np.abs(came).mean(1, keepdims=True)
    size = np.where(np.isfinite(size), size, 1.0)
    preds = {
        name: came + rng.normal(0, 0.02 * (1 + rank), came.shape) * size for rank, name in enumerate(models)
    }
    first = preds[models[0]]
    return PastForecasts(
        series=np.array(index),
        time=np.array(time),
        target=came,
        preds=preds,
        bands={80: (first - 0.026 * size, first + 0.026 * size)},
    )


@pytest.fixture(scope="session")
def hostile() -> Report:
    """A report of twelve series of hostile names, with a gap, an outlier and a level step."""
    rng = np.random.default_rng(0)
    pairs = [make_series(name, 100.0 * (1 + place), rng) for place, name in enumerate(HOSTILE)]
    series = [one for one, _ in pairs]
    series[0].values[300:330] = np.nan
    series[1].values[-30] *= 4
    series[2].values[200:] += 250
    past = make_past(series, rng, HOSTILE_MODELS)
    return build(
        series,
        past=past,
        season_length=SEASON,
        runs={HOSTILE_MODELS[0]: ModelRun(seconds=75.0, weight=0.75, note="<u>12 epochs</u>")},
        title="<title> of \u202e all",
        origin=Origin(
            source="<svg onload=alert(1)>.csv",
            command="seqlight forecast '</script><script>alert(2)</script>.csv'",
            settings={"<k>": "</td>"},
            notes=["<b>a note</b>"],
            made="2024-02-01 12:00",
        ),
    )


@pytest.fixture(scope="session")
def hostile_page(hostile: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the report."""
    path = tmp_path_factory.mktemp("report") / "hostile.html"
    write(path, hostile)
    return path


@pytest.fixture(scope="session")
def filled_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a report on one series with filled gaps."""
    one, values = make_series("meter", 50.0, np.random.default_rng(1))
    filled = np.zeros(STEPS, bool)
    filled[100:140] = filled[321] = True
    gaps = replace(one, filled=filled, forecast_time=one.time[:0], forecast=values[:0], bands={})
    path = tmp_path_factory.mktemp("report") / "filled.html"
    write(path, build([gaps], kind="impute", season_length=SEASON))
    return path


def load_chromium() -> ModuleType:
    """Import chromium.py, which lies here and is in no package."""
    if "seqlight_test_chromium" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "seqlight_test_chromium", Path(__file__).with_name("chromium.py")
        )
        assert spec is not None and spec.loader is not None
        module = sys.modules["seqlight_test_chromium"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["seqlight_test_chromium"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium; skips loudly where there is none."""
    module = load_chromium()
    program = module.find_chromium()
    if program is None:
        reason = "no Chromium: install it (Debian: apt-get install chromium) or set SEQLIGHT_CHROMIUM"
        if os.environ.get("SEQLIGHT_REQUIRE_CHROMIUM") == "1":
            pytest.fail(f"SEQLIGHT_REQUIRE_CHROMIUM=1, but {reason}")
        pytest.skip(f"REPORTS UNTESTED IN A BROWSER: {reason}")
    chromium = module.Chromium(program)
    yield chromium
    chromium.close()
