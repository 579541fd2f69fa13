"""SegmentRNNForecaster that begins as a linear forecast."""

import pytest
import torch

from seqlight import models

SIZES = {"context_length": 12, "prediction_length": 5, "target_size": 2, "transform": "standard + last"}


def batches(rows=64):
    """Windows of two channels with gaps and a covariate that is known ahead."""
    generator = torch.Generator().manual_seed(5)
    values = 100 + 10 * torch.randn(rows, 17, 2, generator=generator).cumsum(1)
    values[::7, 3] = torch.nan
    known = torch.randn(rows, 17, 1, generator=generator)
    return [
        {
            "past_target": values[:, :12],
            "future_target": values[:, 12:],
            "historic_future_covariates": known[:, :12],
            "future_covariates": known[:, 12:],
            "phase": torch.arange(rows),
            "scale": torch.ones(rows, 2),
        }
    ]


def solved(channels, **options):
    made = models.LinearForecaster(
        channels=channels, cycle=4, targets_alone=True, loss="mae", **SIZES | options
    )
    return made.solve(batches())


@pytest.mark.parametrize("channels", ["independent", "mixed"])
def test_it_begins_as_the_linear_forecast_and_learns_on(channels):
    torch.manual_seed(0)
    linear = solved(channels)
    model = models.SegmentRNNForecaster(
        channels=channels,
        cycle=4,
        linear_skip=True,
        segment_length=4,
        hidden_size=8,
        future_covariate_size=1,
        observed_indicator=True,
        **SIZES,
    ).begin_as(linear)
    (batch,) = batches()
    torch.testing.assert_close(model.predict(batch).point, linear.predict(batch).point)
    window, state = model._batch_window(batch, with_future=True)
    total, _ = model.training_loss(window, model._transformed_future(model._future(batch), state))
    total.backward()
    network = model.network.network if channels == "independent" else model.network
    assert network.head.weight.grad.any() and network.skip.weight.grad.any()
    assert model.inputs.future_head.own_row.weight.grad.any()


def test_what_does_not_fit_is_named():
    model = models.SegmentRNNForecaster(linear_skip=True, cycle=4, segment_length=4, **SIZES)
    with pytest.raises(ValueError, match=r"^linear: expected channels = 'independent', .* got 'mixed'"):
        model.begin_as(solved("mixed"))
    with pytest.raises(ValueError, match=r"^linear: expected transform = 'standard \+ last', .* 'instance'"):
        model.begin_as(solved("independent", transform="instance"))
    beside = models.LinearForecaster(channels="independent", cycle=4, future_covariate_size=1, **SIZES)
    with pytest.raises(ValueError, match=r"^linear: .* make it with targets_alone=True"):
        model.begin_as(beside)
    plain = models.SegmentRNNForecaster(cycle=4, segment_length=4, **SIZES)
    with pytest.raises(ValueError, match=r"^begin_as: needs linear_skip=True"):
        plain.begin_as(solved("independent"))
