"""Covariates known up to now, known ahead and static: what reaches a forecast, and what is refused."""

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

import seqlight
from seqlight import models
from seqlight.inputs import CategoryEmbeddings, CovariateScaler, FutureHead, NetworkInputs

covariates = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("covariates.py"))))

SIZES: dict[str, Any] = {"context_length": 24, "prediction_length": 6}
WAVENET = {"num_blocks": 1, "layers_per_block": 5, "hidden_size": 4}
KINDS: dict[str, Any] = {
    "recurrent": lambda **given: models.LSTMForecaster(hidden_size=4, **given),
    "convolution in front": lambda **given: models.ConvGRUForecaster(hidden_size=4, **given),
    "TCN": lambda **given: models.TCNForecaster(hidden_size=4, **given),
    "WaveNet": lambda **given: models.WaveNetForecaster(**WAVENET, **given),
    "linear": lambda **given: models.LinearForecaster(**given),
}


def batch_of(count: int, *, past: bool = True) -> dict[str, Tensor]:
    torch.manual_seed(count)
    made = covariates.covariates_of(torch.arange(count), 24, 6, past=past)
    return {"past_target": torch.randn(count, 24, 1), "future_target": torch.randn(count, 6, 1)} | made


def moved(forecaster: Any, batch: dict[str, Tensor], name: str) -> Tensor:
    """By how much each output ``[H]`` moves where an entry of the batch is another."""
    value = batch[name]
    other = (value + 1) % 3 if value.dtype == torch.int64 else value + 1.0
    inputs = {key: value for key, value in batch.items() if key != "future_target"}
    with torch.no_grad():
        return (forecaster(**inputs) - forecaster(**inputs | {name: other})).abs().amax((0, 2))


@pytest.mark.parametrize("strategy", ["direct", "every_step"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_output_sees_all_future_rows(kind: str, strategy: str) -> None:
    """By gradient for numbers, and for every covariate by another value."""
    forecaster = KINDS[kind](strategy=strategy, **SIZES, **covariates.EVERY).eval()
    batch = batch_of(4)
    inputs = {name: value for name, value in batch.items() if name != "future_target"}
    rows = inputs["future_covariates"].clone().requires_grad_()
    forecast = forecaster(**inputs | {"future_covariates": rows})
    for step in range(6):
        (gradient,) = torch.autograd.grad(forecast[:, step].sum(), rows, retain_graph=True)
        # A unit that is at rest for one window need not be for another.
        assert (gradient.abs().sum((0, 2)) > 0).all()
    for name in forecaster.inputs.names:
        assert (moved(forecaster, batch, name) > 0).all(), name


@pytest.mark.parametrize("kind", ["recurrent", "WaveNet"])
def test_outputs_of_every_step_see_their_own_rows_and_no_later_ones(kind: str) -> None:
    forecaster = KINDS[kind](strategy="every_step", transform="none", **SIZES, **covariates.EVERY).eval()
    batch = batch_of(3)
    window, _ = forecaster._batch_window(batch, with_future=True)
    output, steps, _ = forecaster.strategy._run_past(forecaster.network, window)
    assert (output.shape, steps) == ((3, 24, 6, 1), range(24))
    step = 9
    for row in range(step - 1, 23):  # known row i belongs to the time after input i
        changed = batch["historic_future_covariates"].clone()
        changed[:, row + 1] += 5.0
        window, _ = forecaster._batch_window(
            batch | {"historic_future_covariates": changed}, with_future=True
        )
        other, _, _ = forecaster.strategy._run_past(forecaster.network, window)
        sees = not torch.equal(other[:, step], output[:, step])
        assert sees == (row <= step + 5)


def test_head_of_all_steps_at_once_is_that_of_each_step() -> None:
    torch.manual_seed(0)
    for linear in (False, True):
        head = FutureHead(3, 4, 2, linear=linear)
        rows, output = torch.randn(2, 13, 3), torch.randn(2, 4, 8)
        whole = head(output, rows, 3)
        for index in range(4):
            alone = head(output[:, index : index + 1], rows[:, 3 * index : 3 * index + 4])
            torch.testing.assert_close(whole[:, index : index + 1], alone)


def test_linear_is_solved_over_all_future_rows_and_one_hot_categories() -> None:
    """A target that is a linear function of all that is known ahead is found exactly."""
    torch.manual_seed(0)
    batch = batch_of(400)
    batch["future_covariates"] = torch.randn(400, 6, 2)
    batch["future_categories"] = torch.stack(
        [torch.randint(1, 4, (400, 6)), torch.randint(1, 3, (400, 6))], 2
    )
    weight = torch.randn(6, 6 * 2)
    shift = torch.tensor([0.0, 1.0, -2.0, 0.5])
    batch["future_target"] = (batch["future_covariates"].flatten(1) @ weight.T).unsqueeze(2) + shift[
        batch["future_categories"][..., :1]
    ]
    sizes = {"future_covariate_size": 2, "future_cardinalities": [3, 2]}
    given = {name: batch[name] for name in batch if not name.startswith(("past_c", "static"))}
    model = models.LinearForecaster(transform="none", **SIZES, **sizes).solve([given], ridge=1e-9)
    inputs = {name: value for name, value in given.items() if name != "future_target"}
    with torch.no_grad():
        torch.testing.assert_close(model(**inputs), given["future_target"], rtol=0, atol=2e-3)


@pytest.mark.parametrize("name", list(covariates.covariates_of(torch.arange(1), 2, 2)))
def test_covariate_that_the_model_was_not_built_for_is_refused(name: str) -> None:
    batch = batch_of(2)
    model = models.LSTMForecaster(hidden_size=2, **SIZES)
    given = {key: batch[key] for key in ("past_target", "future_target", name)}
    for step in (model.training_step, model.predict_step):
        with pytest.raises(ValueError, match=rf"{name}: the batch has \d of them, the model was built for"):
            step(given, 0)
    with pytest.raises(ValueError, match=f"{name}: the batch has"):
        model(batch["past_target"], **{name: batch[name]})
    # The advice of the message: built for them, it takes them.
    built = models.LSTMForecaster(hidden_size=2, **SIZES, **covariates.EVERY)
    assert built.predict_step(batch, 0)["prediction"].shape == (2, 6, 1)
    del batch[name]
    with pytest.raises(ValueError, match=f"batch: missing {name}"):
        built.predict_step(batch, 0)


def test_baselines_take_any_batch() -> None:
    batch = batch_of(2)
    forecast = models.NaiveForecaster(**SIZES).predict_step(batch, 0)["prediction"]
    assert torch.equal(forecast, batch["past_target"][:, -1:].expand(-1, 6, -1))


@pytest.mark.parametrize("given", [{"past_covariate_size": 1}, {"past_cardinalities": [3]}])
def test_recursive_with_past_covariates_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=r"strategy='recursive' feeds its forecast back .*choose strategy='direct'"
    ):
        models.LSTMForecaster(strategy="recursive", **SIZES, **given)
    models.LSTMForecaster(strategy="direct", **SIZES, **given)
    models.EncoderDecoderForecaster(**SIZES, **given)


def test_gaps_of_past_covariates_are_told_and_filled_with_the_mean() -> None:
    inputs = NetworkInputs(
        target_size=1,
        prediction_length=2,
        past_covariate_size=2,
        schema={"past_covariates": ["a", {"name": "b", "gaps": True}]},
    )
    inputs.fit_scales({"past_covariates": ([1.0, 10.0], [2.0, 5.0])})
    values = torch.tensor([[[3.0, torch.nan], [torch.nan, 20.0]]])
    window = inputs.window(torch.zeros(1, 2, 1), {"past_covariates": values}, 2, torch.float32)
    expected = torch.tensor([[[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 1.0]]])  # target, a, b, b is there
    torch.testing.assert_close(window.inputs(), expected)
    assert (inputs.input_size, inputs.decoder_input_size) == (4, 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("future_covariates", "future_covariates: column 'day' is missing"),
        ("historic_future_covariates", "historic_future_covariates: column 'day' is missing"),
        ("static_covariates", "static_covariates: column number 1 is missing"),
    ],
)
def test_what_is_known_ahead_may_not_be_missing(name: str, message: str) -> None:
    model = models.LSTMForecaster(hidden_size=2, **SIZES, **covariates.EVERY)
    batch = batch_of(2)
    batch[name] = batch[name].clone()
    batch[name][1, ..., -1] = torch.nan
    with pytest.raises(ValueError, match=message):
        model.training_step(batch, 0)


def test_codes_beyond_the_known_values_are_refused() -> None:
    model = models.LSTMForecaster(hidden_size=2, **SIZES, **covariates.EVERY)
    batch = batch_of(2)
    with pytest.raises(ValueError, match=r"past_categories: column number 1 has codes outside 0 .* to 4"):
        model.predict_step(batch | {"past_categories": batch["past_categories"] + 5}, 0)


def test_scales_are_fitted_once_and_kept(trainer: Any, tmp_path: Path) -> None:
    data = covariates.CovariateData(n_train=8, n_val=2, n_test=2, context_length=24, prediction_length=6)
    model = models.LinearForecaster(**SIZES, **covariates.EVERY)
    running = trainer(max_epochs=1)
    running.fit(model, data)
    scaler = model.inputs.scalers["future_covariates"]
    assert (scaler.mean.tolist(), scaler.std.tolist()) == ([20.0, 20.0], [3.5, 3.5])
    running.save_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    loaded = seqlight.load(tmp_path / "a.ckpt")
    assert loaded.inputs.scalers["future_covariates"].mean.tolist() == [20.0, 20.0]
    assert loaded.schema == covariates.EVERY["schema"]
    loaded.inputs.fit_scales({"future_covariates": ([0.0, 0.0], [1.0, 1.0])})
    assert loaded.inputs.scalers["future_covariates"].mean.tolist() == [20.0, 20.0]


def test_scaler_of_constant_and_empty_columns() -> None:
    scaler = CovariateScaler(4)
    scaler.fit(torch.tensor([5.0, torch.nan, 1e6, 0.0]), torch.tensor([0.0, torch.nan, 0.05, 1e-8]))
    x = torch.tensor([5.0, 2.0, 1e6 + 1, 3e-8])
    torch.testing.assert_close(scaler(x), torch.tensor([0.0, 2.0, 1.0, 3.0]))
    with pytest.raises(ValueError, match="covariate_statistics: expected a mean of shape"):
        scaler.fit(torch.zeros(3), torch.ones(3))


def test_value_not_seen_is_trained_by_dropping_categories() -> None:
    torch.manual_seed(0)
    embeddings = CategoryEmbeddings([3], dropout=0.25)
    codes = torch.randint(1, 4, (4000, 1))
    unknown = embeddings.tables[0].weight[0]
    share = (embeddings(codes) == unknown).all(-1).float().mean().item()
    assert share == pytest.approx(0.25, abs=0.02)
    embeddings.eval()
    assert torch.equal(embeddings(codes)[:, : unknown.numel()], embeddings.tables[0](codes[:, 0]))
    assert torch.equal(embeddings(torch.zeros(1, 1, dtype=torch.int64))[0], unknown)


class Promotions(LightningDataModule):
    """Demand at 10 that a promotion, known ahead, raises by 8; noise of deviation 1."""

    NOISE = 1.0

    def __init__(self, *, shuffled: bool) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        promotion = (torch.rand(700, 24 + 6, 1, generator=generator) < 0.3).float()
        target = 10 + 8 * promotion + self.NOISE * torch.randn(promotion.shape, generator=generator)
        if shuffled:
            promotion = promotion[torch.randperm(len(promotion), generator=generator)]
        self.samples = [
            {
                "past_target": target[i, :24],
                "future_target": target[i, 24:],
                "historic_future_covariates": promotion[i, :24],
                "future_covariates": promotion[i, 24:],
            }
            for i in range(len(target))
        ]

    def train_dataloader(self) -> Any:
        return DataLoader(self.samples[:600], batch_size=50)

    def val_dataloader(self) -> Any:
        return DataLoader(self.samples[600:], batch_size=100)


@pytest.mark.parametrize("strategy", ["direct", "every_step"])
def test_promotion_known_ahead_lowers_the_error_to_the_noise(strategy: str, trainer: Any) -> None:
    """And a shuffled one does not: no better than to forecast the mean, whose error is 3.8."""
    errors = {}
    for shuffled in (False, True):
        torch.manual_seed(0)
        model = models.GRUForecaster(
            hidden_size=4, strategy=strategy, future_covariate_size=1, transform="standard", lr=0.03, **SIZES
        )
        running = trainer(max_epochs=6)
        running.fit(model, datamodule=Promotions(shuffled=shuffled))
        errors[shuffled] = running.callback_metrics["val_rmse"].item()
    assert errors[False] < 1.1 * Promotions.NOISE
    assert errors[True] > 3.5 * Promotions.NOISE


SCHEMA = {
    "frequency": "1h",
    "targets": ["y"],
    "past_covariates": [{"name": "wind", "kind": "number", "gaps": True}],
    "static_covariates": ["size"],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frequency": "1d"}, "trained on frequency '1h', the data have '1d'"),
        ({"targets": ["z"]}, r"trained on targets y; the data have z \(missing: y\)"),
        ({"targets": ["y", "z"]}, r"trained on targets y; the data have y, z \(not known to it: z\)"),
        ({"past_covariates": []}, r"past_covariates wind; the data have none \(missing: wind\)"),
        (
            {"past_covariates": [{"name": "wind", "kind": "text"}]},
            "past_covariates 'wind' with kind 'number'; in the data it is 'text'",
        ),
        ({"past_covariates": [{"name": "wind", "kind": "number", "gaps": False}]}, None),
        ({"more": 1}, None),
    ],
)
@pytest.mark.parametrize("stage", ["fit", "validate", "predict"])
def test_schema_of_other_data_is_refused(change: Any, message: str | None, stage: str, trainer: Any) -> None:
    class Data(Promotions):
        def schema(self) -> dict[str, Any]:
            return SCHEMA | change

        def predict_dataloader(self) -> Any:
            return self.val_dataloader()

    model = models.LinearForecaster(targets_alone=True, schema=SCHEMA, **SIZES)
    data = Data(shuffled=False)
    run = getattr(trainer(max_epochs=1), stage)
    if message is None:
        run(model, datamodule=data)
    else:
        with pytest.raises(ValueError, match=message):
            run(model, datamodule=data)


@pytest.mark.parametrize("kind", ["recurrent", "linear"])
def test_bounds_hold_in_every_output(kind: str, trainer: Any) -> None:
    bounded = KINDS[kind](bounds=(-0.5, None), integer=True, **SIZES)
    free = KINDS[kind](**SIZES)
    free.load_state_dict(bounded.state_dict())
    torch.manual_seed(0)
    past = 3 * torch.randn(50, 24, 1)
    with torch.no_grad():
        expected = free(past).round().clamp(min=0.0)  # the whole number above -0.5
        assert torch.equal(bounded(past), expected) and (expected != free(past)).any()
        assert torch.equal(bounded.predict_step({"past_target": past}, 0)["prediction"], expected)
    samples = [{"past_target": x, "future_target": y} for x, y in zip(past, expected, strict=True)]
    running = trainer()
    running.validate(bounded, DataLoader(samples, batch_size=50), verbose=False)
    assert running.callback_metrics["val_mae"].item() == 0.0
    assert models.LinearForecaster(nonnegative=True, **SIZES)(past).min() == 0.0


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"bounds": (1,)}, TypeError, r"bounds: expected a pair \(low, high\)"),
        ({"bounds": (1, "2")}, TypeError, "bounds: expected a number, got '2'"),
        ({"bounds": (2, 1)}, ValueError, "bounds: expected low < high"),
        ({"bounds": (0.2, 0.8), "integer": True}, ValueError, "low < high with whole numbers between"),
        (
            {"bounds": (-1, 1), "nonnegative": True},
            ValueError,
            "low is -1.0, which nonnegative=True excludes",
        ),
        ({"past_cardinalities": [-1]}, ValueError, "past_cardinalities: expected at least 0, got -1"),
        ({"future_rows": "some"}, ValueError, "future_rows: expected one of 'all', 'next'"),
    ],
)
def test_bad_arguments_are_named(given: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        models.LinearForecaster(**SIZES, **given)
