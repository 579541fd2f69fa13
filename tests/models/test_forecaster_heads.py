"""Forecasters with heads: quantiles, paths and means in original units."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.utils.data import DataLoader

import seqlight
from seqlight.metrics.functional import crps_quantiles, weighted_quantile_loss
from seqlight.models import (
    EncoderDecoderForecaster,
    Forecaster,
    LinearForecaster,
    LSTMForecaster,
    TCNForecaster,
)

HORIZON = 6
LEVELS = (0.05, 0.1, 0.5, 0.9, 0.95)
ROWS = 4000


class Known(Forecaster):
    """A network whose outputs are given numbers, those of the true distribution."""

    def build_network(self):
        class Constant(nn.Module):
            def __init__(self, size):
                super().__init__()
                generator = torch.Generator().manual_seed(0)
                self.output = nn.Parameter(0.5 * torch.randn(size, generator=generator))

            def forward(self, x, state=None):
                return self.output.expand(*x.shape[:2], -1), None

        return Constant(self.output_size)


def past_of(counts=False):
    generator = torch.Generator().manual_seed(1)
    level = 20 + 10 * torch.rand(ROWS, 1, 1, generator=generator)
    past = level + torch.rand(ROWS, 12, 1, generator=generator).cumsum(1)
    return past.round() if counts else past


def fitted(forecaster, past):
    forecaster.transform.fit(past if forecaster.transform.fits_on_windows else past.flatten(0, 1))
    return forecaster.eval()


def truth_of(forecaster, past, correlation=0.0):
    """Draw futures from the very distribution that the network says, with dependent steps."""
    generator = torch.Generator().manual_seed(2)
    scores = torch.randn(ROWS, HORIZON, 1, generator=generator)
    for step in range(1, HORIZON):
        scores[:, step] = correlation * scores[:, step - 1] + math.sqrt(1 - correlation**2) * scores[:, step]
    with torch.no_grad():
        window, state = forecaster._batch_window({"past_target": past}, with_future=False)
        parameters = forecaster._head_parameters(forecaster.decode(window), window)
        values = forecaster.head.value_at(parameters, scores)
        return values if forecaster.head.counts else forecaster.transform.inverse(values, state)


def assert_covered(quantiles, truth, levels=LEVELS, *, extra=0.0):
    """Each step by itself holds what its level says, within four standard errors.

    Where values repeat, as counts do, what is below is at most the level, and with the quantile at least.
    """
    for index, level in enumerate(levels):
        at_most = (truth <= quantiles[..., index]).double().mean(0).flatten()
        below = (truth < quantiles[..., index]).double().mean(0).flatten()
        error = 4 * math.sqrt(level * (1 - level) / len(truth)) + extra
        assert (at_most > level - error).all() and (below < level + error).all(), (level, at_most)


KEPT = [
    "none",
    "standard",
    "min_max",
    "instance",
    "log",
    "box_cox",
    "box_cox(0.5)",
    "difference(6)",
    "decompose(4)",
    "last",
    "log + difference(6) + standard",
]


@pytest.mark.parametrize("head", ["normal", "student_t"])
@pytest.mark.parametrize("transform", KEPT)
def test_true_quantiles_are_covered_through_each_transform(head, transform):
    past = past_of()
    forecaster = fitted(Known(head=head, transform=transform, context_length=12, prediction_length=6), past)
    forecast = forecaster.predict({"past_target": past}, quantile_levels=LEVELS)
    assert_covered(forecast.quantiles, truth_of(forecaster, past))
    assert torch.equal(forecast.point, forecast.quantiles[..., 2])
    assert (forecast.quantiles.diff(dim=-1) >= 0).all()


@pytest.mark.parametrize("head", ["poisson", "negative_binomial"])
@pytest.mark.parametrize("transform", ["none", "mean_scale"])
def test_true_quantiles_of_counts_are_covered(head, transform):
    past = past_of(counts=True)
    forecaster = fitted(Known(head=head, transform=transform, context_length=12, prediction_length=6), past)
    forecast = forecaster.predict({"past_target": past}, quantile_levels=LEVELS)
    assert_covered(forecast.quantiles, truth_of(forecaster, past))
    assert torch.equal(forecast.quantiles, forecast.quantiles.round())


def validated(forecaster, past, future, trainer):
    samples = [{"past_target": a, "future_target": b} for a, b in zip(past, future, strict=True)]
    trainer().validate(forecaster, DataLoader(samples, batch_size=2000), verbose=False)
    return forecaster


@pytest.mark.parametrize("transform", ["difference(1)", "log + difference(1, 4) + standard"])
def test_sums_of_dependent_steps_are_covered(transform, trainer):
    """By paths that depend as the errors of validation do; independent ones cover too little."""
    past = past_of()
    kwargs = {"transform": transform, "context_length": 12, "prediction_length": HORIZON}
    forecaster = fitted(Known(head="normal", num_samples=300, **kwargs), past)
    with torch.no_grad():  # small steps, so that their sums' exponentials stay finite
        forecaster.network.output.view(HORIZON, 1, 2)[..., 1] -= 1.0
    with pytest.raises(ValueError, match="this forecaster has not been validated"):
        forecaster.predict({"past_target": past[:4]})
    future = truth_of(forecaster, past, correlation=0.7)
    validated(forecaster, past, future, trainer)
    correlation = forecaster.dependence.factor @ forecaster.dependence.factor.T
    expected = 0.7 ** (torch.arange(6.0)[:, None] - torch.arange(6.0)).abs()
    torch.testing.assert_close(correlation, expected, atol=0.05, rtol=0)
    past, future = past[:2000], future[:2000]
    forecast = forecaster.predict({"past_target": past}, quantile_levels=LEVELS)
    assert_covered(forecast.quantiles, future, extra=0.01)
    forecaster.dependence.factor.copy_(torch.eye(6))
    independent = forecaster.predict({"past_target": past}, quantile_levels=LEVELS)
    inside = (future > independent.quantiles[..., 1]) & (future < independent.quantiles[..., 3])
    assert inside[:, -1].double().mean() < 0.7  # of 0.8


def test_samples_keep_the_dependence_and_the_quantiles(trainer):
    past = past_of()
    kwargs = {"transform": "instance", "context_length": 12, "prediction_length": HORIZON}
    forecaster = fitted(Known(head="student_t", **kwargs), past)
    validated(forecaster, past, truth_of(forecaster, past, correlation=0.6), trainer)
    torch.manual_seed(0)
    few = {"past_target": past[:2]}
    forecast = forecaster.predict(few, quantile_levels=LEVELS, samples=20_000)
    assert forecast.samples.shape == (20_000, 2, HORIZON, 1)
    for index, level in enumerate(LEVELS):
        below = (forecast.samples <= forecast.quantiles[..., index]).double().mean(0)
        assert ((below - level).abs() < 4 * math.sqrt(level * (1 - level) / 20_000)).all()
    ranks = forecast.samples[:, 0, :, 0].argsort(0).argsort(0).double()
    assert torch.corrcoef(ranks.T)[0, 1] == pytest.approx(0.58, abs=0.05)
    # Another window draws numbers of its own.
    assert abs(torch.corrcoef(forecast.samples[:, :, 0, 0].T)[0, 1]) < 0.05


class Autoregression(Forecaster):
    """y_(t+1) = 0.9 y_t + noise of deviation 0.5, as its network says."""

    def build_network(self):
        forecaster = self

        class Step(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.tensor(0.9))

            def forward(self, x, state=None):
                scale = torch.full_like(x[..., :1], math.log(math.expm1(0.5 - 1e-4)))
                heavy = [torch.zeros_like(scale)] if forecaster.head.name == "student_t" else []
                return torch.cat([*heavy, self.weight * x[..., :1], scale], -1), None

        return Step()


@pytest.mark.parametrize("head", ["normal", "student_t"])
def test_recursive_quantiles_are_those_of_a_monte_carlo_run(head):
    sizes = {"context_length": 4, "prediction_length": HORIZON, "num_samples": 4000}
    forecaster = Autoregression(head=head, strategy="recursive", transform="none", **sizes)
    past = torch.tensor([[[0.0], [0.0], [0.0], [2.0]], [[1.0], [1.0], [1.0], [-5.0]]])
    levels = (0.1, 0.25, 0.5, 0.75, 0.9)
    forecast = forecaster.predict({"past_target": past}, quantile_levels=levels)
    random = np.random.RandomState(0)
    df = 0.5 + math.log1p(math.exp(4.0))
    values = np.repeat(past[:, -1, 0].numpy()[None], 200_000, axis=0)
    for step in range(HORIZON):
        shape = values.shape
        noise = random.standard_normal(shape) if head == "normal" else random.standard_t(df, shape)
        values = 0.9 * values + 0.5 * noise
        expected = np.quantile(values, levels, axis=0).T
        np.testing.assert_allclose(
            forecast.quantiles[:, step, 0].numpy(), expected, atol=0.05 if head == "normal" else 0.1
        )
    if head == "normal":
        expected = past[:, -1:] * 0.9 ** torch.arange(1, 7).reshape(1, 6, 1)
        mean = forecaster.predict_mean({"past_target": past})
        torch.testing.assert_close(mean, expected, atol=0.02, rtol=0)
    again = forecaster.predict({"past_target": past}, quantile_levels=levels)
    assert torch.equal(again.quantiles, forecast.quantiles)


NETWORKS = {
    "lstm": lambda **kwargs: LSTMForecaster(hidden_size=4, strategy="recursive", **kwargs),
    "tcn": lambda **kwargs: TCNForecaster(hidden_size=4, num_blocks=1, strategy="recursive", **kwargs),
    "linear": lambda **kwargs: LinearForecaster(strategy="recursive", **kwargs),
    "encoder_decoder": lambda **kwargs: EncoderDecoderForecaster(hidden_size=4, **kwargs),
}


@pytest.mark.parametrize("head", ["normal", "poisson"])
@pytest.mark.parametrize("channels", ["mixed", "independent"])
@pytest.mark.parametrize("name", NETWORKS)
def test_paths_are_fed_back_one_by_one(name, channels, head, sizes):
    """Running all paths together is running each, and each goes on from its own values alone."""
    torch.manual_seed(0)
    counts = head == "poisson"
    options = {"head": head, "transform": "mean_scale" if counts else "none", "num_samples": 10}
    forecaster = NETWORKS[name](
        channels=channels, target_size=2, future_covariate_size=1, **options, **sizes
    ).eval()
    past = torch.randint(0, 30, (4, 24, 2)).float() if counts else torch.randn(4, 24, 2)
    known = {"historic_future_covariates": torch.randn(4, 24, 1), "future_covariates": torch.randn(4, 6, 1)}
    window, state = forecaster._batch_window({"past_target": past, **known}, with_future=False)
    scores = forecaster.path_scores
    with torch.no_grad():
        paths = forecaster._paths(window, state, None, scores)
        for index in (0, 7):
            alone = forecaster._paths(window, state, None, scores[index : index + 1])
            torch.testing.assert_close(alone[0], paths[index])
        assert not counts or torch.equal(paths, paths.round())

        # Each step's distribution given the path so far, asked as the loss asks it, at the path's scores.
        again = []

        def drawn(outputs, target):
            parameters = forecaster._head_parameters(outputs, window)
            again.append(forecaster.head.value_at(parameters, scores[len(again)]))
            return target

        for path in paths:
            future = forecaster.transform.transform_future(path, state)
            forecaster.strategy.future_loss(forecaster.network, window, future, drawn)
    torch.testing.assert_close(torch.stack(again), paths, atol=1e-4, rtol=1e-4)
    assert paths.std(0).min() > 0


@pytest.mark.parametrize("head", ["poisson", "negative_binomial"])
def test_loss_of_counts_is_that_of_the_counts_themselves(head, trainer):
    """Whatever they were divided by."""
    past = past_of(counts=True)
    kwargs = {"transform": "mean_scale", "context_length": 12, "prediction_length": HORIZON}
    forecaster = fitted(Known(head=head, **kwargs), past)
    future = truth_of(forecaster, past)
    future[::7, 2] = math.nan
    window, _ = forecaster._batch_window({"past_target": past}, with_future=False)
    with torch.no_grad():
        parameters = forecaster._head_parameters(forecaster.decode(window), window).double().numpy()
    truth = future.numpy()
    if head == "poisson":
        expected = -stats.poisson.logpmf(truth, parameters[..., 0])
    else:
        mean, dispersion = parameters[..., 0], parameters[..., 1]
        expected = -stats.nbinom.logpmf(truth, 1 / dispersion, 1 / (1 + mean * dispersion))
    samples = [{"past_target": a, "future_target": b} for a, b in zip(past, future, strict=True)]
    running = trainer()
    running.validate(forecaster, DataLoader(samples, batch_size=2000), verbose=False)
    logged = running.callback_metrics["val_loss"].item()
    assert logged == pytest.approx(float(np.nanmean(expected)), rel=1e-4)


def test_logged_values_are_those_of_the_quantiles(sizes, loader, trainer):
    data = loader(64, missing=0.3)
    forecaster = LinearForecaster(head="quantile", quantiles=[0.25, 0.5, 0.75], **sizes)
    running = trainer()
    running.validate(forecaster, data, verbose=False)
    logged = {name: value.item() for name, value in running.callback_metrics.items()}
    every = torch.utils.data.default_collate([sample for sample in data.dataset])
    forecast = forecaster.predict(every, quantile_levels=(0.25, 0.5, 0.75))
    truth, known = every["future_target"], ~every["future_target"].isnan()
    wql = weighted_quantile_loss(forecast.quantiles, truth, forecast.quantile_levels, known)
    crps = crps_quantiles(forecast.quantiles, truth, forecast.quantile_levels)[known].mean()
    assert logged["val_wql"] == pytest.approx(wql.item(), rel=1e-4)
    assert logged["val_crps"] == pytest.approx(crps.item(), rel=1e-4)
    uneven = LinearForecaster(head="quantile", quantiles=[0.1, 0.5, 0.9], **sizes)
    running.validate(uneven, data, verbose=False)
    assert "val_wql" in running.callback_metrics and "val_crps" not in running.callback_metrics
    mae = (forecast.point - truth).abs()[known].mean()
    assert logged["val_mae"] == pytest.approx(mae.item(), rel=1e-4)


@pytest.mark.parametrize(("head", "transform"), [("normal", "standard"), ("poisson", "mean_scale")])
def test_bounds_hold_for_all_that_is_forecast(head, transform, trainer):
    past = past_of(counts=head == "poisson")
    kwargs = {"transform": transform, "context_length": 12, "prediction_length": HORIZON}
    forecaster = Known(head=head, bounds=(22.3, 30.0), integer=True, **kwargs)
    fitted(forecaster, past)
    validated(forecaster, past, truth_of(forecaster, past), trainer)
    forecast = forecaster.predict({"past_target": past[:50]}, quantile_levels=LEVELS, samples=10)
    for values in (forecast.point, forecast.quantiles, forecast.samples):
        assert torch.equal(values, values.round()) and values.min() >= 23 and values.max() <= 30
    assert (forecast.quantiles.diff(dim=-1) >= 0).all() and forecast.quantiles.min() == 23
    with pytest.raises(ValueError, match="mean: the forecaster has bounds"):
        forecaster.predict_mean({"past_target": past})


@pytest.mark.parametrize("transform", ["instance", "difference(1)", "log", "box_cox(0.5)"])
def test_mean_of_a_normal_distribution(transform):
    past = past_of()[:50]
    forecaster = fitted(
        Known(head="normal", transform=transform, context_length=12, prediction_length=6), past
    )
    if "box_cox" in transform:
        with torch.no_grad():  # away from where nothing has a transformed value, below -2
            forecaster.network.output.view(HORIZON, 1, 2)[..., 0] += 8
    mean = forecaster.predict_mean({"past_target": past})
    window, state = forecaster._batch_window({"past_target": past}, with_future=False)
    with torch.no_grad():
        loc, scale = forecaster._head_parameters(forecaster.decode(window), window).unbind(-1)
        expected = forecaster.transform.inverse(loc, state)
        if transform == "log":
            expected = (loc + scale.square() / 2).exp()
        if transform == "box_cox(0.5)":  # of (z / 2 + 1)^2
            expected = (loc / 2 + 1).square() + scale.square() / 4
    torch.testing.assert_close(mean, expected, rtol=1e-4, atol=1e-4)


def test_a_channel_without_a_past_has_no_distribution(trainer, loader, sizes):
    forecaster = LinearForecaster(head="normal", **sizes)
    trainer().validate(forecaster, loader(32), verbose=False)
    past = torch.randn(3, 24, 1)
    past[1] = math.nan
    forecast = forecaster.predict({"past_target": past}, quantile_levels=(0.1, 0.9), samples=4)
    for values in (forecast.point, forecast.quantiles, forecast.samples.transpose(0, 1)):
        assert values[1].isnan().all() and values[[0, 2]].isfinite().all()


def test_trained_quantiles_cover_what_they_say(trainer, loader, sizes, tmp_path):
    """Within 5 points of 80 per cent, on windows that were not trained on; a checkpoint says the same."""
    torch.manual_seed(0)
    train, val, test = loader(600, shuffle=True, noise=0.3), loader(64, noise=0.3), loader(500, noise=0.3)
    for head in ("quantile", "student_t"):
        forecaster = LinearForecaster(head=head, lr=0.02, **sizes)
        running = trainer(max_epochs=10)
        running.fit(forecaster, train, val)
        running.save_checkpoint(tmp_path / "a.ckpt", weights_only=True)
        loaded = seqlight.load(tmp_path / "a.ckpt")
        every = torch.utils.data.default_collate([sample for sample in test.dataset])
        ours, theirs = (one.predict(every, quantile_levels=(0.1, 0.5, 0.9)) for one in (forecaster, loaded))
        assert torch.equal(ours.quantiles, theirs.quantiles)
        low, _, high = ours.quantiles.unbind(-1)
        truth = every["future_target"]
        assert ((truth >= low) & (truth <= high)).float().mean().item() == pytest.approx(0.8, abs=0.05)
        if head == "student_t":
            assert torch.equal(loaded.dependence.factor, forecaster.dependence.factor)
            assert bool(loaded.dependence.fitted)
            loaded.predicted_samples = 5
            (predicted,) = trainer().predict(loaded, loader(8))
            assert predicted["samples"].shape == (8, 5, 6, 1)
            assert predicted["quantiles"].shape == (8, 6, 1, 3)
