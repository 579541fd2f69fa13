"""Chunks of time: what they hold, how many there are, and where a resumed run goes on."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from seqlight.data import CSVDataModule, DataError, SyntheticDataModule, TBPTTLoader
from seqlight.strategies import EveryStepStrategy


def batches(count=2, rows=3, length=10, **more):
    """Batches of sequences that count up, so that a chunk tells where it was cut."""
    x = torch.arange(count * rows * length, dtype=torch.float32).view(count, rows, length, 1)
    return [{"x": batch, "y": 2 * batch[..., 0], "static": batch[:, 0, 0]} | more for batch in x]


def test_chunks_of_sequences_are_cut_and_the_rest_goes_along():
    chunks = list(TBPTTLoader(batches(), 4, length=10))
    assert [chunk["x"].shape[1] for chunk in chunks] == [4, 4, 2] * 2
    assert [chunk["reset"].tolist() for chunk in chunks[:3]] == [[True] * 3, [False] * 3, [False] * 3]
    for first in (0, 3):
        for key in ("x", "y"):
            together = torch.cat([chunk[key] for chunk in chunks[first : first + 3]], dim=1)
            assert torch.equal(together, batches()[first // 3][key])
        assert all(
            torch.equal(chunk["static"], chunks[first]["static"]) for chunk in chunks[first : first + 3]
        )


@pytest.mark.parametrize(("steps", "expected"), [(1, 20), (3, 8), (10, 2), (99, 2)])
def test_length_counts_chunks(steps, expected):
    loader = TBPTTLoader(batches(), steps, length=10)
    assert len(loader) == expected == len(list(loader))


def test_lengths_become_the_steps_inside_a_chunk():
    (batch,) = batches(1)
    batch["lengths"] = torch.tensor([7, 2, 5])
    ragged = list(TBPTTLoader([batch], 3))  # ends with its longest row, after 7 of 10 steps
    assert [chunk["lengths"].tolist() for chunk in ragged] == [[3, 2, 3], [3, 0, 2], [1, 0, 0]]
    assert [chunk["x"].shape[1] for chunk in ragged] == [3, 3, 1]
    fixed = list(TBPTTLoader([batch], 3, length=10))
    assert [chunk["lengths"].tolist() for chunk in fixed][2:] == [[1, 0, 0], [0, 0, 0]]


def test_a_batch_of_its_own_reset_mask_keeps_it_in_the_first_chunk():
    mask = torch.tensor([True, False, True])
    chunks = list(TBPTTLoader(batches(1, reset=mask), 5, length=10))
    assert chunks[0]["reset"].tolist() == mask.tolist()
    assert not chunks[1]["reset"].any()


def test_tuples_of_tensors_get_names():
    data = TensorDataset(torch.rand(6, 10, 2), torch.rand(6, 10))
    chunks = list(TBPTTLoader(DataLoader(data, batch_size=4), 6, length=10, names=("x", "y")))
    assert [tuple(chunk["x"].shape) for chunk in chunks] == [(4, 6, 2), (4, 4, 2), (2, 6, 2), (2, 4, 2)]


def test_named_sequences_alone_are_cut():
    chunks = list(TBPTTLoader(batches(1, table=torch.rand(3, 4)), 5, sequence_keys=["x", "y"]))
    assert [chunk["table"].shape for chunk in chunks] == [(3, 4), (3, 4)]


@pytest.mark.parametrize("covariates", [[], ["hour"]])
def test_window_chunks_have_the_windows_targets(two_series, covariates):
    settings = {"batch_size": 3, "missing": "mask", "calendar_features": covariates}
    (whole, *_), chunks = (
        list(two_series(context_length=11, prediction_length=4, **settings, **extra).train_dataloader())
        for extra in ({}, {"tbptt_steps": 4})
    )
    chunks = chunks[:3]
    assert [chunk["past_target"].shape[1] for chunk in chunks] == [4, 4, 3]
    strategy = EveryStepStrategy(1, 4)

    def targets(batch):
        past, future = batch["past_target"], batch["future_target"]
        return strategy.targets(past, future, range(past.shape[1]))

    def equal(one, other):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)

    equal(torch.cat([targets(chunk) for chunk in chunks], dim=1), targets(whole))
    for name in ("past_target", "past_observed"):
        equal(torch.cat([chunk[name] for chunk in chunks], dim=1), whole[name])
    equal(chunks[-1]["future_target"], whole["future_target"])
    for chunk, ends in zip(chunks, (7, 3, 0), strict=True):
        equal(chunk["start"], whole["start"] - ends)
        if covariates:
            known = torch.cat([whole["historic_future_covariates"], whole["future_covariates"]], dim=1)
            own = torch.cat([chunk["historic_future_covariates"], chunk["future_covariates"]], dim=1)
            begin = 11 - ends - chunk["past_target"].shape[1]
            equal(own, known[:, begin : begin + own.shape[1]])


@pytest.fixture
def two_series(tmp_path):
    path = tmp_path / "series.csv"
    values = np.random.RandomState(0).rand(2, 60).round(3)
    values[1, 30] = np.nan
    lines = [
        f"2024-01-{1 + step // 24:02d} {step % 24:02d}:00,{name},{'' if np.isnan(value) else value}"
        for name, series in zip("ab", values, strict=True)
        for step, value in enumerate(series)
    ]
    path.write_text("\n".join(["time,id,y", *lines]) + "\n")

    def make(**settings):
        return CSVDataModule(path, time_col="time", target_cols="y", id_col="id", **settings)

    return make


@pytest.mark.parametrize("taken", [0, 1, 3, 4, 7, 8, 12, 15, 16, 17])
def test_loader_goes_on_where_it_was(taken):
    def make():  # 4 batches of 2 chunks in an epoch
        return SyntheticDataModule(
            n_train=13, n_val=1, n_test=1, batch_size=4, context_length=8, tbptt_steps=5
        ).train_dataloader()

    def seen(loader, epochs):
        for _ in range(epochs):
            for chunk in loader:
                yield (
                    chunk["series_index"].tolist(),
                    chunk["past_target"].shape[1],
                    bool(chunk["reset"].all()),
                )

    straight = list(seen(make(), 4))
    interrupted = make()
    stream = seen(interrupted, 4)
    before = [next(stream) for _ in range(taken)]
    resumed = make()
    resumed.load_state_dict(interrupted.state_dict())
    assert before + list(seen(resumed, 4))[: len(straight) - taken] == straight


def test_an_epoch_that_was_set_starts_at_its_beginning():
    def make():
        return SyntheticDataModule(
            n_train=9, n_val=1, n_test=1, batch_size=4, context_length=8, tbptt_steps=3
        ).train_dataloader()

    interrupted, resumed = make(), make()
    stream = iter(interrupted)
    for _ in range(4):
        next(stream)
    resumed.load_state_dict(interrupted.state_dict())
    for loader in (interrupted, resumed):
        loader.sampler.set_epoch(5)
    for ours, theirs in zip(interrupted, resumed, strict=True):
        assert torch.equal(ours["past_target"], theirs["past_target"])


def test_a_loader_without_a_state_starts_its_epoch_anew():
    loader = TBPTTLoader(batches(), 4, length=10)
    stream = iter(loader)
    next(stream), next(stream)
    loader.load_state_dict(loader.state_dict())
    assert len(list(loader)) == len(loader) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps: expected a whole number of at least 1, got 0"),
        ({"steps": 2, "length": 0}, "length: expected a whole number of at least 1"),
        ({"steps": 2, "names": "xy"}, "expected a list of names"),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments, message):
    with pytest.raises(DataError, match=message):
        TBPTTLoader([], **arguments)


@pytest.mark.parametrize(
    ("batch", "arguments", "message"),
    [
        ([torch.rand(2, 3)], {}, r"names=\('x', 'y'\)"),
        ([torch.rand(2, 3)], {"names": ("x", "y")}, "names: expected 1"),
        ({"x": torch.rand(2, 3), "z": torch.rand(2, 4)}, {}, r"got \{'x': 3, 'z': 4\}"),
        ({"x": torch.rand(2, 3)}, {"sequence_keys": ["y"]}, "got 'y'; it has 'x'"),
        ({"x": torch.rand(2)}, {}, "expected at least one tensor"),
        ({"x": torch.rand(2, 3)}, {"length": 4}, "every batch to have 4 time steps, got one of 3"),
    ],
)
def test_wrong_batches_are_refused(batch, arguments, message):
    with pytest.raises(DataError, match=message):
        list(TBPTTLoader([batch], 2, **arguments))


def test_unknown_length():
    with pytest.raises(TypeError, match="made with length=None"):
        len(TBPTTLoader(batches(), 2))


@pytest.fixture
def two_processes(monkeypatch):
    """A process group of two, of which the other one has batches of three chunks."""

    def gather(found, own):
        found[:] = [own, 3]

    for name, value in (
        ("is_initialized", lambda: True),
        ("get_world_size", lambda: 2),
        ("get_rank", lambda: 0),
        ("all_gather_object", gather),
    ):
        monkeypatch.setattr(torch.distributed, name, value)


def test_other_numbers_of_chunks_elsewhere_are_refused(two_processes):
    assert len(list(TBPTTLoader(batches(1), 4))) == 3
    with pytest.raises(DataError, match=r"same number of time chunks in all processes, got \[5, 3\]"):
        list(TBPTTLoader(batches(1), 2))


def test_a_loader_that_no_sampler_shares_out_is_told_so(two_processes):
    data = DataLoader(TensorDataset(torch.rand(4, 10, 1)), batch_size=2)
    with pytest.warns(UserWarning, match="each of the 2 processes trains on all of its batches"):
        list(TBPTTLoader(data, 4, length=10, names=("x",)))
