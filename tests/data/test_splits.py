"""The parts of each series, in order of time, and the cutoffs of backtests."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqlight.data import CSVDataModule, DataError
from seqlight.data.store.splits import Splitter


def split_of_0_1(length: int, val_size: float, test_size: float, context: int, horizon: int) -> list[int]:
    """Training and validation end, as the version before calibration parts had it."""
    window, least_val, least_test = context + horizon, horizon * (val_size > 0), horizon * (test_size > 0)
    test = max(min(round(length * test_size), length - window - least_val), least_test)
    val = max(min(round(length * val_size), length - window - test), least_val)
    whole = length - test - val >= 1 + horizon
    return [length - test - val, length - test] if whole else [length, length]


@given(
    length=st.integers(1, 500),
    val_size=st.sampled_from([0.0, 0.1, 0.25]),
    test_size=st.sampled_from([0.0, 0.2, 0.5]),
    context=st.integers(1, 60),
    horizon=st.integers(1, 30),
)
def test_without_calibration_it_is_the_split_of_before(length, val_size, test_size, context, horizon):
    split = Splitter(context, horizon, val_size=val_size, test_size=test_size).split(np.array([length]))
    assert [int(split.train_stop[0]), int(split.val_stop[0])] == split_of_0_1(
        length, val_size, test_size, context, horizon
    )
    assert split.calibration_stop[0] == split.val_stop[0]


@given(
    length=st.integers(1, 500),
    sizes=st.tuples(*[st.sampled_from([0.0, 0.1, 0.3, 40])] * 3),
    context=st.integers(1, 60),
    horizon=st.integers(1, 30),
)
def test_parts_follow_each_other_and_have_room(length, sizes, context, horizon):
    splitter = Splitter(context, horizon, val_size=sizes[0], calibration_size=sizes[1], test_size=sizes[2])
    split = splitter.split(np.array([length]))
    stops = [split.targets(part) for part in ("train", "val", "calibration", "test")]
    assert stops[0][0] == 0 and stops[-1][1] == length
    assert all(before[1] == after[0] for before, after in pairwise(stops))
    if length >= splitter.shortest(1):
        for (begin, end), size in zip(stops[1:], sizes, strict=True):
            assert end - begin >= horizon * (size > 0)
    else:
        assert split.train_stop == length


def test_cutoffs_end_with_each_series() -> None:
    splitter = Splitter(12, 4)
    assert splitter.cutoffs(np.array([30, 10]), windows=3).tolist() == [[18, -2], [22, 2], [26, 6]]
    assert splitter.cutoffs(np.array([30]), windows=2, step_size=1).tolist() == [[25], [26]]
    with pytest.raises(DataError, match="windows: expected a whole number of at least 1, got 0"):
        splitter.cutoffs(np.array([30]), windows=0)


def data(**sizes: float) -> CSVDataModule:
    days = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 4, 9), "1d", eager=True)
    frame = pl.DataFrame({"ds": days, "y": np.arange(100.0)})
    return CSVDataModule(
        frame, time_col="ds", target_cols="y", context_length=10, prediction_length=5, **sizes
    )


def test_the_calibration_part_lies_between_validation_and_test() -> None:
    module = data(calibration_size=0.1)
    module.setup("fit")
    targets = {
        part: np.concatenate([batch["future_target"].numpy().ravel() for batch in loader])
        for part, loader in (
            ("val", module.val_dataloader()),
            ("calibration", module.calibration_dataloader()),
            ("test", module.test_dataloader()),
        )
    }
    assert {part: (seen.min(), seen.max()) for part, seen in targets.items()} == {
        "val": (60.0, 69.0),
        "calibration": (70.0, 79.0),
        "test": (80.0, 99.0),
    }
    assert data().calibration_dataloader() == []
    with pytest.raises(DataError, match="calibration_size: expected a fraction"):
        data(calibration_size=1.5)


def test_series_as_they_were_known() -> None:
    module = data()
    module.setup("fit")
    before = module.until(np.array([50]))
    assert before.split.length.tolist() == [50] and before.split.calibration_stop.tolist() == [50]
    (batch,) = before.predict_dataloader()
    assert batch["start"].tolist() == [50] and batch["past_target"].max() == 49.0
    assert before.training_target()[0].max() < 50
    assert module.split.length.tolist() == [100]  # as it was
