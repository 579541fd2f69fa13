"""The training recipe: what it keeps, when it ends, and what it says."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch

from seqlight.data import CSVDataModule
from seqlight.experiments import TrainingError, build_forecaster, fit
from seqlight.models import Forecaster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
CPU = {"accelerator": "cpu"}


@pytest.fixture(scope="module")
def small(frame: pl.DataFrame, module: Callable[..., CSVDataModule]) -> CSVDataModule:
    return module(frame, future_covariate_cols=[], calendar_features=[])


def lstm(data: CSVDataModule) -> Callable[[], Forecaster]:
    return lambda: build_forecaster("lstm", data, hidden_size=3)


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(*pair) for pair in zip(one.parameters(), other.parameters(), strict=True))


def test_a_seed_is_a_training(small: CSVDataModule) -> None:
    first, again, other = (fit(lstm(small), small, seed=seed, epochs=2, **CPU) for seed in (0, 0, 1))
    assert same(first.model, again.model) and not same(first.model, other.model)
    assert first.ended == "whole" and first.limit == "2 epochs" and first.epochs == 2
    assert len(first.val_losses) == 2 and first.val_loss == min(first.val_losses)
    assert first.best_epoch == 1 + first.val_losses.index(first.val_loss)
    assert first.checkpoint is None and not first.model.training


def test_the_best_or_the_last(small: CSVDataModule, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build_forecaster("lstm", small, hidden_size=3, lr=0.5, lr_schedule=None)
    best = fit(model, small, seed=0, epochs=5, patience=None, folder=tmp_path, **CPU)
    assert min(best.val_losses) < best.val_losses[-1]  # a rate too large: the last epoch is not the best
    assert best.checkpoint.is_file() and best.best_epoch < 5 and not same(best.model, model)
    torch.manual_seed(0)
    model = build_forecaster("lstm", small, hidden_size=3, lr=0.5, lr_schedule=None)
    last = fit(model, small, seed=0, epochs=5, patience=None, keep="last", **CPU)
    assert last.model is model and last.val_loss == last.val_losses[-1] and last.best_epoch == 5


def test_patience_ends_a_training(small: CSVDataModule) -> None:
    build = lambda: build_forecaster("lstm", small, hidden_size=3, lr=0.0, lr_schedule=None)  # noqa: E731
    ended = fit(build, small, seed=0, epochs=20, patience=2, **CPU)
    assert ended.ended == "early stopping" and ended.epochs == 3


def test_time_and_steps_end_a_training(small: CSVDataModule) -> None:
    timed = fit(lstm(small), small, seed=0, epochs=50, max_time=0.001, **CPU)
    assert timed.ended == "time" and timed.epochs == 1
    stepped = fit(lstm(small), small, seed=0, steps=7, keep="last", limit_val_batches=0, **CPU)
    assert stepped.steps == stepped.best_step == 7 and stepped.limit == "7 steps"
    assert stepped.val_losses == ()


def test_loaders_in_place_of_a_module(small: CSVDataModule) -> None:
    train = small.train_dataloader()
    fitted = fit(lstm(small)(), (train, None), epochs=1, keep="last", batches_per_epoch=2, **CPU)
    assert fitted.steps == 2
    with pytest.raises(ValueError, match="keep: expected 'last' without validation data"):
        fit(lstm(small)(), (train, None), epochs=1, **CPU)


def test_what_cannot_be_used(small: CSVDataModule) -> None:
    huge = lambda: build_forecaster("lstm", small, hidden_size=3, lr=1e30)  # noqa: E731
    with pytest.raises(TrainingError, match=r"epoch 0, step 1: the loss is .*, before any epoch") as raised:
        fit(huge, small, seed=0, epochs=2, **CPU)
    assert raised.value.where == "epoch 0, step 1"
    with pytest.raises(ValueError, match="epochs, steps: expected one of them"):
        fit(lstm(small), small, epochs=1, steps=1)
