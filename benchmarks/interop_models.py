"""Models of other libraries with recurrent layers, each caught in training: its module and its batches."""

import copy
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

STEPS = 30
CONTEXT, HORIZON, SERIES, LENGTH = 48, 12, 32, 400
QUIET = {
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
    "accelerator": "cpu",
}


@dataclass
class Caught:
    """A module as it was before training, and what its library gave it to train on."""

    module: nn.Module
    batches: list[Any]
    trainer: Any = None  #: which a training step may ask for, and its stage
    stage: Any = None


def catcher(callback: type[Any]) -> tuple[Any, Caught]:
    """Make a callback that notes the module at the start and every batch, and what it fills.

    `callback` is the class of the package of Lightning that the library uses; there are two.
    """
    caught = Caught(nn.Module(), [])  # not a part of the callback, which libraries copy

    class Catcher(callback):  # type: ignore[misc]
        def on_train_start(self, trainer: Any, module: Any) -> None:
            module._trainer = None
            caught.module = copy.deepcopy(module)
            module._trainer = caught.trainer = trainer
            caught.stage = trainer.state.stage

        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:
            caught.batches.append(copy.deepcopy(batch))

    return Catcher(), caught


def series() -> pd.DataFrame:
    """Daily and weekly waves with noise, hourly."""
    generator = np.random.default_rng(0)
    time = np.arange(LENGTH)
    frames = []
    for number in range(SERIES):
        phase = generator.uniform(0, 24)
        value = 3 + np.sin((time + phase) * 2 * np.pi / 24) + 0.5 * np.sin((time + phase) * 2 * np.pi / 168)
        value += 0.1 * generator.standard_normal(LENGTH)
        start = pd.date_range("2024-01-01", periods=LENGTH, freq="h")
        frames.append(pd.DataFrame({"unique_id": f"s{number:02d}", "ds": start, "t": time, "y": value}))
    return pd.concat(frames, ignore_index=True).astype({"y": np.float32})


def neuralforecast(name: str) -> Caught:
    """Catch neuralforecast's model of this name, sizes as by default."""
    from neuralforecast import NeuralForecast, models
    from pytorch_lightning import Callback

    callback, caught = catcher(Callback)
    model = getattr(models, name)(
        h=HORIZON,
        input_size=CONTEXT,
        max_steps=STEPS,
        encoder_dropout=0.0,
        callbacks=[callback],
        **QUIET,
    )
    NeuralForecast(models=[model], freq="h").fit(series()[["unique_id", "ds", "y"]])
    return checked(caught)


def darts(name: str) -> Caught:
    """Catch darts' BlockRNNModel with this cell."""
    from darts import TimeSeries
    from darts.models import BlockRNNModel
    from pytorch_lightning import Callback

    callback, caught = catcher(Callback)
    model = BlockRNNModel(
        input_chunk_length=CONTEXT,
        output_chunk_length=HORIZON,
        model=name,
        hidden_dim=64,
        batch_size=32,
        n_epochs=1,
        dropout=0.0,
        random_state=0,
        pl_trainer_kwargs={**QUIET, "callbacks": [callback], "max_steps": STEPS},
    )
    parts = series().groupby("unique_id")
    model.fit([TimeSeries.from_dataframe(part, "ds", "y") for _name, part in parts], verbose=False)
    return checked(caught)


def pytorch_forecasting(name: str) -> Caught:
    """Catch pytorch-forecasting's DeepAR with this cell."""
    from lightning.pytorch import Callback, Trainer
    from pytorch_forecasting import DeepAR, TimeSeriesDataSet

    data = TimeSeriesDataSet(
        series(),
        time_idx="t",
        target="y",
        group_ids=["unique_id"],
        max_encoder_length=CONTEXT,
        max_prediction_length=HORIZON,
        time_varying_unknown_reals=["y"],
    )
    model = DeepAR.from_dataset(data, cell_type=name, hidden_size=32, rnn_layers=2, dropout=0.0)
    callback, caught = catcher(Callback)
    trainer = Trainer(**QUIET, max_steps=STEPS, callbacks=[callback])
    trainer.fit(model, data.to_dataloader(train=True, batch_size=64, num_workers=0))
    return checked(caught)


def plain_loop(name: str) -> Caught:
    """A LightningModule as one writes it: 168 steps, 64 units."""
    from lightning import LightningModule

    class Plain(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = getattr(nn, name)(1, 64, batch_first=True)
            self.head = nn.Linear(64, 24)

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            x, y = batch
            return nn.functional.mse_loss(self.head(self.layer(x)[0][:, -1]), y)

    torch.manual_seed(0)
    values = torch.tensor(series()["y"].to_numpy(), dtype=torch.float32).view(SERIES, LENGTH, 1)
    batches = []
    for start in range(STEPS):
        x, y = values[:, start : start + 168], values[:, start + 168 : start + 192, 0]
        batches.append((x, y))
    return Caught(Plain(), batches)


def checked(caught: Caught) -> Caught:
    """Give it back if it holds all steps."""
    if len(caught.batches) != STEPS:
        raise RuntimeError(f"expected {STEPS} batches, caught {len(caught.batches)}")
    caught.trainer.state.stage = caught.stage
    return caught


#: library, model, how it is caught, and the cell's name there
CASES: list[tuple[str, str, Callable[[str], Caught], str]] = [
    ("plain Lightning loop, 168 x 64", "nn.LSTM", plain_loop, "LSTM"),
    ("plain Lightning loop, 168 x 64", "nn.GRU", plain_loop, "GRU"),
    ("neuralforecast", "LSTM", neuralforecast, "LSTM"),
    ("neuralforecast", "GRU", neuralforecast, "GRU"),
    ("darts", "BlockRNNModel LSTM", darts, "LSTM"),
    ("darts", "BlockRNNModel GRU", darts, "GRU"),
    ("darts", "BlockRNNModel RNN", darts, "RNN"),
    ("pytorch-forecasting", "DeepAR LSTM", pytorch_forecasting, "LSTM"),
    ("pytorch-forecasting", "DeepAR GRU", pytorch_forecasting, "GRU"),
]


def quieten() -> None:
    """These libraries say much that is not to the point here."""
    warnings.simplefilter("ignore")
    for name in ("lightning", "pytorch_lightning", "lightning.pytorch", "darts", "neuralforecast"):
        logging.getLogger(name).setLevel(logging.ERROR)
