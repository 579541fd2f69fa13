"""What forecasters with heads refuse, before any work, and what they say instead."""

import pytest
import torch

from seqlight.models import EncoderDecoderForecaster, LinearForecaster


def make(cls=LinearForecaster, **kwargs):
    return cls(**{"context_length": 24, "prediction_length": 6} | kwargs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"head": "poisson"}, r"'instance' makes of them what no count can be; use transform='mean_scale'"),
        ({"head": "poisson", "transform": "none", "cycle": 24}, "cycle: head='poisson' forecasts counts"),
        (
            {"head": "quantile", "strategy": "recursive"},
            "nothing can be drawn from head='quantile'; use strat",
        ),
        (
            {"head": "quantile", "transform": "difference(1) + standard"},
            r"adds up steps when it is undone \(Difference\(lags=\(1,\)\)\).*lags of at least pred.* = 6",
        ),
        ({"head": "normal", "loss": "mae"}, "head='normal' has a loss of its own, got 'mae'"),
        ({"quantiles": [0.1, 0.5]}, "quantiles: head='point' gives none"),
        ({"head": "quantile", "quantiles": [0.1, 0.9]}, r"0.5 among them.*\[0.1, 0.5, 0.9\]"),
        ({"head": "normal", "quantiles": [10, 50]}, r"above 0 and below 1, got \[10, 50\]; 80 per cent is"),
        ({"head": "normal", "quantiles": [0.9, 0.1]}, r"rising levels \[0.1, 0.9\], got \[0.9, 0.1\]"),
        ({"head": "quantil"}, "Did you mean 'quantile'"),
        (
            {"head": "normal", "strategy": "recursive", "num_samples": 9},
            "0.1 lies beyond 9 paths.*num_samples=10 or more",
        ),
        (
            {"cls": EncoderDecoderForecaster, "head": "quantile"},
            "cannot be drawn from head='quantile'; use teacher_forcing=0",
        ),
        (
            {"cls": EncoderDecoderForecaster, "head": "normal", "teacher_forcing": 0.5},
            "teacher_forcing: ends at 0.5.*use teacher_forcing=1, or 0",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_training(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_what_a_forecaster_cannot_tell_is_refused():
    batch = {"past_target": 1 + torch.rand(2, 24, 1)}
    with pytest.raises(ValueError, match=r"0.3 not trained.*quantiles=\[0.1, 0.3, 0.5, 0.9\]"):
        make(head="quantile").predict(batch, quantile_levels=(0.3,))
    with pytest.raises(ValueError, match="nothing can be drawn from it"):
        make(head="quantile").predict(batch, samples=2)
    with pytest.raises(ValueError, match="the mean depends on what lies beyond"):
        make(head="quantile").predict_mean(batch)
    with pytest.raises(ValueError, match="mean: infinite, for transform='log' is undone by a function that"):
        make(head="student_t", transform="log").predict_mean(batch)
    with pytest.raises(ValueError, match=r"^mean: infinite"):
        make(head="normal", transform="log + log(9)").predict_mean(batch)
    with pytest.raises(ValueError, match=r"0\.001 lies beyond 200 paths.*num_samples=1000 or more"):
        make(head="normal", strategy="recursive").predict(batch, quantile_levels=(0.001,))
    with pytest.raises(ValueError, match=r"past_target: head='poisson' forecasts counts.*such as 1\."):
        make(head="poisson", transform="mean_scale").predict(batch)
    with pytest.raises(ValueError, match="solve: least squares forecast a mean, not what head='normal'"):
        make(head="normal").solve([batch])


def test_values_that_are_no_counts_end_a_fit_before_it_begins(sizes, loader, trainer):
    forecaster = LinearForecaster(head="negative_binomial", transform="mean_scale", **sizes)
    with pytest.raises(ValueError, match="training target: head='negative_binomial' forecasts counts"):
        trainer(max_epochs=1).fit(forecaster, loader(8))
