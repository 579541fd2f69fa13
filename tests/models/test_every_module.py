"""What every LightningModule can do: be trained, resumed, compiled, exported, used in mixed precision."""

import copy
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

import seqlight
from seqlight import models
from seqlight.data import SyntheticDataModule, SyntheticImputationDataModule

covariates = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("covariates.py"))))

# torch's own call of an autograd.Function while it traces.
TRACING = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")

SIZES: dict[str, Any] = {"context_length": 24, "prediction_length": 2}
BASIC: dict[str, Any] = {"hidden_size": 4}
SMALL: dict[str, Any] = BASIC | {"dropout": 0.3}
FORECASTER = SIZES | SMALL


def drawn(generator: str, cls: type = SyntheticDataModule, **sizes: int) -> Callable[[], Any]:
    counts = {"n_train": 16, "n_val": 4, "n_test": 4, "batch_size": 4}
    return lambda: cls(generator, **counts, **({"context_length": 24} | sizes))


def with_gaps() -> Any:
    return SyntheticImputationDataModule(n_series=16, series_length=24, batch_size=4)


SERIES = drawn("sine_waves", prediction_length=2)
# Forecasters are tried with covariates of every kind.
COVARIATES = drawn("sine_waves", covariates.CovariateData, prediction_length=2)
KNOWN_AHEAD = drawn("sine_waves", covariates.KnownAheadData, prediction_length=2)
FORECASTER |= covariates.EVERY
HEAD: dict[str, Any] = {"quantiles": [0.25, 0.5, 0.75]}
WAVENET = {"num_blocks": 1, "layers_per_block": 2}

# Each module, and data for it: four batches of four.
TRAINED: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "LSTMForecaster": (
        lambda: models.LSTMForecaster(strategy="every_step", layer_norm=True, **FORECASTER),
        COVARIATES,
    ),
    "GRUForecaster": (
        lambda: models.GRUForecaster(strategy="recursive", **SIZES, **SMALL, **covariates.AHEAD),
        KNOWN_AHEAD,
    ),
    "RNNForecaster": (lambda: models.RNNForecaster(**FORECASTER), COVARIATES),
    "ConvGRUForecaster": (lambda: models.ConvGRUForecaster(strategy="every_step", **FORECASTER), COVARIATES),
    "ConvLSTMForecaster": (lambda: models.ConvLSTMForecaster(**FORECASTER), COVARIATES),
    "TCNForecaster": (
        lambda: models.TCNForecaster(num_blocks=1, cycle=6, channels="independent", **FORECASTER),
        COVARIATES,
    ),
    "ESRNNForecaster": (
        lambda: models.ESRNNForecaster(
            series_ids=["0", "1"], season_length=5, dilations=[[1], [3]], transform="instance", **FORECASTER
        ),
        COVARIATES,
    ),
    "SegmentRNNForecaster": (
        lambda: models.SegmentRNNForecaster(cycle=6, segment_length=5, linear_skip=True, **FORECASTER),
        COVARIATES,
    ),
    "WaveNetForecaster": (
        lambda: models.WaveNetForecaster(**WAVENET, **SIZES, **BASIC, **covariates.EVERY),
        COVARIATES,
    ),
    "EncoderDecoderForecaster": (
        lambda: models.EncoderDecoderForecaster(teacher_forcing=0.5, **FORECASTER),
        COVARIATES,
    ),
    "LinearForecaster": (lambda: models.LinearForecaster(**SIZES, **covariates.EVERY), COVARIATES),
    "SequenceClassifier": (
        lambda: models.SequenceClassifier(num_classes=4, core="lstm", **SMALL),
        drawn("waveforms"),
    ),
    "StepClassifier": (
        lambda: models.StepClassifier(num_classes=10, core="gru", **SMALL),
        drawn("copy_memory"),
    ),
    "SequenceRegressor": (
        lambda: models.SequenceRegressor(input_size=2, core="wavenet", core_options=WAVENET, **SMALL),
        drawn("adding_problem"),
    ),
    "SequenceGenerator": (
        lambda: models.SequenceGenerator(static_covariate_size=4, prediction_length=6, **SMALL),
        drawn("parametric_sines", context_length=1, prediction_length=6),
    ),
    "RNNImputer": (lambda: models.RNNImputer(window_length=24, **SMALL), with_gaps),
    "ConvImputer": (lambda: models.ConvImputer(num_blocks=1, window_length=24, **SMALL), with_gaps),
}


def with_known_dependence(forecaster: Any) -> Any:
    """Of steps that are independent, so that it has paths before it was validated."""
    forecaster.dependence.fitted.fill_(True)
    return forecaster


# Distributions: quantiles of each step, and of paths that are drawn, with a copula or fed back.
TRAINED |= {
    "LSTMForecaster with quantiles": (
        lambda: models.LSTMForecaster(head="quantile", strategy="every_step", **FORECASTER),
        COVARIATES,
    ),
    "LinearForecaster with sums of steps": (
        lambda: with_known_dependence(
            models.LinearForecaster(
                head="student_t", transform="difference(1) + standard", num_samples=10, **HEAD, **SIZES
            )
        ),
        SERIES,
    ),
    "TCNForecaster with paths": (
        lambda: models.TCNForecaster(
            head="student_t", strategy="recursive", num_blocks=1, num_samples=10, **HEAD, **SIZES, **SMALL
        ),
        SERIES,
    ),
    "EncoderDecoderForecaster with paths": (
        lambda: models.EncoderDecoderForecaster(head="normal", num_samples=10, **HEAD, **FORECASTER),
        COVARIATES,
    ),
}
BASELINES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "NaiveForecaster": (lambda: models.NaiveForecaster(**SIZES), COVARIATES),
    "SeasonalNaiveForecaster": (lambda: models.SeasonalNaiveForecaster(season_length=6, **SIZES), SERIES),
    "Naive2Forecaster": (lambda: models.Naive2Forecaster(season_length=6, **SIZES), SERIES),
    "EnsembleForecaster": (
        lambda: models.EnsembleForecaster.of(
            [
                models.NaiveForecaster(**SIZES),
                models.LSTMForecaster(cycle=5, context_length=12, prediction_length=2, **SMALL),
            ],
            [0.25, 0.75],
            series_ids=["1"],
            series_weights=[[0.5, 0.5]],
        ),
        SERIES,
    ),
    "LastValueImputer": (lambda: models.LastValueImputer(), with_gaps),
    "LinearInterpolationImputer": (lambda: models.LinearInterpolationImputer(), with_gaps),
}
EVERY = TRAINED | BASELINES
trained = pytest.mark.parametrize("name", TRAINED)
every = pytest.mark.parametrize("name", EVERY)


def class_of(name: str) -> str:
    return name.split()[0]


def test_no_module_is_left_out() -> None:
    bases = {"SeqlightModule", "SupervisedModule", "LabelledSequenceModule", "Forecaster", "Imputer"}
    bases |= {
        "WindowForecaster",
        "RecurrentForecaster",
        "ConvRecurrentForecaster",
        "BaselineForecaster",
        "BaselineImputer",
    }
    public = {name: getattr(models, name) for name in models.__all__}
    modules = {
        name
        for name, one in public.items()
        if isinstance(one, type) and issubclass(one, models.SeqlightModule)
    }
    needs_a_library = {"StatsForecastForecaster"}  # and runs no graph: test_statsforecast_forecaster.py
    assert modules == bases | needs_a_library | set(map(class_of, EVERY))


def test_each_has_a_configuration() -> None:
    """Which tests/examples runs."""
    folder = Path(__file__).resolve().parents[2] / "examples" / "configs"
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.yaml"))
    names = set(map(class_of, EVERY))
    assert {name for name in names if f"class_path: {name}\n" in text} == names


def example(model: Any, batch_size: int) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {
        name: torch.randn_like(value) if value.is_floating_point() else torch.randint_like(value, 3)
        for name, value in model.example_inputs(batch_size).items()
    }


class Losses(Callback):
    """The training losses, and a checkpoint after a number of batches."""

    def __init__(self, path: Path | None = None, batches: int = 0) -> None:
        self.seen: list[float] = []
        self.path, self.batches = path, batches

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        self.seen.append(outputs["loss"].item())
        if self.path is not None and len(self.seen) == self.batches:
            trainer.save_checkpoint(self.path)


@trained
@pytest.mark.parametrize("batches", [4, 6], ids=["between epochs", "within one"])
def test_resumed_fit_is_the_uninterrupted_one(name: str, batches: int, trainer: Any, tmp_path: Path) -> None:
    """To the last bit, whatever the random state was before."""
    make, data = TRAINED[name]

    def fit(seed: int, losses: Losses, **kwargs: Any) -> dict[str, Tensor]:
        torch.manual_seed(seed)
        model = make()
        trainer(max_epochs=2, callbacks=[losses], limit_val_batches=0).fit(model, data(), **kwargs)
        return model.state_dict()

    whole, rest = Losses(tmp_path / "a.ckpt", batches), Losses()
    expected = fit(1, whole)
    resumed = fit(2, rest, ckpt_path=tmp_path / "a.ckpt", weights_only=True)
    assert len(whole.seen) == 8 and rest.seen == whole.seen[batches:]
    assert all(torch.equal(value, resumed[key]) for key, value in expected.items())


@every
def test_fit_checkpoint_validate_test_predict(name: str, trainer: Any, tmp_path: Path) -> None:
    make, data = EVERY[name][0], EVERY[name][1]()
    running = trainer(max_epochs=1)
    model = make()
    running.fit(model, data)
    assert name not in TRAINED or running.callback_metrics["train_loss"].isfinite()
    running.save_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    loaded = seqlight.load(tmp_path / "a.ckpt")
    assert type(loaded).__name__ == class_of(name)
    for model_with in (model, loaded):
        (validated,) = running.validate(model_with, data, verbose=False)
        (tested,) = running.test(model_with, data, verbose=False)
        for stage, logged in (("val", validated), ("test", tested)):
            assert len(logged) > 1 and all(torch.tensor(value).isfinite() for value in logged.values())
            every_step = model.hparams.get("strategy") == "every_step"
            assert (f"{stage}_loss_all_steps" in logged) == every_step
    predicted = [running.predict(one, data) for one in (model, loaded)]
    for ours, theirs in zip(*predicted, strict=True):
        assert ours.keys() == theirs.keys() >= {"series_index"}
        assert all(torch.equal(value, theirs[key]) and value.isfinite().all() for key, value in ours.items())


@trained
def test_what_is_not_finite_ends_the_training(name: str, trainer: Any, tmp_path: Path) -> None:
    """No checkpoint is written, and nothing is predicted."""
    make, data = TRAINED[name][0], TRAINED[name][1]()
    model = make()
    weight = next(model.parameters())
    with torch.no_grad():
        weight.fill_(torch.nan)
    running = trainer(max_epochs=1, callbacks=[ModelCheckpoint(tmp_path)], enable_checkpointing=True)
    with pytest.raises(models.NonFiniteError) as caught:
        running.fit(model, data)
    message = str(caught.value)
    assert message.startswith(
        "training stopped in epoch 0, step 0: the loss is nan, and weights are no longer"
    )
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(models.NonFiniteError, match=r"^the model's \w+ is nan in \d of \d rows"):
        trainer().predict(model, data)


@TRACING
@every
def test_network_compiles_whole(name: str) -> None:
    """Through the model's own forward, which calls the compiled network as Lightning's users do."""
    torch._dynamo.reset()
    model = EVERY[name][0]().eval()
    inputs = example(model, 3)
    with torch.no_grad():
        expected = model(**inputs)
        fixed = isinstance(model, models.WindowForecaster) and not isinstance(model, models.Forecaster)
        if fixed or isinstance(model, models.EncoderDecoderForecaster):
            # Decoded by its own methods, not by a network's forward.
            compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
            torch.testing.assert_close(compiled(**inputs), expected)
        else:
            model.network.compile(fullgraph=True, backend="aot_eager")
            torch.testing.assert_close(model(**inputs), expected)


@TRACING
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@every
def test_model_is_exported_for_any_batch(name: str) -> None:
    model = EVERY[name][0]().eval()
    given = model.example_inputs(3)
    shapes = {key: {0: torch.export.Dim("batch")} for key in given}
    program = torch.export.export(model, (), kwargs=given, dynamic_shapes=shapes)
    inputs = example(model, 5)
    torch.testing.assert_close(program.module()(**inputs), model(**inputs))


@trained
def test_trains_a_step_in_mixed_precision(name: str, trainer: Any) -> None:
    make, data = TRAINED[name]
    model = make()
    before = copy.deepcopy(model.state_dict())
    running = trainer(max_steps=1, precision="bf16-mixed", limit_val_batches=0)
    running.fit(model, data())
    assert running.global_step == 1
    assert running.callback_metrics["train_loss"].isfinite()
    after = dict(model.named_parameters())
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in after.values())
    assert any(not torch.equal(value, before[key]) for key, value in after.items())


class Devices(Callback):
    """Where parameters and losses are while a model is trained."""

    def __init__(self) -> None:
        self.seen: set[torch.device] = set()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        self.seen |= {tensor.device for tensor in (*pl_module.parameters(), *outputs.values())}


@every
def test_trains_on_another_device(name: str, other_device: Any, trainer: Any, tmp_path: Path) -> None:
    """And its checkpoint predicts on the CPU what it predicts there."""
    make, data = EVERY[name][0], EVERY[name][1]()
    torch.manual_seed(0)
    model, devices = make(), Devices()
    running = trainer(max_epochs=1, callbacks=[devices], **other_device.trainer_options())
    running.fit(model, data)
    assert {device.type for device in devices.seen} <= {other_device.device.type}
    assert name not in TRAINED or devices.seen
    assert all(value.isfinite() for value in running.callback_metrics.values())
    running.test(model, data, verbose=False)
    there = running.predict(model, data)
    running.save_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    here = trainer().predict(seqlight.load(tmp_path / "a.ckpt"), data)
    for ours, theirs in zip(here, there, strict=True):
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            torch.testing.assert_close(theirs[key].cpu(), value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in EVERY if name.endswith("Forecaster")])
def test_nothing_is_forecast_from_nothing(name: str) -> None:
    model = EVERY[name][0]().eval()
    inputs = example(model, 3)
    inputs["past_target"][1] = torch.nan
    inputs["past_target"][2, 1:] = torch.nan  # one known value is something
    with torch.no_grad():
        for forecast in (model(**inputs), model.predict_step(inputs, 0)["prediction"]):
            assert forecast[1].isnan().all()
            assert forecast[[0, 2]].isfinite().all()
        observed = torch.ones_like(inputs["past_target"], dtype=torch.bool)
        observed[0] = False
        assert model(**inputs, past_observed=observed)[0].isnan().all()
