"""The phase of a window on the clock: the same at the same time of day, week or year, wherever data begin."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from seqlight.data import CSVDataModule, SyntheticDataModule, TBPTTLoader

TIMES = {
    "hours": (datetime(2024, 3, 6, 5), timedelta(hours=1), 24, 5),  # a Wednesday
    "hours of the week": (datetime(2024, 3, 6, 5), timedelta(hours=1), 168, 2 * 24 + 5),
    "half hours": (datetime(2024, 3, 6, 5, 30), timedelta(minutes=30), 48, 11),
    "days": (datetime(2024, 3, 6), timedelta(days=1), 7, 2),
    "before 1970": (datetime(1960, 3, 6), timedelta(days=1), 7, 6),  # a Sunday
}


def phases(times, **arguments):
    frame = pl.DataFrame({"time": times, "y": [float(i % 7) for i in range(len(times))]})
    data = CSVDataModule(
        frame,
        time_col="time",
        target_cols="y",
        context_length=5,
        prediction_length=2,
        **({"test_size": 2, "val_size": 2} | arguments),
    )
    data.setup("fit")
    return data.dataset("test")[0]["phase"], data


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("shift", [0, 1, 9])
def test_phase_of_the_first_future_step(name, shift):
    first, step, cycle, expected = TIMES[name]
    phase, _ = phases([first + (shift + i) * step for i in range(60)])
    assert phase % cycle == (expected + shift + 58) % cycle


def test_phase_of_months_and_business_days():
    months = [datetime(1990 + i // 12, 1 + i % 12, 31 if i % 12 in (0, 2) else 28) for i in range(6, 60)]
    months = [datetime(month.year, month.month, 1) for month in months]
    phase, _ = phases(months)
    assert phase % 12 == (6 + 52) % 12
    days = [datetime(2024, 3, 6) + timedelta(days=i) for i in range(60)]
    working = [day for day in days if day.weekday() < 5]
    phase, _ = phases(working)
    assert phase % 5 == working[-2].weekday()


def test_chunks_of_time_have_phases_of_their_own():
    first, step, _, _ = TIMES["hours"]
    _, data = phases([first + i * step for i in range(60)], batch_size=4)
    whole = data.dataset("train").__getitems__([0])
    chunks = list(TBPTTLoader([whole], 2, length=5))
    assert [int(chunk["phase"] - whole["phase"]) for chunk in chunks] == [-3, -1, 0]


def test_series_without_times_count_their_rows():
    data = SyntheticDataModule(
        "sine_waves", n_train=4, n_val=2, n_test=2, context_length=8, prediction_length=2
    )
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch["phase"].equal(batch["start"])
