"""Where forecasts begin, and what is known there: series that end when they like, appended rows, as-of."""

import datetime

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqlight.data import CSVDataModule, DataError

START = datetime.datetime(2024, 1, 1)


def frame_of(known, appended, begins):
    """Series of one value a day, with rows appended whose value is empty."""
    frames = []
    for index, (length, more, begin) in enumerate(zip(known, appended, begins, strict=True)):
        times = [START + datetime.timedelta(days=begin + day) for day in range(length + more)]
        values = [1000.0 * index + day for day in range(length)] + [None] * more
        frames.append(pl.DataFrame({"id": f"s{index}", "time": times, "y": values}))
    return pl.concat(frames)


def module_of(frame, **arguments):
    sizes = {"context_length": 5, "prediction_length": 3} | arguments
    return CSVDataModule(frame, time_col="time", target_cols="y", id_col="id", **sizes)


@pytest.mark.filterwarnings("ignore:.*alone among the rest")  # a series that is a single 0
@given(
    series=st.lists(
        st.tuples(st.integers(1, 40), st.integers(0, 12), st.integers(0, 20)), min_size=1, max_size=4
    ),
    origin=st.sampled_from(["auto", "own", "common"]),
    context=st.integers(1, 8),
)
def test_forecasts_begin_after_what_is_known(series, origin, context):
    known, appended, begins = map(list, zip(*series, strict=True))
    module = module_of(
        frame_of(known, appended, begins), origin=origin, context_length=context, frequency="1d"
    )
    batch = module.dataset("predict").__getitems__(range(len(known)))
    latest = max(begin + length for begin, length in zip(begins, known, strict=True))
    for index, (length, begin) in enumerate(zip(known, begins, strict=True)):
        ended = latest - begin - length > context
        own = origin == "own" or (origin == "auto" and not ended)
        start = length if own else latest - begin
        assert int(batch["start"][index]) == start
        days = range(start - context, start)
        expected = [1000.0 * index + day if 0 <= day < length else np.nan for day in days]
        np.testing.assert_array_equal(batch["past_target"][index, :, 0], expected)
        assert module.timestamps(index, start, 1)[0] == START + datetime.timedelta(days=begin + start)
        assert (f"'s{index}'" in module.origin_note()) == (ended and origin != "own")


def test_appended_rows_are_no_gaps_and_no_targets():
    """Not refused by missing="error"; validation and test end with what is known."""
    module = module_of(frame_of([40], [7], [0]))
    assert module.split.length.tolist() == [40]
    last = module.dataset("test").__getitems__([len(module.dataset("test")) - 1])
    assert last["future_target"][0, :, 0].tolist() == [37, 38, 39]
    assert module.origin_note() == "the forecast begins at 2024-02-10 00:00:00"
    assert module.history(0, 2)[1][:, 0].tolist() == [38, 39]
    with pytest.raises(DataError, match=r"1 missing cell .*2024-01-06"):
        module_of(frame_of([40], [7], [0]).with_columns(y=pl.when(pl.col("y") != 5).then("y"))).setup("fit")


def test_a_series_that_ended_is_named():
    frame = frame_of([40, 20], [0, 20], [0, 0])
    assert module_of(frame).origin_note() == (
        "the forecast begins at 2024-02-10 00:00:00; series 's1': no known value since 2024-01-20 00:00:00, "
        "which is more than the context of 5 steps before, so no forecast; origin='own' forecasts from a "
        "series' own end"
    )
    own = module_of(frame, origin="own")
    assert own.origin_note() == (
        "forecasts begin between 2024-01-21 00:00:00 and 2024-02-10 00:00:00, after the last known value of "
        "each series"
    )
    with pytest.raises(DataError, match="origin: expected one of 'auto', 'own', 'common', got 'latest'"):
        module_of(frame, origin="latest")


def test_as_of_is_the_file_that_ended_there():
    frame = frame_of([40, 30], [0, 4], [0, 2])
    ended = frame.filter(pl.col("time") <= START + datetime.timedelta(days=27))
    cut, short = module_of(frame, as_of="2024-01-28"), module_of(ended)
    for part in ("train", "val", "test", "predict"):
        ours, theirs = (
            module.dataset(part).__getitems__(range(len(module.dataset(part)))) for module in (cut, short)
        )
        assert ours.keys() == theirs.keys()
        for name, values in ours.items():
            torch.testing.assert_close(values, theirs[name], rtol=0, atol=0, equal_nan=True)
    with pytest.raises(DataError, match=r"as_of: expected a time of the format .* got 'yesterday'"):
        module_of(frame, as_of="yesterday").setup("predict")


def test_predicting_needs_no_more_than_one_value():
    frame = frame_of([40, 1], [0, 0], [0, 39])
    module = module_of(frame)
    batch = module.dataset("predict").__getitems__([1])
    assert batch["past_target"][0, :, 0].isnan().tolist() == [True] * 4 + [False]
    module = module_of(frame.filter(pl.col("id") == "s1"), frequency="1d")
    module.setup("predict")
    assert len(module.dataset("predict")) == 1
    with pytest.raises(DataError, match="has 1 time steps up to its last known value, 10 are needed"):
        module.setup("fit")


def test_a_series_of_another_step_is_named():
    weekly = pl.DataFrame(
        {"id": "w", "time": [START + datetime.timedelta(weeks=i) for i in range(9)], "y": 1.0}
    )
    frame = pl.concat([frame_of([60], [0], [0]), weekly])
    with pytest.raises(DataError, match=r"series 'w' has steps of 1w, others have 1d; .*frequency='1d'"):
        module_of(frame, missing="mask").setup("fit")
    module_of(frame, missing="mask", frequency="1d").setup("fit")
