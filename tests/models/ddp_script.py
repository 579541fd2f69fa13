"""Trains and evaluates in one process or in two, and saves what came out: see test_ddp.py.

Lightning starts the second process by running this script again; all trainings share the two.
"""

import importlib.util
import math
import os
import runpy
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import torch
from lightning import LightningDataModule, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

from seqlight.callbacks import ForecastWriter
from seqlight.data import CSVDataModule, SyntheticDataModule, SyntheticImputationDataModule
from seqlight.models import (
    ConvGRUForecaster,
    ConvImputer,
    ConvLSTMForecaster,
    EncoderDecoderForecaster,
    ESRNNForecaster,
    GRUForecaster,
    LinearForecaster,
    LSTMForecaster,
    RNNForecaster,
    RNNImputer,
    SeasonalNaiveForecaster,
    SegmentRNNForecaster,
    SequenceClassifier,
    SequenceGenerator,
    SequenceRegressor,
    StepClassifier,
    TCNForecaster,
    WaveNetForecaster,
)

# Tests are no package; the windows are those of the other tests.
spec = importlib.util.spec_from_file_location("fixtures", Path(__file__).with_name("conftest.py"))
assert spec is not None and spec.loader is not None
fixtures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixtures)
covariates = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("covariates.py"))))

GLOBAL_BATCH = 16


class InOrder(LightningDataModule):
    """Samples of which every second one has much more missing: the processes' counts differ."""

    def __init__(self, little_missing: list[Any], much_missing: list[Any]) -> None:
        super().__init__()
        pairs = zip(little_missing, much_missing, strict=True)
        self.samples: Any = [sample for pair in pairs for sample in pair]

    def train_dataloader(self):
        return self.loader()

    def val_dataloader(self):
        return self.loader()

    def loader(self):
        processes = self.trainer.world_size
        # Lightning would shuffle in two processes, though not in one.
        rank = self.trainer.global_rank
        sampler = DistributedSampler(self.samples, num_replicas=processes, rank=rank, shuffle=False)
        return DataLoader(self.samples, batch_size=GLOBAL_BATCH // processes, sampler=sampler)


def masked() -> InOrder:
    return InOrder(fixtures.sine_windows(32, missing=0.01), fixtures.sine_windows(32, missing=0.6))


def labelled(target: str, unknown: float, *shape: int) -> InOrder:
    """Sequences of 9 steps, some of them shorter, and numbers, classes (``unknown`` is -100) or sequences."""
    generator = torch.Generator().manual_seed(0)

    def samples(missing: float) -> list[dict[str, Tensor]]:
        made = []
        for index in range(32):
            values = torch.randn(shape, generator=generator)
            values = values if math.isnan(unknown) else (values > 0).long()
            values = values.masked_fill(torch.rand(shape, generator=generator) < missing, unknown)
            sequence = torch.randn(9, 1, generator=generator)
            if target == "future_target":
                given = {"static_covariates": sequence[:3, 0]}
            else:
                given = {"past_target": sequence, "lengths": torch.tensor(5 + index % 5)}
            made.append({target: values} | given)
        return made

    return InOrder(samples(0.1), samples(0.7))


TRAINED = {"optimizer": "sgd", "lr": 0.05}
SIZES = {"context_length": fixtures.CONTEXT, "prediction_length": fixtures.HORIZON}


def synthetic(processes: int, **settings: int) -> LightningDataModule:
    # The last batches of 1 and 2 processes hold 8 and 2 times 4 windows.
    return SyntheticDataModule(
        n_train=40, n_val=12, n_test=2, batch_size=GLOBAL_BATCH // processes, **SIZES, **settings
    )


def with_covariates(processes: int) -> LightningDataModule:
    return covariates.CovariateData(
        n_train=40, n_val=12, n_test=2, batch_size=GLOBAL_BATCH // processes, **SIZES
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


def gaps(processes: int) -> LightningDataModule:
    return SyntheticImputationDataModule(
        n_series=40, series_length=24, missing=0.3, batch_size=GLOBAL_BATCH // processes
    )


def forecaster(
    kind: Callable[..., LightningModule], data: LightningDataModule, **options: Any
) -> tuple[Callable[[], LightningModule], LightningDataModule]:
    return lambda: kind(transform="standard", **SIZES, **TRAINED, **options), data


def cases(processes: int) -> dict[str, tuple[Callable[[], LightningModule], LightningDataModule]]:
    small = {"hidden_size": 4}
    every_step = small | {"strategy": "every_step"}
    indicated = every_step | {"observed_indicator": True}
    classes = labelled("label", -100)
    return {
        "lstm": forecaster(LSTMForecaster, masked(), peephole=True, **indicated),
        "rnn": forecaster(RNNForecaster, synthetic(processes), num_layers=2, **every_step),
        "gru": forecaster(GRUForecaster, synthetic(processes), strategy="recursive", **small),
        "conv_gru": forecaster(ConvGRUForecaster, masked(), **indicated),
        "conv_lstm": forecaster(ConvLSTMForecaster, masked(), **indicated),
        "wavenet": forecaster(WaveNetForecaster, masked(), **indicated),
        # Categories are dropped by chance, other ones in each process.
        "tcn": forecaster(
            TCNForecaster, with_covariates(processes), **small, **covariates.EVERY, category_dropout=0.0
        ),
        "encoder_decoder": forecaster(EncoderDecoderForecaster, masked(), observed_indicator=True, **small),
        "linear": forecaster(LinearForecaster, synthetic(processes)),
        "segment_rnn": forecaster(
            SegmentRNNForecaster, synthetic(processes), segment_length=4, cycle=5, **small
        ),
        "es_rnn": forecaster(
            ESRNNForecaster, synthetic(processes), series_ids=["0", "1"], dilations=[[1, 2]], **small
        ),
        # The steps' dependence is that of the errors of both processes.
        "distribution": forecaster(LinearForecaster, masked(), head="student_t"),
        "paths": forecaster(
            LSTMForecaster, masked(), head="normal", strategy="recursive", num_samples=10, **small
        ),
        "tbptt": forecaster(LSTMForecaster, synthetic(processes, tbptt_steps=7), **every_step),
        "stateful": forecaster(GRUForecaster, several_series(processes), **indicated),
        "stateful convolution": forecaster(TCNForecaster, several_series(processes), **indicated),
        "classifier": (lambda: SequenceClassifier(**small, **TRAINED), classes),
        "step_classifier": (lambda: StepClassifier(**small, **TRAINED), labelled("label", -100, 9)),
        "regressor": (
            lambda: SequenceRegressor(label_size=2, **small, **TRAINED),
            labelled("label", math.nan, 2),
        ),
        "generator": (
            lambda: SequenceGenerator(static_covariate_size=3, prediction_length=6, **small, **TRAINED),
            labelled("future_target", math.nan, 6, 1),
        ),
        "rnn_imputer": (lambda: RNNImputer(**small, **TRAINED), gaps(processes)),
        "conv_imputer": (lambda: ConvImputer(num_blocks=2, **small, **TRAINED), gaps(processes)),
    }


def train(processes: int, folder: Path) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name, (make, data) in cases(processes).items():
        torch.manual_seed(0)
        model = make()
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
        trainer.fit(model, data)
        trainer.save_checkpoint(folder / f"{name} {processes}.ckpt")
        if trainer.is_global_zero:
            metrics = {key: value.item() for key, value in trainer.callback_metrics.items()}
            torch.save(metrics, folder / f"{name} {processes}.pt")


def evaluate(processes: int, folder: Path) -> None:
    """Forecast five series, and one, in all windows and after their ends: numbers that are not even."""
    for series in (5, 1):
        time = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 4, 3), "1h", eager=True)
        values = np.random.RandomState(0).rand(series, len(time))
        frame = pl.concat(
            pl.DataFrame({"time": time, "id": f"shop {number}", "y": values[number]})
            for number in range(series)
        )
        # One series has one window to validate: there is none for the second process.
        data = CSVDataModule(
            frame,
            time_col="time",
            target_cols="y",
            id_col="id",
            val_size=fixtures.HORIZON + (2 if series > 1 else 0),
            test_size=fixtures.HORIZON + 1,
            batch_size=4 // processes,
            **SIZES,
        )
        path = folder / f"forecast {series} {processes}.csv"
        trainer = Trainer(
            accelerator="cpu",
            devices=processes,
            strategy="ddp" if processes > 1 else "auto",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[ForecastWriter(path)],
        )
        model = SeasonalNaiveForecaster(season_length=5, **SIZES)
        metrics = {
            name: value
            for stage in (trainer.validate, trainer.test)
            for name, value in stage(model, data, verbose=False)[0].items()
        }
        trainer.predict(model, data)
        if trainer.is_global_zero:
            torch.save(metrics, folder / f"evaluated {series} {processes}.pt")


if __name__ == "__main__":
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    train(int(sys.argv[1]), Path(sys.argv[2]))
    evaluate(int(sys.argv[1]), Path(sys.argv[2]))
    if torch.distributed.is_initialized():
        # Neither process leaves while the other still talks to it, nor with gloo's threads running: on a busy
        # machine that aborts an interpreter that is about to exit.
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
