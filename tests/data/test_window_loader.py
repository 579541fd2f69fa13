"""Order of windows: seeded, shared out over processes, resumed; workers change nothing."""

from itertools import chain
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import LightningModule, Trainer

from seqlight.data import (
    DataError,
    SeriesStore,
    SyntheticDataModule,
    WindowDataset,
    WindowLoader,
    WindowSampler,
)
from seqlight.data.windows.window_loader import even_batch_size


def windows(count):
    return WindowDataset(SeriesStore.from_arrays([np.arange(count + 1)]), 1, 1)


def numbers(loader):
    """Batches as lists of window numbers."""
    return [(batch["start"] - 1).tolist() for batch in loader]


def loader_of(dataset, batch_size, **sampler_arguments):
    sampler = WindowSampler(dataset, **sampler_arguments)
    return WindowLoader(dataset, batch_size=batch_size, sampler=sampler, collate_fn=WindowDataset.collate)


@given(
    count=st.integers(1, 60),
    replicas=st.integers(1, 5),
    batch_size=st.integers(1, 7),
    epoch=st.integers(0, 3),
)
def test_batches_of_all_processes_make_the_batches_of_one(count, replicas, batch_size, epoch):
    dataset = windows(count)
    single = loader_of(dataset, batch_size * replicas, shuffle=True, seed=5)
    shares = [
        loader_of(dataset, batch_size, shuffle=True, seed=5, num_replicas=replicas, rank=rank)
        for rank in range(replicas)
    ]
    for loader in (single, *shares):
        loader.sampler.set_epoch(epoch)
    batches = numbers(single)
    assert sorted(chain(*batches)) == list(range(count))
    per_process = [numbers(loader) for loader in shares]
    assert {len(own) for own in per_process} == {len(loader) for loader in shares}
    assert len({len(own) for own in per_process}) == 1
    for i, together in enumerate(batches):
        union = list(chain(*(own[i] for own in per_process)))
        if i < len(batches) - 1:
            assert sorted(union) == sorted(together)
        else:  # the last may repeat a few windows, so that no process is without
            assert set(together) <= set(union)
            assert len(union) < len(together) + replicas


@given(count=st.integers(1, 80), replicas=st.integers(1, 5), batch_size=st.integers(1, 9))
def test_evaluation_gives_every_window_once_in_as_many_batches(count, replicas, batch_size):
    dataset = windows(count)
    size = even_batch_size(count, batch_size, replicas)
    assert batch_size <= size
    loaders = [
        loader_of(dataset, size, num_replicas=replicas, rank=rank, even=False) for rank in range(replicas)
    ]
    shares = [numbers(loader) for loader in loaders]
    assert len({len(own) for own in shares}) == 1
    everything = sorted(number for own in shares for batch in own for number in batch)
    assert set(everything) == set(range(count))
    scored = [
        batch["start"][~batch["future_target"].isnan().all((1, 2))] - 1
        for loader in loaders
        for batch in loader
    ]
    assert sorted(torch.cat(scored).tolist()) == list(range(count))


def test_order_depends_on_seed_and_epoch_alone():
    dataset = windows(1000)

    def order(seed, epoch):
        sampler = WindowSampler(dataset, shuffle=True, seed=seed)
        sampler.set_epoch(epoch)
        return tuple(sampler)

    torch.manual_seed(0)
    first = order(1, 0)
    torch.manual_seed(99)
    assert order(1, 0) == first
    assert len({order(seed, epoch) for seed in range(4) for epoch in range(4)}) == 16


@given(
    count=st.integers(1, 20),
    batch_size=st.integers(1, 6),
    taken=st.integers(0, 25),
)
def test_loader_goes_on_where_it_was(count, batch_size, taken):
    dataset = windows(count)
    loader = loader_of(dataset, batch_size, shuffle=True, seed=1)
    stream = [batch for _ in range(4) for batch in numbers(loader)]
    taken = min(taken, len(stream) // 2)

    interrupted = loader_of(dataset, batch_size, shuffle=True, seed=1)
    seen = []
    while len(seen) < taken:
        for batch in interrupted:
            seen.append((batch["start"] - 1).tolist())
            if len(seen) == taken:
                break
    state = interrupted.state_dict()
    resumed = loader_of(dataset, batch_size, shuffle=True, seed=1)
    resumed.load_state_dict(state)
    rest = [batch for _ in range(4) for batch in numbers(resumed)]
    assert (seen + rest)[: len(stream)] == stream


def test_workers_give_the_same_batches():
    sizes = {"n_train": 50, "n_val": 5, "n_test": 5, "batch_size": 8}
    plain = SyntheticDataModule(**sizes).train_dataloader()
    worker = SyntheticDataModule(**sizes, num_workers=1, persistent_workers=True).train_dataloader()
    for _ in range(2):
        for ours, theirs in zip(plain, worker, strict=True):
            assert ours.keys() == theirs.keys()
            assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_module_takes_its_share_from_the_trainer():
    module = SyntheticDataModule(n_train=9, n_val=6, n_test=5, batch_size=2)
    module.trainer = SimpleNamespace(
        strategy=SimpleNamespace(distributed_sampler_kwargs={"num_replicas": 2, "rank": 1})
    )
    assert [batch["series_index"].tolist() for batch in module.val_dataloader()] == [[10, 12], [14]]
    # 3 and 2 windows would be 2 batches and 1 of two windows: they become 1 batch each, of three.
    assert [batch["series_index"].tolist() for batch in module.test_dataloader()] == [[16, 18]]
    assert len(module.train_dataloader()) == 3


class Recorder(LightningModule):
    """Learns nothing; remembers which windows it saw."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []
        self.evaluated = []
        self.save_after, self.save_to = None, None

    def training_step(self, batch, index):
        self.seen.append(batch["series_index"].tolist())
        return self.weight * batch["past_target"].mean()

    def on_train_batch_end(self, outputs, batch, index):
        if len(self.seen) == self.save_after:
            self.trainer.save_checkpoint(self.save_to)

    def validation_step(self, batch, index):
        self.evaluated += batch["series_index"].tolist()

    def predict_step(self, batch, index):
        return batch["series_index"]

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer_of(folder, **arguments):
    return Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **arguments,
    )


def module_of():
    return SyntheticDataModule(n_train=22, n_val=5, n_test=3, batch_size=4)


# After 4 of the 6 batches of an epoch, at its end, in the second epoch; at the end of one that is cut short.
@pytest.mark.parametrize(("steps", "per_epoch"), [(4, 6), (6, 6), (9, 6), (8, 4)])
def test_training_resumes_with_the_next_batch(steps, per_epoch, tmp_path):
    settings = {"enable_checkpointing": False, "limit_train_batches": per_epoch}
    straight = Recorder()
    trainer_of(tmp_path, max_steps=18, **settings).fit(straight, module_of())
    assert len(straight.seen) == 18
    epochs = [straight.seen[i : i + per_epoch] for i in range(0, 18, per_epoch)]
    assert len({tuple(chain(*epoch)) for epoch in epochs}) == len(epochs)

    first, second = Recorder(), Recorder()
    first.save_after, first.save_to = steps, tmp_path / "kept.ckpt"
    trainer_of(tmp_path, max_steps=steps, **settings).fit(first, module_of())
    trainer_of(tmp_path, max_steps=18, **settings).fit(
        second, module_of(), ckpt_path=tmp_path / "kept.ckpt", weights_only=True
    )
    assert first.seen + second.seen == straight.seen


def test_lightning_takes_the_loaders_as_they_are(tmp_path):
    recorder = Recorder()
    trainer = trainer_of(tmp_path, max_epochs=1, enable_checkpointing=False)
    trainer.fit(recorder, module_of())
    assert recorder.evaluated == [22, 23, 24, 25, 26]
    assert isinstance(trainer.train_dataloader, WindowLoader)
    predicted = trainer.predict(recorder, module_of())
    assert torch.cat(predicted).tolist() == [27, 28, 29]


def test_one_window_is_a_batch_without_its_dimension():
    dataset = windows(5)
    item, batch = dataset[3], dataset.__getitems__([3])
    assert item["past_target"].shape == (1, 1)
    assert all(torch.equal(item[name], batch[name][0]) for name in batch)
    assert torch.equal(dataset[-1]["start"], torch.tensor(5))
    with pytest.raises(IndexError, match="window 5 of 5"):
        dataset[5]


def test_windows_are_gathered_from_memory_once():
    dataset = WindowDataset(SeriesStore.from_arrays([np.zeros((100_000, 3), np.float32)]), 1000, 10)
    stored = sum(value.nbytes for value in vars(dataset).values() if isinstance(value, torch.Tensor))
    assert stored < 1.1 * 100_000 * 3 * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"context_length": 0}, "context_length: expected at least 1, got 0"),
        ({"stride": 0}, "stride: expected at least 1, got 0"),
        ({"stop": np.array([9])}, "stop: expected no more than the length of the series"),
    ],
)
def test_impossible_windows_are_refused(arguments, message):
    store = SeriesStore.from_arrays([np.arange(8)])
    with pytest.raises(DataError, match=message):
        WindowDataset(store, **{"context_length": 2, "prediction_length": 1, **arguments})
