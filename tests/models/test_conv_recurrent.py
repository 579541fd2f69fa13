"""Forecasters with a strided convolution in front: alignment of targets, strategies, training, refusals."""

import pytest
import torch
from torch import nn

import seqlight
from seqlight.models import ConvGRUForecaster, ConvLSTMForecaster, NaiveForecaster

CLASSES = [ConvGRUForecaster, ConvLSTMForecaster]


@pytest.mark.parametrize(
    ("length", "kernel_size", "stride", "steps"),
    [
        (50, 4, 2, range(3, 50, 2)),  # the chapter's: the targets are Y[:, 3::2]
        (51, 4, 2, range(4, 51, 2)),  # one step left out at the beginning
        (24, 5, 3, range(5, 24, 3)),
        (24, 1, 1, range(24)),
        (4, 4, 2, range(3, 4)),
    ],
)
def test_each_output_has_seen_exactly_its_kernel_and_the_past(length, kernel_size, stride, steps):
    torch.manual_seed(0)
    forecaster = ConvGRUForecaster(
        context_length=length,
        prediction_length=2,
        strategy="every_step",
        hidden_size=5,
        filters=4,
        kernel_size=kernel_size,
        stride=stride,
    )
    network = forecaster.network
    assert network.output_steps(length) == steps
    x = torch.randn(1, length, 1, requires_grad=True)
    output, state = network(x)
    assert output.shape == (1, len(steps), 2) and state is None
    for index, step in enumerate(steps):
        (gradient,) = torch.autograd.grad(output[0, index].sum(), x, retain_graph=True)
        moved = gradient[0, :, 0].nonzero().flatten().tolist()
        assert moved == list(range(steps[0] - kernel_size + 1, step + 1))


def test_training_loss_is_taken_over_the_cropped_and_strided_targets():
    torch.manual_seed(0)
    forecaster = ConvGRUForecaster(
        context_length=50, prediction_length=10, hidden_size=20, strategy="every_step", transform="none"
    )
    past, future = torch.randn(4, 50, 1), torch.randn(4, 10, 1)
    series = torch.cat([past, future], dim=1)[..., 0]
    targets = torch.stack([series[:, step + 1 : step + 11] for step in range(3, 50, 2)], dim=1)  # [4, 24, 10]
    convolution, recurrent = forecaster.network.convolution, forecaster.network.network
    convolved = convolution(past.transpose(1, 2)).transpose(1, 2)
    gru = recurrent.core.to_torch()
    expected = nn.functional.mse_loss(recurrent.head(gru(convolved)[0]), targets)
    window, _ = forecaster._window({"past_target": past})
    total, count = forecaster.strategy.loss(forecaster.network, window, future, forecaster.pointwise_loss)
    assert count == targets.numel()
    torch.testing.assert_close(total / count, expected)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("strategy", ["direct", "recursive", "every_step"])
def test_forecasts_with_covariates_and_missing_cells(sizes, kind, strategy):
    forecaster = kind(
        strategy=strategy,
        target_size=2,
        future_covariate_size=3,
        observed_indicator=True,
        num_layers=2,
        **sizes,
    )
    past = torch.randn(4, 24, 2)
    past[:, 5] = torch.nan
    covariates = {
        "historic_future_covariates": torch.randn(4, 24, 3),
        "future_covariates": torch.randn(4, 6, 3),
    }
    forecast = forecaster(past, **covariates)
    assert forecast.shape == (4, 6, 2) and forecast.isfinite().all()


@pytest.mark.parametrize("kind", CLASSES)
def test_recursion_runs_the_window_that_ends_at_the_last_forecast(sizes, kind):
    forecaster = kind(strategy="recursive", transform="none", **sizes).double().eval()
    past = torch.randn(2, 24, 1, dtype=torch.float64)
    sequence = past
    for _ in range(6):
        output, _ = forecaster.network(sequence[:, -24:])
        sequence = torch.cat([sequence, output[:, -1:]], 1)
    torch.testing.assert_close(forecaster(past), sequence[:, 24:])


@pytest.mark.parametrize(
    ("kind", "options", "precision"),
    [(ConvGRUForecaster, {}, "32-true"), (ConvLSTMForecaster, {"peephole": True}, "bf16-mixed")],
)
def test_fit_validate_test_predict_and_load(sizes, loader, trainer, tmp_path, kind, options, precision):
    torch.manual_seed(0)
    forecaster = kind(
        hidden_size=16, strategy="every_step", lr=2e-2, lr_schedule="one_cycle", **options, **sizes
    )
    running = trainer(max_epochs=6, precision=precision)
    running.fit(forecaster, loader(320, shuffle=True))
    held_out = loader(64)
    validated = running.validate(forecaster, held_out, verbose=False)[0]["val_mae"]
    tested = running.test(forecaster, held_out, verbose=False)[0]["test_mae"]
    naive = trainer().validate(NaiveForecaster(**sizes), held_out, verbose=False)[0]["val_mae"]
    assert tested == pytest.approx(validated)
    assert validated < 0.3 * naive
    predicted = torch.cat([batch["prediction"] for batch in running.predict(forecaster, held_out)])
    assert predicted.shape == (64, 6, 1) and predicted.dtype == torch.float32

    running.save_checkpoint(tmp_path / "a.ckpt")
    loaded = seqlight.load(tmp_path / "a.ckpt")
    assert type(loaded) is kind and dict(loaded.hparams) == dict(forecaster.hparams)
    past = 1e3 + 50 * torch.randn(3, 24, 1)
    assert torch.equal(loaded(past), forecaster.eval()(past))


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"kernel_size": 25},
            "context_length: expected at least kernel_size = 25.* got 24; lengthen the context",
        ),
        ({"filters": 0}, "filters: expected at least 1, got 0"),
        ({"kernel_size": 0}, "kernel_size: expected at least 1, got 0"),
        ({"stride": 0}, "stride: expected at least 1, got 0"),
    ],
)
def test_wrong_arguments(sizes, kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        kind(**arguments, **sizes)


def test_wrong_calls_of_the_network(sizes):
    network = ConvGRUForecaster(**sizes).network
    with pytest.raises(ValueError, match="T of at least kernel_size = 4, got T = 3"):
        network(torch.zeros(2, 3, 1))
    with pytest.raises(ValueError, match="state expected None"):
        network(torch.zeros(2, 9, 1), torch.zeros(1))
