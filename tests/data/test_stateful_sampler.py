"""Every row of a batch stays on its series, in one process and in several."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqlight.data import CSVDataModule, DataError, StatefulSampler, TBPTTLoader, WindowLoader

COUNTS = st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any)


def batches_of(sampler):
    size = sampler.batch_size
    return [batch.tolist() for batch in sampler.order().split(size)], [
        mask.tolist() for mask in sampler.reset_masks().split(size)
    ]


def series_of(counts):
    return np.repeat(np.arange(len(counts)), counts)


@settings(max_examples=40)
@given(counts=COUNTS, batch_size=st.integers(1, 8), shuffle=st.booleans(), epoch=st.integers(0, 2))
def test_rows_go_on_or_say_that_they_start_anew(counts, batch_size, shuffle, epoch):
    sampler = StatefulSampler(counts, batch_size, shuffle=shuffle, seed=3)
    sampler.set_epoch(epoch)
    batches, masks = batches_of(sampler)
    assert list(sampler) == [sample for batch in batches for sample in batch]
    assert sorted(sampler) == list(range(sum(counts)))  # each sample once
    assert len(sampler) == sum(counts)
    series = series_of(counts)
    assert all(masks[0])
    for (before, batch), mask in zip(pairwise(batches), masks[1:], strict=True):
        for row, (sample, reset) in enumerate(zip(batch, mask, strict=True)):
            goes_on = sample == before[row] + 1 and series[sample] == series[before[row]]
            assert reset is not goes_on
    # A row starts anew at the beginning of its stretch and of a series, and nowhere else.
    starts = sum(map(sum, masks))
    assert starts <= min(batch_size, sum(counts)) + sum(count > 0 for count in counts)


@settings(max_examples=30)
@given(
    counts=COUNTS,
    batch_size=st.integers(1, 4),
    replicas=st.integers(2, 4),
    epoch=st.integers(0, 2),
)
def test_processes_share_the_rows_of_one(counts, batch_size, replicas, epoch):
    one = StatefulSampler(counts, batch_size * replicas, shuffle=True, seed=1)
    shares = [
        StatefulSampler(counts, batch_size, num_replicas=replicas, rank=rank, shuffle=True, seed=1)
        for rank in range(replicas)
    ]
    for sampler in (one, *shares):
        sampler.set_epoch(epoch)
    whole, whole_masks = batches_of(one)
    per_process = [batches_of(sampler) for sampler in shares]
    assert {len(batches) for batches, _ in per_process} == {len(whole)}
    assert [len(sampler) for sampler in shares] == [sum(map(len, own)) for own, _ in per_process]
    for index, (batch, mask) in enumerate(zip(whole, whole_masks, strict=True)):
        rows = [own[index] for own, _ in per_process]
        assert all(rows)  # no process is without
        together = [rows[row % replicas][row // replicas] for row in range(len(batch))]
        assert together == batch
        masks = [own[index] for _, own in per_process]
        assert [masks[row % replicas][row // replicas] for row in range(len(batch))] == mask
        assert sum(map(len, rows)) < len(batch) + replicas


def test_one_long_series_trains_in_all_rows():
    batches, masks = batches_of(StatefulSampler([10], 3))
    assert batches == [[0, 4, 7], [1, 5, 8], [2, 6, 9], [3]]
    assert masks == [[True] * 3, [False] * 3, [False] * 3, [False]]


def test_order_depends_on_seed_and_epoch():
    def order(seed, epoch):
        sampler = StatefulSampler([2] * 50, 4, shuffle=True, seed=seed)
        sampler.set_epoch(epoch)
        return tuple(sampler)

    assert order(1, 1) == order(1, 1)
    assert len({order(seed, epoch) for seed in range(3) for epoch in range(3)}) == 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 2), "counts: expected"),
        (([0, 0], 2), "counts: expected"),
        (([3, -1], 2), "counts: expected"),
        (([3], 0), "batch_size: expected a whole number of at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        StatefulSampler(*arguments)


@pytest.fixture
def make(tmp_path):
    path = tmp_path / "series.csv"
    lines = ["time,id,y"]
    for name, length in (("a", 61), ("b", 40), ("c", 50)):
        lines += [f"2024-01-{1 + i // 24:02d} {i % 24:02d}:00,{name},{i}" for i in range(length)]
    path.write_text("\n".join(lines) + "\n")

    def module(**settings):
        arguments = {"context_length": 6, "prediction_length": 2, "val_size": 2, "test_size": 2}
        return CSVDataModule(path, time_col="time", target_cols="y", id_col="id", **(arguments | settings))

    return module


def test_data_module_lays_windows_end_to_end(make):
    module = make(stateful=True, batch_size=4)
    loader = module.train_dataloader()
    assert isinstance(loader, WindowLoader)
    batches = list(loader)
    assert len(batches) == len(loader)
    for before, batch in pairwise(batches):
        rows = len(batch["reset"])
        goes_on = (batch["series_index"] == before["series_index"][:rows]) & (
            batch["past_target"][:, 0, 0] == before["past_target"][:rows, -1, 0] + 1
        )
        assert torch.equal(batch["reset"], ~goes_on)
    # The windows of each series end with its training part, and cover all of it but less than one window.
    for series, length in enumerate((61, 40, 50)):
        mine = torch.cat([batch["past_target"][batch["series_index"] == series, :, 0] for batch in batches])
        cells = mine.flatten().sort().values
        stop = length - 4  # the training part's end
        assert cells[-1] == stop - 2 - 1  # the last two steps are the last window's targets
        assert torch.equal(cells, torch.arange(cells[0], stop - 2))
        assert cells[0] < 6


def test_stateful_windows_can_be_cut_further(make):
    chunks = list(make(stateful=True, batch_size=4, tbptt_steps=4).train_dataloader())
    assert [chunk["past_target"].shape[1] for chunk in chunks[:4]] == [4, 2, 4, 2]
    whole = list(make(stateful=True, batch_size=4).train_dataloader())
    assert [chunk["reset"].tolist() for chunk in chunks[::2]] == [batch["reset"].tolist() for batch in whole]
    assert not any(chunk["reset"].any() for chunk in chunks[1::2])


def test_evaluation_is_as_ever(make):
    for plain, stateful in zip(
        make().val_dataloader(), make(stateful=True, tbptt_steps=2).val_dataloader(), strict=True
    ):
        assert plain.keys() == stateful.keys()
        assert torch.equal(plain["past_target"], stateful["past_target"])


def test_strides_are_refused(make):
    with pytest.raises(DataError, match="stride: expected none with stateful=True"):
        make(stateful=True, stride=2)
    with pytest.raises(DataError, match="tbptt_steps: expected a whole number of at least 1, got 0"):
        make(tbptt_steps=0)


@pytest.mark.parametrize("tbptt_steps", [None, 4])
@pytest.mark.parametrize("taken", [1, 3, 5])
def test_loader_goes_on_where_it_was(make, taken, tbptt_steps):
    def loader():
        return make(stateful=True, batch_size=4, tbptt_steps=tbptt_steps).train_dataloader()

    def seen(loader, epochs):
        for _ in range(epochs):
            for batch in loader:
                yield batch["past_target"][:, 0, 0].tolist(), batch["reset"].tolist()

    straight = list(seen(loader(), 3))
    interrupted, resumed = loader(), loader()
    stream = seen(interrupted, 3)
    before = [next(stream) for _ in range(taken)]
    resumed.load_state_dict(interrupted.state_dict())
    assert before + list(seen(resumed, 3))[: len(straight) - taken] == straight
    assert isinstance(resumed, TBPTTLoader) is (tbptt_steps is not None)
