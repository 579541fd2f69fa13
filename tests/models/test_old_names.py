"""Names that version 0.1 used, and its checkpoints: they warn and work, and give the same numbers."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.core.mixins import HyperparametersMixin

import seqlight
from seqlight import models
from seqlight.data import SyntheticDataModule

CHECKPOINTS = json.loads(Path(__file__).with_name("checkpoints_of_0_1.json").read_text(encoding="utf-8"))
NEW_NAMES = {"past_covariates": "historic_future_covariates", "static": "static_covariates"}
SIZES: dict[str, Any] = {"context_length": 8, "prediction_length": 3}


def tensor(written: dict[str, Any]) -> torch.Tensor:
    return torch.tensor(written["value"], dtype=getattr(torch, written["dtype"]))


@pytest.mark.parametrize("written", CHECKPOINTS, ids=lambda written: written["name"])
def test_old_checkpoint_gives_the_same_numbers(written: dict[str, Any], tmp_path: Path) -> None:
    """The file holds checkpoints of 0.1 with drawn weights, inputs, and what that version answered."""
    state_dict = {name: tensor(value) for name, value in written["state_dict"].items()}
    checkpoint = {name: written[name] for name in ("hyper_parameters", "seqlight")}
    torch.save(checkpoint | {"state_dict": state_dict}, tmp_path / "old.ckpt")
    model = seqlight.load(tmp_path / "old.ckpt")
    inputs = {NEW_NAMES.get(name, name): tensor(value) for name, value in written["inputs"].items()}
    expected = tensor(written["output"])
    with torch.no_grad():
        torch.testing.assert_close(model(**inputs), expected, rtol=1e-5, atol=1e-6)
        if inputs.keys() & NEW_NAMES.values():
            with pytest.warns(FutureWarning, match="is now called"):
                again = model(**{name: tensor(value) for name, value in written["inputs"].items()})
            torch.testing.assert_close(again, expected, rtol=1e-5, atol=1e-6)


class OwnNames(models.LinearForecaster):
    """A user's class with an argument of the old name, which it hands on."""

    def __init__(self, *, covariate_size: int = 0, **kwargs: Any) -> None:
        super().__init__(covariate_size=covariate_size, **kwargs)


@pytest.mark.parametrize("cls", [models.LSTMForecaster, models.NaiveForecaster, OwnNames])
def test_old_argument_warns_and_works(cls: Any, trainer: Any, tmp_path: Path) -> None:
    with pytest.warns(FutureWarning, match="covariate_size is now called future_covariate_size"):
        model = cls(covariate_size=2, **SIZES)
    used = 0 if cls is models.NaiveForecaster else 2
    assert model.future_covariate_size == used
    name = "covariate_size" if cls is OwnNames else "future_covariate_size"
    assert model.hparams[name] == 2
    assert ("covariate_size" in model.hparams) == (cls is OwnNames)
    with pytest.warns(FutureWarning, match="covariate_size is now called"):
        assert model.covariate_size == used
    running = trainer()
    running.strategy.connect(model)
    model.trainer = running
    running.save_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    if cls is OwnNames:
        with pytest.warns(FutureWarning):
            loaded = seqlight.load(tmp_path / "a.ckpt")
    else:
        loaded = seqlight.load(tmp_path / "a.ckpt")  # without a warning
    assert loaded.hparams[name] == 2
    assert loaded.future_covariate_size == used


def test_both_names_must_agree() -> None:
    with (
        pytest.warns(FutureWarning),
        pytest.raises(
            ValueError, match="covariate_size is the old name of future_covariate_size, got 1 and 2"
        ),
    ):
        models.LSTMForecaster(covariate_size=1, future_covariate_size=2, **SIZES)


def test_batches_with_old_keys_warn_and_work() -> None:
    model = models.LSTMForecaster(future_covariate_size=2, static_covariate_size=1, hidden_size=2, **SIZES)
    batch = model.example_inputs(2)
    expected = model.predict_step(batch, 0)["prediction"]
    old = {new: old for old, new in NEW_NAMES.items()}
    with (
        pytest.warns(FutureWarning, match="past_covariates is now called historic_future_covariates"),
        pytest.warns(FutureWarning, match="static is now called static_covariates"),
    ):
        given = model.predict_step({old.get(name, name): value for name, value in batch.items()}, 0)
    assert torch.equal(given["prediction"], expected)


def test_old_names_of_the_generator_and_of_data_modules() -> None:
    with pytest.warns(FutureWarning, match="static_size is now called static_covariate_size"):
        model = models.SequenceGenerator(static_size=4, prediction_length=3, hidden_size=2)
    assert isinstance(model, HyperparametersMixin) and model.hparams["static_covariate_size"] == 4
    data = SyntheticDataModule("parametric_sines", context_length=1, prediction_length=3)
    with pytest.warns(FutureWarning, match="static_size is now called static_covariate_size"):
        assert data.static_size == 4
    with pytest.warns(FutureWarning, match="covariate_size is now called future_covariate_size"):
        assert data.covariate_size == 0
