"""A resumed run has the losses of an uninterrupted one, bit for bit, wherever it was interrupted."""

import numpy as np
import polars as pl
import pytest
import torch
from lightning import Callback

from seqlight.data import CSVDataModule, SyntheticDataModule
from seqlight.models import LSTMForecaster

SIZES = {"context_length": 8, "prediction_length": 2}


def csv_data(**settings):
    time = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 3, 11), "1h", eager=True)
    random = np.random.RandomState(0)
    frame = pl.concat(
        pl.DataFrame({"time": time, "id": name, "y": random.rand(len(time)).cumsum()}) for name in "abc"
    )
    return CSVDataModule(
        frame, time_col="time", target_cols="y", id_col="id", seed=3, batch_size=4, **SIZES, **settings
    )


def synthetic_data(**settings):
    return SyntheticDataModule(n_train=15, n_val=4, n_test=2, batch_size=4, **SIZES, **settings)


DATA = {
    "windows": lambda: csv_data(stride=6),
    "synthetic": synthetic_data,
    "tbptt": lambda: synthetic_data(tbptt_steps=5),
    "stateful": lambda: csv_data(stateful=True),
    "stateful and tbptt": lambda: csv_data(stateful=True, tbptt_steps=3),
}


class Losses(Callback):
    def __init__(self):
        self.train, self.val = [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.train.append(outputs["loss"].item())

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.val.append(trainer.callback_metrics["val_loss"].item())


class SaveAt(Callback):
    """Saves once, at a hook of Lightning's, after ``steps`` training batches."""

    def __init__(self, hook, steps, path):
        self.seen, self.steps, self.path, self.saved = 0, steps, path, False
        setattr(self, hook, self.save)
        if hook != "on_train_batch_end":
            self.on_train_batch_end = self.count

    def count(self, *args):
        self.seen += 1

    def save(self, trainer, *args):
        if len(args) > 1:
            self.seen += 1
        if self.seen >= self.steps and not trainer.sanity_checking and not self.saved:
            self.saved = True
            trainer.save_checkpoint(self.path)


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize(
    ("hook", "at"),
    [
        ("on_train_batch_end", "middle"),
        ("on_train_batch_end", "last"),
        ("on_validation_end", "last"),
        ("on_train_epoch_end", "last"),
    ],
)
def test_resumed_losses_are_those_of_the_uninterrupted_run(data, hook, at, trainer, tmp_path):
    def fit(seed, *callbacks, **kwargs):
        torch.manual_seed(seed)
        losses = Losses()
        model = LSTMForecaster(
            hidden_size=4,
            dropout=0.4,
            strategy="every_step",
            transform="standard",
            lr=1e-2,
            lr_schedule="one_cycle",
            **SIZES,
        )
        running = trainer(max_epochs=4, callbacks=[losses, *callbacks])
        running.fit(model, DATA[data](), **kwargs)
        return losses, model.state_dict()

    path = tmp_path / "saved.ckpt"
    batches = len(DATA[data]().train_dataloader())
    assert batches > 3
    steps = 2 * batches if at == "last" else batches + 3
    whole, final = fit(1, SaveAt(hook, steps, path))
    assert len(whole.train) == 4 * batches
    resumed, resumed_final = fit(2, ckpt_path=path, weights_only=True)
    assert resumed.train == whole.train[steps:]
    assert resumed.val[-2:] == whole.val[-2:]
    for name, value in final.items():
        assert torch.equal(value, resumed_final[name]), name
