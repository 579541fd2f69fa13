"""Where the windows of backtests begin: one time for all series, whatever their grids and ends."""

import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqlight.data import CSVDataModule, DataError
from seqlight.data.store.cutoffs import backtest_cutoffs

HORIZON = 3


def module(starts, lengths, frequency, every):
    """Series of a step each, which begin where they like."""
    frames = [
        pl.DataFrame(
            {
                "id": [f"s{index}"] * length,
                "time": pl.Series([start]).dt.offset_by(
                    pl.Series([f"{every * step}{frequency}" for step in range(length)])
                ),
                "y": np.arange(1.0, length + 1),
            }
        )
        for index, (start, length) in enumerate(zip(starts, lengths, strict=True))
    ]
    step = {"mo": "1mo", "h": "1h", "d": "1d"}[frequency]
    return CSVDataModule(
        pl.concat(frames),
        time_col="time",
        target_cols="y",
        id_col="id",
        context_length=4,
        prediction_length=HORIZON,
        missing="mask",
        frequency=step,
    )


@settings(max_examples=30)
@given(
    series=st.lists(
        st.tuples(st.integers(0, 60), st.integers(1, 30), st.integers(0, 3)), min_size=1, max_size=4
    ),
    frequency=st.sampled_from(["h", "mo"]),
    windows=st.integers(1, 4),
    step_size=st.integers(1, 5),
)
def test_a_row_is_known_if_its_time_is_not_after_the_cutoff(series, frequency, windows, step_size):
    """Hours begin at :00 or :30, months on the 3rd or the 20th: a cutoff falls between the rows of some."""
    starts, lengths = [], []
    for begin, length, phase in series:
        if frequency == "h":
            start = datetime.datetime(2024, 1, 1, 0, 30 * (phase % 2)) + datetime.timedelta(hours=begin)
        else:
            start = datetime.datetime(2000 + begin // 12, 1 + begin % 12, (3, 20)[phase % 2])
        starts.append(start)
        lengths.append(length)
    data = module(starts, lengths, frequency, 1)
    store = data.store
    found = backtest_cutoffs(store, data.ends, data.splitter, windows=windows, step_size=step_size)
    times = [store.timestamps(index, -300, 600) for index in range(len(store))]
    lasts = [store.timestamps(index, int(end) - 1, 1)[0] for index, end in enumerate(data.ends)]
    latest = int(np.argmax(lasts))
    for number, cutoffs in enumerate(found):
        back = HORIZON + step_size * (windows - 1 - number)
        cutoff = store.timestamps(latest, int(data.ends[latest]) - back - 1, 1)[0]
        assert cutoffs.tolist() == [int((own <= cutoff).sum()) - 300 for own in times]


def test_series_of_one_end_have_their_own_cutoffs() -> None:
    data = module([datetime.datetime(2024, 1, 1)] * 2, [30, 30], "d", 1)
    options = {"windows": 3, "step_size": 2}
    common = backtest_cutoffs(data.store, data.ends, data.splitter, **options)
    own = backtest_cutoffs(data.store, data.ends, data.splitter, origin="own", **options)
    np.testing.assert_array_equal(common, own)
    with pytest.raises(DataError, match="origin: expected one of 'auto', 'own', 'common', got 'latest'"):
        backtest_cutoffs(data.store, data.ends, data.splitter, origin="latest", **options)


def test_without_times_steps_are_counted_from_each_end_unless_asked() -> None:
    frame = pl.DataFrame({"id": ["a"] * 30 + ["b"] * 20, "y": np.arange(50.0)})
    data = CSVDataModule(
        frame, time_col=None, target_cols="y", id_col="id", context_length=4, prediction_length=HORIZON
    )
    found = [
        backtest_cutoffs(data.store, data.ends, data.splitter, windows=1, origin=origin).tolist()
        for origin in ("auto", "own", "common")
    ]
    assert found == [[[27, 17]], [[27, 17]], [[27, 27]]]
