import math

import pytest
import torch

from seqlight.models import LinearForecaster


def design(forecaster, samples):
    """Inputs with a column of ones, and targets, in transformed space and float64."""
    batch = torch.utils.data.default_collate(samples)
    window, state = forecaster._batch_window(batch, with_future=True)
    targets = forecaster.transform.transform_future(batch["future_target"], state).flatten(1)
    inputs = window.inputs().flatten(1)
    return torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1).double(), targets.double()


@pytest.mark.parametrize("transform", ["none", "standard", "instance"])
@pytest.mark.parametrize("channels", [1, 2])
def test_solution_is_least_squares(sizes, loader, transform, channels):
    data = loader(300, channels=channels, noise=0.5)
    forecaster = LinearForecaster(transform=transform, target_size=channels, **sizes)
    forecaster.solve(data, ridge=1e-7)
    inputs, targets = design(forecaster, list(data.dataset))
    # Instance normalisation makes the inputs of a window sum to 0 but for rounding, which is no direction
    # to use.
    expected = torch.linalg.lstsq(inputs, targets, rcond=1e-6, driver="gelsd").solution
    linear = forecaster.network.linear
    solution = torch.cat([linear.weight.T, linear.bias[None]]).double()
    torch.testing.assert_close(inputs @ solution, inputs @ expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("missing", [0.02, 0.3])
def test_solution_with_missing_cells_is_least_squares_for_each_output(sizes, loader, missing):
    data = loader(400, missing=missing, noise=0.5)
    forecaster = LinearForecaster(observed_indicator=True, transform="standard", **sizes)
    forecaster.solve(data, ridge=1e-12)
    inputs, targets = design(forecaster, list(data.dataset))
    linear = forecaster.network.linear
    solution = torch.cat([linear.weight.T, linear.bias[None]]).double()
    for output in range(targets.shape[1]):
        known = ~targets[:, output].isnan()
        expected = torch.linalg.lstsq(inputs[known], targets[known, output, None], driver="gelsd").solution
        torch.testing.assert_close(
            inputs[known] @ solution[:, output, None], inputs[known] @ expected, rtol=1e-3, atol=1e-3
        )


def test_no_training_by_gradient_comes_below_the_solution(sizes, loader, trainer):
    data = loader(128, noise=0.3)
    solved = LinearForecaster(**sizes).solve(data, ridge=1e-9)
    trained = LinearForecaster(lr=1e-2, **sizes)
    running = trainer(max_epochs=12)
    running.fit(trained, data, data)
    by_gradient = running.callback_metrics["val_loss"].item()
    running.validate(solved, data, verbose=False)
    exact = running.callback_metrics["val_loss"].item()
    start = trainer()
    torch.manual_seed(1)
    start.validate(LinearForecaster(**sizes), data, verbose=False)
    assert exact <= by_gradient + 1e-6
    assert by_gradient < 0.5 * start.callback_metrics["val_loss"].item()


@pytest.mark.parametrize("strategy", ["direct", "every_step", "recursive"])
def test_solution_forecasts_a_noiseless_sine(sizes, loader, strategy):
    data = loader(200, noise=1e-6)
    forecaster = LinearForecaster(strategy=strategy, **sizes).solve(data, ridge=1e-10)
    batch = torch.utils.data.default_collate(list(data.dataset))
    torch.testing.assert_close(forecaster(batch["past_target"]), batch["future_target"], rtol=0, atol=5e-3)


def test_solve_fits_the_transform(sizes, loader):
    data = loader(100)
    forecaster = LinearForecaster(transform="standard", **sizes).solve(data)
    every = torch.cat([sample["past_target"] for sample in data.dataset])
    assert forecaster.transform.mean.item() == pytest.approx(every.mean().item(), rel=1e-5)


def test_output_without_any_target_is_solved_to_zero(sizes, windows):
    samples = windows(50)
    for sample in samples:
        sample["future_target"] = sample["future_target"].clone()
        sample["future_target"][3] = math.nan
    forecaster = LinearForecaster(transform="none", **sizes).solve(
        [torch.utils.data.default_collate(samples)]
    )
    linear = forecaster.network.linear
    assert (linear.weight[3] == 0).all() and linear.bias[3] == 0
    assert linear.weight.isfinite().all()


def test_bad_input_is_named(sizes, loader):
    with pytest.raises(ValueError, match="loader: expected at least one batch, got none"):
        LinearForecaster(**sizes).solve([])
    with pytest.raises(ValueError, match="x: expected 24 steps, got 20"):
        LinearForecaster(**sizes).network(torch.zeros(2, 20, 1))


def outliers(count=200):
    """Windows of one linear law, of which every tenth has an outlier for its future, in batches."""
    generator = torch.Generator().manual_seed(3)
    past = torch.randn(count, 24, 1, generator=generator)
    future = past[:, -6:] + 0.01 * torch.randn(count, 6, 1, generator=generator)
    future[::10] += 50.0
    scale = torch.ones(count, 1)
    samples = {"past_target": past, "future_target": future, "scale": scale}
    return [{name: value[first : first + 64] for name, value in samples.items()} for first in (0, 64, 128)]


@pytest.mark.parametrize("loss", ["mae", "huber", "mase"])
def test_other_losses_than_squares_stand_outliers(sizes, loss):
    """They find the law; squares take the mean of it and of the outliers."""
    batches = outliers()
    clean = batches[0]["past_target"][1:2]
    robust = LinearForecaster(transform="none", loss=loss, **sizes).solve(batches, passes=12)
    squares = LinearForecaster(transform="none", **sizes).solve(batches)
    assert (squares(clean) - clean[:, -6:]).abs().mean() > 1.0
    assert (robust(clean) - clean[:, -6:]).abs().mean() < (0.3 if loss == "huber" else 0.1)


@pytest.mark.parametrize("channels", ["mixed", "independent"])
def test_passes_lessen_the_sum_of_the_windows_errors(sizes, loader, channels):
    data = loader(200, channels=2, noise=0.5)

    def error(passes):
        model = LinearForecaster(target_size=2, loss="mae", channels=channels, **sizes)
        model.solve(data, passes=passes, ridge=1e-7)
        batch = torch.utils.data.default_collate(list(data.dataset))
        window, state = model._batch_window(batch, with_future=True)
        off = model.decode(window) - model.transform.transform_future(batch["future_target"], state)
        off = off if channels == "independent" else off.flatten(1)
        return off.square().mean(1).sqrt().sum().item()

    assert error(12) < error(4) * (1 + 1e-6) < error(1)


def test_a_series_without_scale_does_not_count(sizes):
    batches = outliers()
    other = [{name: value.clone() for name, value in batch.items()} for batch in batches]
    for batch in other:
        batch["scale"][::2] = torch.nan
    kept = [{name: value[1::2] for name, value in batch.items()} for batch in batches]
    made = [LinearForecaster(loss="mase", **sizes).solve(each, passes=1) for each in (other, kept)]
    expected = made[1].network.linear.weight
    # the floor of weights is that of a batch's rows, of which the others have none
    torch.testing.assert_close(made[0].network.linear.weight, expected, rtol=0.05, atol=0.01)


def test_passes_are_checked(sizes):
    with pytest.raises(ValueError, match="passes: with loss='mse' the first is exact, expected 1, got 3"):
        LinearForecaster(**sizes).solve(outliers(), passes=3)
    with pytest.raises(ValueError, match=r"solve: no least squares have loss='smape'.* loss='mae' or 'mase'"):
        LinearForecaster(loss="smape", **sizes).solve(outliers())
