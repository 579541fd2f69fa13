"""Every model exported to ONNX with its transform and decoding: equal outputs in onnxruntime."""

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import torch
from torch import Tensor

from seqlight import models

covariates = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent.parent / "models" / "covariates.py")))
SIZES: dict[str, Any] = {"context_length": 24, "prediction_length": 4}
SMALL = SIZES | {"hidden_size": 4}


def inputs_of(model: Any, batch_size: int) -> dict[str, Tensor]:
    """Positive values, for logarithms, of which one is missing."""
    generator = torch.Generator().manual_seed(batch_size)
    made = {
        name: 0.5 + torch.rand(value.shape, generator=generator)
        if value.is_floating_point()
        else torch.randint(3, value.shape, generator=generator)
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


def several(*made: Any) -> dict[str, Any]:
    return {f"{type(model).__name__} {number}": stirred(model) for number, model in enumerate(made)}


def test_forecasters(exported_equals: Any) -> None:
    """Context and horizon are fixed; the encoder-decoder runs once for each step ahead, and no more."""
    forecasters = several(
        models.LSTMForecaster(strategy="every_step", **SMALL),
        models.GRUForecaster(layer_norm=True, num_layers=2, **SMALL),
        models.RNNForecaster(batch_norm=True, num_layers=2, **SMALL),
        models.ConvGRUForecaster(**SMALL),
        models.ConvLSTMForecaster(**SMALL),
        models.TCNForecaster(num_blocks=1, **SMALL),
        models.WaveNetForecaster(layers_per_block=2, num_blocks=1, **SMALL),
        models.EncoderDecoderForecaster(**SMALL),
        models.LinearForecaster(**SIZES),
        models.SegmentRNNForecaster(cell="lstm", segment_length=5, **SMALL),
        models.NaiveForecaster(**SIZES),
        models.SeasonalNaiveForecaster(season_length=12, **SIZES),
    )
    inputs = [inputs_of(forecasters["LinearForecaster 8"], batch) for batch in (2, 7)]
    found = exported_equals(forecasters, None, inputs)
    # every-step, in front of a convolution, encoder and four steps of the decoder, segments twice
    assert found["LSTM"] == 1 + 1 + 5 + 2
    assert (found["GRU"], found["Scan"], found["RNN"]) == (1, 2, 2)
    assert found["Conv"] == 2 + 2 + 3  # strided, TCN, WaveNet
    assert (
        found["GatherElements"] == 2
    )  # a season that is missing falls back on the naive forecast, once made
    assert not {"Loop", "If"} & found.keys()


def test_forecasters_with_covariates(exported_equals: Any) -> None:
    """Numbers and categories are inputs of the file; the recursive forecaster runs once for each step."""
    sizes = SMALL | covariates.AHEAD
    forecasters = several(
        models.LSTMForecaster(peephole=True, observed_indicator=True, **sizes),
        models.GRUForecaster(strategy="recursive", **sizes),
    )
    inputs = [inputs_of(forecasters["LSTMForecaster 0"], batch) for batch in (2, 7)]
    found = exported_equals(forecasters, None, inputs)
    assert (found["LSTM"], found["GRU"]) == (1, 4)
    assert not {"Loop", "If"} & found.keys()


def test_forecasters_with_past_covariates(exported_equals: Any) -> None:
    sizes = SIZES | covariates.EVERY
    forecasters = several(
        models.LSTMForecaster(strategy="every_step", hidden_size=4, nonnegative=True, **sizes),
        models.TCNForecaster(hidden_size=4, num_blocks=1, bounds=(0.9, 1.1), **sizes),
        models.EncoderDecoderForecaster(hidden_size=4, integer=True, **sizes),
        models.LinearForecaster(**sizes),
    )
    inputs = [inputs_of(forecasters["LinearForecaster 3"], batch) for batch in (2, 7)]
    inputs[0]["past_covariates"][0, 4, 1] = torch.nan
    exported_equals(forecasters, None, inputs)


def test_one_forecaster_by_its_own_example(exported_equals: Any) -> None:
    forecaster = stirred(models.LinearForecaster(**SIZES))
    found = exported_equals(forecaster, None, [inputs_of(forecaster, batch) for batch in (2, 7)])
    assert found["Gemm"] == 1


def test_cycle_and_single_channels(exported_equals: Any) -> None:
    """The phase is an input of the file; phases before 1970 are negative."""
    forecaster = stirred(
        models.LSTMForecaster(
            cycle=5,
            channels="independent",
            target_size=2,
            observed_indicator=True,
            **SMALL,
            **covariates.EVERY,
        )
    )
    inputs = [inputs_of(forecaster, batch) for batch in (2, 7)]
    inputs[1]["phase"] = torch.arange(-3, 4) * 10**6
    assert exported_equals(forecaster, None, inputs)["LSTM"] == 1


def test_ensemble(exported_equals: Any) -> None:
    """All members in one file, with weights that the series has."""
    parts = [
        stirred(models.SegmentRNNForecaster(cycle=5, segment_length=5, linear_skip=True, **SMALL)),
        models.SeasonalNaiveForecaster(season_length=7, context_length=20, prediction_length=4),
    ]
    ensemble = models.EnsembleForecaster.of(
        parts, [0.25, 0.75], series_ids=["a", "b"], series_weights=[[0.5, 0.5], [1.0, 0.0]]
    )
    inputs = [inputs_of(ensemble, batch) for batch in (2, 7)]
    inputs[0]["past_target"][0, 4:] = torch.nan  # nothing is left for the seasonal forecast
    assert exported_equals(ensemble, None, inputs)["GRU"] == 2


def test_quantiles_of_an_ensemble(tmp_path: Path) -> None:
    parts = [stirred(models.LinearForecaster(head="normal", **SIZES)), models.NaiveForecaster(**SIZES)]
    ensemble = models.EnsembleForecaster.of(parts, [0.75, 0.25])
    ensemble.to_onnx(tmp_path / "m.onnx")
    given = inputs_of(ensemble, 3)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    found = session.run(None, {name: value.numpy() for name, value in given.items()})
    expected = ensemble.predict(given, quantile_levels=ensemble.quantile_levels)
    for values, wanted in zip(found, (expected.point, expected.quantiles), strict=True):
        torch.testing.assert_close(torch.from_numpy(values), wanted, rtol=1e-4, atol=1e-5)


def test_es_rnn(exported_equals: Any) -> None:
    """Series by their number, the one behind the last for all others."""
    forecaster = stirred(
        models.ESRNNForecaster(series_ids=["a", "b"], season_length=7, dilations=[[1, 2]], **SMALL)
    )
    inputs = [inputs_of(forecaster, batch) for batch in (2, 7)]
    assert exported_equals(forecaster, None, inputs)["LSTM"] == 2


def test_transforms(exported_equals: Any) -> None:
    transforms = ("none", "min_max + standard", "log + box_cox(0.5, offset=9)")
    transforms += ("difference(1, 12)", "decompose(12)")
    forecasters = several(*(models.LinearForecaster(transform=each, **SIZES) for each in transforms))
    inputs = [inputs_of(forecasters["LinearForecaster 0"], batch) for batch in (2, 7)]
    exported_equals(forecasters, None, inputs)


def test_sequences_to_labels_of_any_length(exported_equals: Any) -> None:
    labelling = several(
        models.SequenceClassifier(core="gru", hidden_size=4, pooling="mean"),
        models.StepClassifier(core="rnn", hidden_size=4, transform="instance"),
        models.SequenceRegressor(
            core="wavenet", hidden_size=4, core_options={"num_blocks": 1, "layers_per_block": 2}
        ),
    )
    sequences = [{"past_target": torch.rand(batch, steps, 1)} for batch, steps in ((2, 19), (7, 5))]
    found = exported_equals(labelling, None, sequences)
    assert (found["GRU"], found["RNN"]) == (1, 1) and found["Conv"] >= 1


def test_lengths_of_sequences(exported_equals: Any) -> None:
    model = stirred(
        models.SequenceClassifier(core="lstm", hidden_size=4, core_options={"bidirectional": True})
    )
    example = model.example_inputs(3) | {"lengths": torch.tensor([10, 3, 4])}
    x = {"past_target": torch.rand(5, 17, 1), "lengths": torch.tensor([17, 1, 5, 16, 2])}
    assert exported_equals(model, example, [x])["LSTM"] == 2


def test_vector_to_sequence(exported_equals: Any) -> None:
    model = stirred(
        models.SequenceGenerator(static_covariate_size=3, prediction_length=7, core="gru", hidden_size=4)
    )
    assert exported_equals(model, None, [inputs_of(model, batch) for batch in (2, 7)])["GRU"] == 1


def test_imputers_of_any_length(exported_equals: Any) -> None:
    imputers = several(
        models.RNNImputer(hidden_size=4, target_size=2),
        models.ConvImputer(hidden_size=4, num_blocks=2, target_size=2),
        models.LastValueImputer(target_size=2),
        models.LinearInterpolationImputer(target_size=2),
    )
    windows = []
    for batch, steps in ((2, 19), (5, 40)):
        target = torch.randn(batch, steps, 2)
        target[torch.rand(target.shape) < 0.3] = torch.nan
        windows.append({"target": target, "time_gap": 0.5 + torch.rand(batch, steps)})
    found = exported_equals(imputers, None, windows)
    assert found["GRU"] == 2 and found["Conv"] >= 2  # two directions; two blocks
