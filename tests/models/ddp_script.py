"""Trains forecasters in one process or in two, and saves what came out: see test_ddp.py.

Lightning starts the second process by running this script again; all trainings share the two.
"""

import importlib.util
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import torch
from lightning import LightningDataModule, Trainer
from torch.utils.data import DataLoader, DistributedSampler

from seqlight.data import CSVDataModule, SyntheticDataModule
from seqlight.models import (
    Forecaster,
    GRUForecaster,
    LinearForecaster,
    LSTMForecaster,
    RNNForecaster,
    TCNForecaster,
    WaveNetForecaster,
)

# Tests are no package; the windows are those of the other tests.
spec = importlib.util.spec_from_file_location("fixtures", Path(__file__).with_name("conftest.py"))
assert spec is not None and spec.loader is not None
fixtures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixtures)

GLOBAL_BATCH = 16


class Masked(LightningDataModule):
    """Half of the windows have many missing cells: the processes' counts differ."""

    def train_dataloader(self):
        return self.loader()

    def val_dataloader(self):
        return self.loader()

    def loader(self):
        processes = self.trainer.world_size
        samples = fixtures.sine_windows(32, missing=0.01) + fixtures.sine_windows(32, missing=0.6)
        samples = [sample for pair in zip(samples[:32], samples[32:], strict=True) for sample in pair]
        # Lightning would shuffle in two processes, though not in one.
        rank = self.trainer.global_rank
        sampler = DistributedSampler(samples, num_replicas=processes, rank=rank, shuffle=False)
        return DataLoader(samples, batch_size=GLOBAL_BATCH // processes, sampler=sampler)


SIZES = {"context_length": fixtures.CONTEXT, "prediction_length": fixtures.HORIZON}


def synthetic(processes: int, **settings: int) -> LightningDataModule:
    # The last batches of 1 and 2 processes hold 8 and 2 times 4 windows.
    return SyntheticDataModule(
        n_train=40, n_val=12, n_test=2, batch_size=GLOBAL_BATCH // processes, **SIZES, **settings
    )


def several_series(processes: int) -> LightningDataModule:
    """Series of different lengths, a few cells of which are missing, end to end in all rows.

    They make 130 windows: the last batch has two rows, one for each of two processes.
    """
    random = np.random.RandomState(0)
    time = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 2, 21), "1h", eager=True)
    values = np.sin(np.arange(len(time)) / 2) + 0.1 * random.rand(4, len(time))
    values[:, 100:110] = np.nan
    frame = pl.concat(
        pl.DataFrame({"time": time[:length], "id": str(number), "y": values[number, :length]})
        for number, length in enumerate((1224, 700, 1000, 500))
    )
    return CSVDataModule(
        frame,
        time_col="time",
        target_cols="y",
        id_col="id",
        missing="mask",
        val_size=30,
        test_size=30,
        stateful=True,
        tbptt_steps=9,
        batch_size=GLOBAL_BATCH // processes,
        **SIZES,
    )


def cases(processes: int) -> dict[str, tuple[type[Forecaster], dict[str, object], LightningDataModule]]:
    masked = {"observed_indicator": True}
    return {
        "lstm": (LSTMForecaster, {"peephole": True, **masked}, Masked()),
        "rnn": (RNNForecaster, {"num_layers": 2}, synthetic(processes)),
        "gru": (GRUForecaster, {"strategy": "recursive"}, synthetic(processes)),
        "wavenet": (WaveNetForecaster, masked, Masked()),
        "tcn": (TCNForecaster, {"strategy": "direct"}, synthetic(processes)),
        "linear": (LinearForecaster, {}, synthetic(processes)),
        "tbptt": (LSTMForecaster, {}, synthetic(processes, tbptt_steps=7)),
        "stateful": (GRUForecaster, masked, several_series(processes)),
        "stateful convolution": (TCNForecaster, masked, several_series(processes)),
    }


def train(processes: int, folder: Path) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name, (kind, options, data) in cases(processes).items():
        torch.manual_seed(0)
        if kind is not LinearForecaster:
            options = {"hidden_size": 4, "strategy": "every_step"} | options
        forecaster = kind(transform="standard", optimizer="sgd", lr=0.05, **SIZES, **options)
        trainer = Trainer(
            accelerator="cpu",
            devices=processes,
            strategy="ddp" if processes > 1 else "auto",
            max_epochs=2,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(forecaster, data)
        trainer.save_checkpoint(folder / f"{name} {processes}.ckpt")
        if trainer.is_global_zero:
            metrics = {key: value.item() for key, value in trainer.callback_metrics.items()}
            torch.save(metrics, folder / f"{name} {processes}.pt")


if __name__ == "__main__":
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    train(int(sys.argv[1]), Path(sys.argv[2]))
