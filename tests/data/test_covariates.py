"""Covariates in windows: against a naive loop, and what training may know of them."""

import datetime

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqlight.data import CSVDataModule, DataError

START = datetime.datetime(2024, 1, 1)
COLUMNS = {
    "past_covariate_cols": ["p", "q"],
    "future_covariate_cols": ["f", "w"],
    "static_cols": ["k", "n"],
}


def frame_of(known, appended, seed=0):
    """Series s0, s1, ... of every kind of column: numbers p, f, n and texts q, w, k."""
    random = np.random.default_rng(seed)
    frames = []
    for index, (length, more) in enumerate(zip(known, appended, strict=True)):
        rows = length + more
        past = random.normal(size=rows)
        past[random.random(rows) < 0.1] = np.nan
        frames.append(
            pl.DataFrame(
                {
                    "id": f"s{index}",
                    "time": [START + datetime.timedelta(days=index + day) for day in range(rows)],
                    "y": [1000.0 * index + day if day < length else None for day in range(rows)],
                    "p": past,
                    "q": [random.choice(["red", "blue", None]) for _ in range(rows)],
                    "f": random.normal(size=rows),
                    "w": random.choice(["sun", "rain", "snow"], rows),
                    "k": "north" if index % 2 else "south",
                    "n": 10.0 * index,
                },
                schema_overrides={"q": pl.String},
            )
        )
    return pl.concat(frames)


def module_of(frame, **arguments):
    sizes = {"context_length": 4, "prediction_length": 2, "origin": "own"} | COLUMNS | arguments
    return CSVDataModule(frame, time_col="time", target_cols="y", id_col="id", **sizes)


def trained_texts(frame, module, column):
    """Sorted texts in the training rows."""
    found = set()
    for index, own in enumerate(frame.partition_by("id", maintain_order=True)):
        found |= set(own[column].head(int(module.split.train_stop[index])).drop_nulls())
    return sorted(found)


@given(
    series=st.lists(st.tuples(st.integers(7, 30), st.integers(2, 5)), min_size=1, max_size=3),
    context=st.integers(1, 9),
    part=st.sampled_from(["train", "val", "test", "predict"]),
    seed=st.integers(0, 5),
    absent=st.booleans(),
)
def test_windows_hold_what_a_naive_loop_finds(series, context, part, seed, absent):
    known, appended = map(list, zip(*series, strict=True))
    frame = frame_of(known, appended, seed)
    file = frame.sample(fraction=1, shuffle=True, seed=seed) if absent else frame
    module = module_of(file.sort("time", maintain_order=True), context_length=context, frequency="1d")
    of_series = {own["id"][0]: own for own in frame.partition_by("id", maintain_order=True)}
    texts = {}
    for name in ("q", "w", "k"):
        own = pl.concat([of_series[series_id] for series_id in module.series_ids])
        texts[name] = trained_texts(own, module, name)
    dataset = module.dataset(part)
    batch = dataset.__getitems__(range(len(dataset)))

    def code(name, value):
        return texts[name].index(value) + 1 if value in texts[name] else 0

    for i in range(len(dataset)):
        rows = of_series[module.series_ids[int(batch["series_index"][i])]]
        start = int(batch["start"][i])
        steps = [min(max(step, 0), len(rows) - 1) for step in range(start - context, start + 2)]
        inside = [step >= 0 for step in range(start - context, start)]
        values = [rows["p"][step] if there else np.nan for step, there in zip(steps, inside, strict=False)]
        np.testing.assert_allclose(batch["past_covariates"][i, :, 0], values, rtol=1e-6)
        known_ahead = torch.cat([batch["historic_future_covariates"][i], batch["future_covariates"][i]])
        np.testing.assert_allclose(known_ahead[:, 0], [rows["f"][step] for step in steps], rtol=1e-6)
        assert batch["past_categories"][i, :, 0].tolist() == [
            code("q", rows["q"][step]) if there else 0 for step, there in zip(steps, inside, strict=False)
        ]
        codes = torch.cat([batch["historic_future_categories"][i], batch["future_categories"][i]])
        assert codes[:, 0].tolist() == [code("w", rows["w"][step]) for step in steps]
        assert batch["static_covariates"][i].tolist() == [rows["n"][0]]
        assert batch["static_categories"][i].tolist() == [code("k", rows["k"][0])]


def test_a_changed_future_changes_nothing_before():
    """No scale, no vocabulary, no training batch, no forecast as of an earlier time."""
    frame = frame_of([40, 36], [4, 4])
    module = module_of(frame)
    stop = START + datetime.timedelta(days=int((module.split.train_stop + np.arange(2)).max()))
    later = pl.col("time") > stop
    changed = frame.with_columns(
        y=pl.when(later & pl.col("y").is_not_null()).then(50.0).otherwise("y"),
        p=pl.when(later).then(2.5).otherwise("p"),
        f=pl.when(later).then(-2.5).otherwise("f"),
        q=pl.when(later).then(pl.lit("aaa")).otherwise("q"),
        w=pl.when(later).then(pl.lit("aaa")).otherwise("w"),
    )
    other = module_of(changed)
    assert module.future_cardinalities == other.future_cardinalities == [3]
    ours, theirs = module.covariate_statistics(), other.covariate_statistics()
    for kind in ours:
        torch.testing.assert_close(ours[kind], theirs[kind], rtol=0, atol=0)
    np.testing.assert_array_equal(module.scale, other.scale)
    assert module.schema() == other.schema()
    as_of = str(stop)
    pairs = [
        (module.dataset("train"), other.dataset("train")),
        (module_of(frame, as_of=as_of).dataset("train"), module_of(changed, as_of=as_of).dataset("train")),
    ]
    for left, right in pairs:
        first, second = (dataset.__getitems__(range(len(dataset))) for dataset in (left, right))
        for name, values in first.items():
            torch.testing.assert_close(values, second[name], rtol=0, atol=0, equal_nan=True)


def test_statistics_are_those_of_training_rows():
    frame = frame_of([40], [4])
    module = module_of(frame, calendar_features=["day_of_week"])
    stop = int(module.split.train_stop[0])
    mean, std = module.covariate_statistics()["future_covariates"]
    values = frame["f"][:stop].to_numpy()
    np.testing.assert_allclose(mean, [values.mean(), 0, 0], rtol=1e-5)
    np.testing.assert_allclose(std, [values.std(), 1, 1], rtol=1e-5)
    assert (module.past_covariate_size, module.future_covariate_size, module.static_covariate_size) == (
        1,
        3,
        1,
    )


@pytest.mark.parametrize("column", ["f", "w"])
@pytest.mark.parametrize("part", ["fit", "predict"])
def test_a_missing_future_value_is_named(part, column):
    gap = 10 if part == "fit" else 41
    frame = frame_of([40], [4]).with_row_index()
    frame = frame.with_columns(pl.when(pl.col("index") != gap).then(column).alias(column)).drop("index")
    module = module_of(frame)
    day = START + datetime.timedelta(days=gap)
    with pytest.raises(DataError, match=rf"column '{column}' of series 's0': .* no value at {day}"):
        module.setup("fit")
        module.dataset("predict")
    with pytest.raises(DataError, match=r"column 'f' of series 's0': .* no value at 2024-02-11"):
        module_of(frame_of([40], [1])).dataset("predict")


def test_what_is_not_static_is_named():
    frame = frame_of([40], [4])
    with pytest.raises(DataError, match="static column 'f' changes within series 's0'"):
        module_of(frame, static_cols=["f"], future_covariate_cols=[]).setup("fit")


def test_a_checkpoints_numbers_of_texts_are_kept():
    module = module_of(frame_of([40, 40], [4, 4]))
    new = module_of(frame_of([40], [4]).with_columns(k=pl.lit("south"), w=pl.lit("snow")))
    new.load_state_dict(module.state_dict())
    batch = new.dataset("predict").__getitems__([0])
    assert batch["static_categories"].tolist() == [[2]]
    assert batch["future_categories"].flatten().tolist() == [2, 2]
    assert new.schema()["static_categories"] == module.schema()["static_categories"]
