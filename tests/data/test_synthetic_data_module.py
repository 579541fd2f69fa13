"""The chapter's series to the last bit, and what may be added to them."""

import numpy as np
import pytest
import torch

from seqlight.data import DataError, SyntheticDataModule


def chapter_series(n_series, n_steps):
    """The definition, written independently of the generator: series by series, in float64."""
    random = np.random.RandomState(42)
    parameters = random.random_sample((4, n_series, 1))
    noise = random.random_sample((n_series, n_steps))
    time = np.linspace(0.0, 1.0, n_steps)
    rows = []
    for i in range(n_series):
        f1, f2, o1, o2 = parameters[:, i, 0]
        wave = 0.5 * np.sin((time - o1) * (10.0 * f1 + 10.0)) + 0.2 * np.sin((time - o2) * (20.0 * f2 + 20.0))
        rows.append(wave + 0.1 * (noise[i] - 0.5))
    return np.stack(rows).astype(np.float32)


@pytest.mark.parametrize(("horizon", "naive_mse"), [(1, 0.020211), (10, 0.25697)])
def test_chapter_series(horizon, naive_mse):
    module = SyntheticDataModule(prediction_length=horizon)
    module.setup("fit")
    expected = chapter_series(10_000, 50 + horizon)
    assert np.array_equal(module.store.values.reshape(10_000, 50 + horizon), expected)
    assert [len(module.dataset(part)) for part in ("train", "val", "test")] == [7000, 2000, 1000]
    batch = module.dataset("val").__getitems__(torch.arange(2000))
    assert batch["series_index"].tolist() == list(range(7000, 9000))
    mse = (batch["future_target"].double() - batch["past_target"][:, -1:].double()).square().mean()
    assert float(mse) == pytest.approx(naive_mse, abs=0.5 * 10 ** (-6 if horizon == 1 else -5))


def test_batches_and_attributes():
    module = SyntheticDataModule(prediction_length=10, n_train=10, n_val=4, n_test=3, batch_size=4)
    assert (module.target_size, module.future_covariate_size, module.observed_indicator) == (1, 0, False)
    assert (module.context_length, module.prediction_length, module.season_length) == (50, 10, 1)
    sizes = {name: tuple(tensor.shape) for name, tensor in next(iter(module.train_dataloader())).items()}
    assert sizes == {
        "past_target": (4, 50, 1),
        "future_target": (4, 10, 1),
        "series_index": (4,),
        "start": (4,),
        "phase": (4,),
        "scale": (4, 1),
    }
    batch = next(iter(module.test_dataloader()))
    past = batch["past_target"][:, :, 0]
    assert torch.allclose(batch["scale"][:, 0], past.diff(dim=1).abs().mean(1), rtol=1e-5)
    prediction = next(iter(module.predict_dataloader()))
    assert "future_target" not in prediction
    assert torch.equal(prediction["past_target"], batch["past_target"])
    values, observed = module.training_target()
    assert values.shape == observed.shape == (600, 1)
    assert module.timestamps(0, 50, 3).to_list() == [50, 51, 52]
    assert module.format_timestamps(module.timestamps(0, 50, 2)) == ["50", "51"]


def test_trend_and_seasons_are_added_to_the_same_series():
    sizes = {"prediction_length": 14, "n_train": 5, "n_val": 2, "n_test": 2}
    plain = SyntheticDataModule(**sizes).drawn.target
    module = SyntheticDataModule(**sizes, trend=2.0, seasons=[7], season_amplitude=0.5)
    added = (module.drawn.target - plain)[:, :, 0].astype(np.float64)
    assert module.season_length == 7
    # Differences at the season's lag leave the trend's alone: 7 steps of a slope within [-2, 2].
    seasonal_steps = added[:, 7:] - added[:, :-7]
    assert np.allclose(seasonal_steps, seasonal_steps[:, :1], atol=1e-5)
    slopes = seasonal_steps[:, 0] / 7 * 63
    assert np.all(np.abs(slopes) <= 2) and len(np.unique(slopes.round(4))) == 9
    season = added - slopes[:, None] * np.linspace(0, 1, 64)
    assert np.all(season.max(1) <= 0.5 + 1e-5) and np.all(season.max(1) >= 0.2)


def test_unknown_generator_is_refused():
    with pytest.raises(DataError, match=r"generator: expected one of sine_waves, waveforms, .*got 'sine'"):
        SyntheticDataModule("sine")
