"""Models of statsforecast as members of ensembles: with a stand-in for the library, and with the library.

The stand-in has models that say what they were given, so that all but the library's own fits is tried
everywhere; tests of these are skipped, by name, where it is not installed.
"""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import seqlight
from seqlight.models import EnsembleForecaster, NaiveForecaster, StatsForecastForecaster
from seqlight.models.forecasting.statsforecast_fits import RememberedFits
from seqlight.predictor import Predictor

SIZES = {"context_length": 8, "prediction_length": 3}
MISSING = r"statsforecast is not installed: pip install 'seqlight\[statsforecast\]'"


@pytest.fixture
def library(statsforecast_stand_in):
    return statsforecast_stand_in


def past(windows=2, channels=2):
    steps = torch.arange(windows * 8 * channels, dtype=torch.float32)
    return steps.reshape(windows, 8, channels)


def test_each_channel_of_each_window_by_itself(library):
    model = StatsForecastForecaster(model="Mean", model_arguments={"factor": 2}, target_size=2, **SIZES)
    assert isinstance(model, Predictor)
    values = past()
    expected = 2 * values.mean(1, keepdim=True) + torch.arange(3.0)[:, None]
    torch.testing.assert_close(model(values), expected)
    torch.testing.assert_close(model.predict({"past_target": values}).point, expected)
    assert library.fits == 4, "the same windows were fitted again"


def test_missing_cells(library):
    model = StatsForecastForecaster(model="Mean", **SIZES)
    values = torch.tensor([torch.nan, torch.nan, 2.0, torch.nan, 4.0, 6.0, torch.nan, torch.nan])
    both = torch.stack([values, torch.full((8,), torch.nan)])[..., None]
    found = model(both)[..., 0]
    # The gap is 3, and the two steps after the last value are forecast too.
    assert found[0].tolist() == [(2 + 3 + 4 + 6) / 4 + step for step in (2, 3, 4)]
    assert found[1].isnan().all()


def test_what_cannot_be_fitted_repeats_its_last_value_and_says_so(library):
    values = past(channels=1)
    values[0, 2] = -1.0
    values[0, -1] = torch.nan
    model = StatsForecastForecaster(model="Mean", **SIZES)
    with pytest.warns(UserWarning, match=r"^Mean: statsforecast could not fit some windows"):
        found = model(values)
    assert found[0].flatten().tolist() == [6.0] * 3
    assert found[1, 0, 0] == values[1].mean()


def test_the_oldest_fits_are_forgotten():
    kept = RememberedFits(most_cells=4)
    keys = [RememberedFits.key("m", np.full(3, float(number)), 2) for number in range(3)]
    assert len({*keys, RememberedFits.key("n", np.zeros(3), 2), RememberedFits.key("m", np.zeros(3), 1)}) == 5
    for number, key in enumerate(keys):
        kept.put(key, np.full(2, float(number)))
        kept.put(key, np.full(2, float(number)))
    assert kept.get(keys[0]) is None
    assert [kept.get(key)[0] for key in keys[1:]] == [1.0, 2.0]


def test_it_lives_in_an_ensemble_and_its_checkpoint(library, trainer, tmp_path):
    fitted = StatsForecastForecaster(model="Mean", model_arguments={"factor": 0.5}, **SIZES)
    model = EnsembleForecaster.of([NaiveForecaster(**SIZES), fitted], [0.25, 0.75])
    values = past(channels=1)
    expected = 0.25 * values[:, -1:] + 0.75 * fitted(values)
    torch.testing.assert_close(model(values), expected)
    windows = DataLoader([{"past_target": one} for one in values], batch_size=2)
    running = trainer()
    running.predict(model, windows)
    running.save_checkpoint(tmp_path / "both.ckpt", weights_only=True)
    torch.testing.assert_close(seqlight.load(tmp_path / "both.ckpt")(values), expected)
    library.take_away()
    with pytest.raises(ImportError, match=MISSING):
        seqlight.load(tmp_path / "both.ckpt")


def test_it_has_no_onnx_form(library, tmp_path):
    fitted = StatsForecastForecaster(model="Mean", **SIZES)
    model = EnsembleForecaster.of([NaiveForecaster(**SIZES), fitted]).eval()
    expected = r"members\[1\]: StatsForecastForecaster: statsforecast fits it to each window, in Python"
    with pytest.raises(ValueError, match=expected):
        model.to_onnx(tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="statsforecast fits it to each window, in Python"):
        fitted.eval().to_onnx(tmp_path / "model.onnx")
    with pytest.raises(ValueError, match=r"^module: EnsembleForecaster has no form in ONNX: members\[1\]"):
        seqlight.onnx.export(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_what_is_refused(library):
    for name in ("AutoNothing", "number", "__name__", 3):
        with pytest.raises(ValueError, match=r"^model: expected the name of a class of statsforecast.models"):
            StatsForecastForecaster(model=name, **SIZES)
    with pytest.raises(ValueError, match=r"^model_arguments: Mean does not take {'season': 3}"):
        StatsForecastForecaster(model="Mean", model_arguments={"season": 3}, **SIZES)
    library.take_away()
    with pytest.raises(ImportError, match=MISSING):
        StatsForecastForecaster(model="Mean", **SIZES)


@pytest.mark.filterwarnings("ignore:.*could not fit some windows")
def test_the_library_itself():
    """Its own forecasts, of series that are constant, short or all zeros too."""
    models = pytest.importorskip("statsforecast.models", reason="statsforecast is not installed: not tested")
    sizes = {"context_length": 48, "prediction_length": 6}
    generator = torch.Generator().manual_seed(0)
    step = torch.arange(48)
    values = 20 + 5 * torch.sin(2 * torch.pi * step / 12) + torch.randn(5, 48, generator=generator)
    values[1], values[2] = 3.0, 0.0
    values[3, :-2] = torch.nan
    values[4] = 0.0
    values[4, ::7] = 2.0
    for name, arguments in (
        ("AutoETS", {"season_length": 12, "model": "ANA"}),
        ("DynamicOptimizedTheta", {"season_length": 12, "decomposition_type": "additive"}),
        ("SeasonalExponentialSmoothingOptimized", {"season_length": 12}),
        ("SimpleExponentialSmoothingOptimized", {}),
    ):
        model = StatsForecastForecaster(model=name, model_arguments=arguments, **sizes)
        found = model(values[..., None])[..., 0]
        alone = getattr(models, name)(**arguments).forecast(y=values[0].double().numpy(), h=6)["mean"]
        np.testing.assert_allclose(found[0], alone, rtol=1e-5)
        np.testing.assert_allclose(found[1], 3.0, rtol=1e-3)
        np.testing.assert_allclose(found[2], 0.0, atol=1e-3)
        assert found.isfinite().all() and (found[4].abs() < 5).all()
