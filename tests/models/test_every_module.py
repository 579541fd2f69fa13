"""What every LightningModule can do: compile its network, be exported by torch, train in mixed precision."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from seqlight import models

# torch's own call of an autograd.Function while it traces.
TRACING = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")

FORECASTER: dict[str, Any] = {"context_length": 16, "prediction_length": 2, "hidden_size": 4}
BATCH, STEPS = 4, 16

FORECASTERS = [
    lambda: models.LSTMForecaster(strategy="every_step", layer_norm=True, **FORECASTER),
    lambda: models.GRUForecaster(strategy="recursive", **FORECASTER),
    lambda: models.RNNForecaster(**FORECASTER),
    lambda: models.ConvGRUForecaster(**FORECASTER),
    lambda: models.ConvLSTMForecaster(**FORECASTER),
    lambda: models.TCNForecaster(num_blocks=1, **FORECASTER),
    lambda: models.WaveNetForecaster(num_blocks=1, layers_per_block=2, **FORECASTER),
    lambda: models.EncoderDecoderForecaster(**FORECASTER),
    lambda: models.LinearForecaster(context_length=16, prediction_length=2),
]
OTHERS = [
    lambda: models.SequenceClassifier(core="lstm", hidden_size=4),
    lambda: models.StepClassifier(core="gru", hidden_size=4),
    lambda: models.SequenceRegressor(core="tcn", core_options={"num_blocks": 1}, hidden_size=4),
    lambda: models.SequenceGenerator(static_size=3, prediction_length=2, hidden_size=4),
    lambda: models.RNNImputer(hidden_size=4, window_length=STEPS),
    lambda: models.ConvImputer(hidden_size=4, num_blocks=1, window_length=STEPS),
]


def name_of(make: Any) -> str:
    return type(make()).__name__


def batch_for(model: Any) -> dict[str, Tensor]:
    torch.manual_seed(0)
    if isinstance(model, models.Imputer):
        target = torch.randn(BATCH, STEPS, 1)
        return {
            "target": target,
            "observed": torch.rand(target.shape) < 0.8,
            "time_gap": torch.ones(BATCH, STEPS),
        }
    if isinstance(model, models.SequenceGenerator):
        return {"static": torch.randn(BATCH, 3), "future_target": torch.randn(BATCH, 2, 1)}
    batch = {"past_target": torch.randn(BATCH, STEPS, 1)}
    if isinstance(model, models.StepClassifier):
        return batch | {"label": torch.randint(2, (BATCH, STEPS))}
    if isinstance(model, models.SequenceClassifier):
        return batch | {"label": torch.randint(2, (BATCH,))}
    if isinstance(model, models.SequenceRegressor):
        return batch | {"label": torch.randn(BATCH, 1)}
    return batch | {"future_target": torch.randn(BATCH, 2, 1)}


def inputs_for(model: Any, batch_size: int) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {name: torch.randn_like(value) for name, value in model.example_inputs(batch_size).items()}


@TRACING
@pytest.mark.parametrize("make", FORECASTERS + OTHERS, ids=name_of)
def test_network_compiles_whole(make: Any) -> None:
    """Through the model's own forward, which calls the compiled network as Lightning's users do."""
    torch._dynamo.reset()
    model = make().eval()
    inputs = inputs_for(model, 3)
    with torch.no_grad():
        expected = model(**inputs)
        if isinstance(model, models.EncoderDecoderForecaster):  # decoded by its methods, not by its forward
            compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
            torch.testing.assert_close(compiled(**inputs), expected)
        else:
            model.network.compile(fullgraph=True, backend="aot_eager")
            torch.testing.assert_close(model(**inputs), expected)


@TRACING
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("make", FORECASTERS + OTHERS, ids=name_of)
def test_model_is_exported_for_any_batch(make: Any) -> None:
    model = make().eval()
    example = model.example_inputs(3)
    shapes = {name: {0: torch.export.Dim("batch")} for name in example}
    program = torch.export.export(model, (), kwargs=example, dynamic_shapes=shapes)
    inputs = inputs_for(model, 5)
    torch.testing.assert_close(program.module()(**inputs), model(**inputs))


@pytest.mark.parametrize("make", FORECASTERS + OTHERS, ids=name_of)
def test_trains_a_step_in_mixed_precision(make: Any, trainer: Any) -> None:
    model = make()
    before = copy.deepcopy(model.state_dict())
    samples = batch_for(model)
    rows: Any = [{name: value[row] for name, value in samples.items()} for row in range(BATCH)]
    loader = torch.utils.data.DataLoader(rows, batch_size=BATCH)
    running = trainer(max_steps=1, precision="bf16-mixed", limit_val_batches=0)
    running.fit(model, loader)
    assert running.global_step == 1
    assert running.callback_metrics["train_loss"].isfinite()
    after = dict(model.named_parameters())
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in after.values())
    assert any(not torch.equal(value, before[name]) for name, value in after.items())
