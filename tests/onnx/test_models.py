"""Every model exported to ONNX with its transform and decoding: equal outputs in onnxruntime."""

from typing import Any

import pytest
import torch
from torch import Tensor

from seqlight import models

SIZES: dict[str, Any] = {"context_length": 24, "prediction_length": 4}
SMALL = SIZES | {"hidden_size": 4}


def inputs_of(model: Any, batch_size: int) -> dict[str, Tensor]:
    """Positive values, for logarithms, of which one is missing."""
    generator = torch.Generator().manual_seed(batch_size)
    made = {
        name: 0.5 + torch.rand(value.shape, generator=generator)
        for name, value in model.example_inputs(batch_size).items()
    }
    for name in ("past_target", "target"):
        if name in made:
            made[name][1, 3] = torch.nan
    return made


def stirred(model: Any) -> Any:
    """With weights that are not zero, as some begin."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


@pytest.mark.parametrize(
    ("model", "operator", "count"),
    [
        (
            lambda: models.LSTMForecaster(
                peephole=True, covariate_size=2, static_size=1, observed_indicator=True, **SMALL
            ),
            "LSTM",
            1,
        ),
        (lambda: models.LSTMForecaster(strategy="every_step", **SMALL), "LSTM", 1),
        (lambda: models.GRUForecaster(strategy="recursive", covariate_size=1, **SMALL), "GRU", 4),
        (lambda: models.GRUForecaster(layer_norm=True, num_layers=2, **SMALL), "Scan", 2),
        (lambda: models.RNNForecaster(batch_norm=True, num_layers=2, **SMALL), "RNN", 2),
        (lambda: models.ConvGRUForecaster(**SMALL), "GRU", 1),
        (lambda: models.ConvLSTMForecaster(**SMALL), "LSTM", 1),
        (lambda: models.TCNForecaster(num_blocks=1, **SMALL), "Conv", 2),
        (lambda: models.WaveNetForecaster(layers_per_block=2, num_blocks=1, **SMALL), "Conv", 3),
        (lambda: models.EncoderDecoderForecaster(**SMALL), "LSTM", 5),
        (lambda: models.LinearForecaster(**SIZES), "Gemm", 1),
        (lambda: models.NaiveForecaster(**SIZES), "GatherElements", 1),
        (lambda: models.SeasonalNaiveForecaster(season_length=12, **SIZES), "GatherElements", 2),
    ],
)
def test_forecaster(exported_equals: Any, model: Any, operator: str, count: int) -> None:
    """Context and horizon are fixed; the recursive ones run once for each step ahead, and no more."""
    forecaster = stirred(model())
    found = exported_equals(forecaster, None, [inputs_of(forecaster, batch) for batch in (2, 7)])
    assert found[operator] == count
    assert "Loop" not in found


@pytest.mark.parametrize(
    "transform",
    ["none", "min_max + standard", "log + box_cox(0.5, offset=9)", "difference(1, 12)", "decompose(12)"],
)
def test_transform(exported_equals: Any, transform: str) -> None:
    forecaster = stirred(models.LinearForecaster(transform=transform, **SIZES))
    exported_equals(forecaster, None, [inputs_of(forecaster, batch) for batch in (2, 7)])


@pytest.mark.parametrize(
    ("model", "operator"),
    [
        (lambda: models.SequenceClassifier(core="gru", hidden_size=4, pooling="mean"), "GRU"),
        (lambda: models.StepClassifier(core="rnn", hidden_size=4, transform="instance"), "RNN"),
        (
            lambda: models.SequenceRegressor(
                core="wavenet", hidden_size=4, core_options={"num_blocks": 1, "layers_per_block": 2}
            ),
            "Conv",
        ),
    ],
)
def test_sequences_to_labels_of_any_length(exported_equals: Any, model: Any, operator: str) -> None:
    labelling = stirred(model())
    sequences = [{"past_target": torch.rand(batch, steps, 1)} for batch, steps in ((2, 19), (7, 5))]
    assert exported_equals(labelling, None, sequences)[operator] >= 1


def test_lengths_of_sequences(exported_equals: Any) -> None:
    model = stirred(
        models.SequenceClassifier(core="lstm", hidden_size=4, core_options={"bidirectional": True})
    )
    example = model.example_inputs(3) | {"lengths": torch.tensor([10, 3, 4])}
    x = {"past_target": torch.rand(5, 17, 1), "lengths": torch.tensor([17, 1, 5, 16, 2])}
    assert exported_equals(model, example, [x])["LSTM"] == 2


def test_vector_to_sequence(exported_equals: Any) -> None:
    model = stirred(models.SequenceGenerator(static_size=3, prediction_length=7, core="gru", hidden_size=4))
    assert exported_equals(model, None, [inputs_of(model, batch) for batch in (2, 7)])["GRU"] == 1


@pytest.mark.parametrize(
    ("model", "operator"),
    [
        (lambda: models.RNNImputer(hidden_size=4, target_size=2), "GRU"),
        (lambda: models.ConvImputer(hidden_size=4, num_blocks=2), "Conv"),
        (lambda: models.LastValueImputer(target_size=2), "Where"),
        (lambda: models.LinearInterpolationImputer(target_size=2), "Where"),
    ],
)
def test_imputer_of_any_length(exported_equals: Any, model: Any, operator: str) -> None:
    imputer = stirred(model())
    windows = []
    for batch, steps in ((2, 19), (5, 40)):
        target = torch.randn(batch, steps, imputer.target_size)
        target[torch.rand(target.shape) < 0.3] = torch.nan
        windows.append({"target": target, "time_gap": 0.5 + torch.rand(batch, steps)})
    assert exported_equals(imputer, None, windows)[operator] >= 1
