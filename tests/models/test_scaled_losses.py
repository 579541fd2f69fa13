"""Losses in original units: those of the metrics of the same names, whatever the transform and strategy."""

import pytest
import torch

from seqlight import models
from seqlight.metrics.functional import mean_absolute_scaled_error

SIZES = {"context_length": 8, "prediction_length": 3, "target_size": 2}


def batch_of(rows=5):
    torch.manual_seed(rows)
    future = 10 * torch.rand(rows, 3, 2) + 5
    future[0, 1, 0] = torch.nan
    return {
        "past_target": 10 * torch.rand(rows, 8, 2) + 5,
        "future_target": future,
        "scale": torch.rand(rows, 2) + 0.5,
        "phase": torch.arange(rows),
    }


def loss_of(model, batch):
    window, state = model._batch_window(batch, with_future=True)
    total, count = model.training_loss(window, model._transformed_future(model._future(batch), state))
    return total / count


@pytest.mark.parametrize("transform", ["none", "standard", "instance + last", "min_max", "mean_scale"])
@pytest.mark.parametrize("options", [{}, {"channels": "independent"}, {"cycle": 3}], ids=str)
def test_training_minimises_the_metric(transform, options):
    torch.manual_seed(0)
    batch = batch_of()
    model = models.LinearForecaster(loss="mase", transform=transform, **SIZES, **options)
    model.transform.fit(batch["past_target"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    preds = model.predict(batch).point
    known = ~batch["future_target"].isnan()
    expected = mean_absolute_scaled_error(preds, batch["future_target"].nan_to_num(0), batch["scale"], known)
    torch.testing.assert_close(loss_of(model, batch), expected)
    if "cycle" in options:
        return
    model = models.LinearForecaster(loss="smape", transform=transform, **SIZES, **options)
    model.transform.fit(batch["past_target"])
    preds, target = model.predict(batch).point[known], batch["future_target"][known]
    expected = (2 * (preds - target).abs() / (preds.abs() + target.abs())).mean()
    torch.testing.assert_close(loss_of(model, batch), expected)


@pytest.mark.parametrize("strategy", ["every_step", "recursive"])
def test_other_strategies_divide_by_the_same_scale(strategy):
    """Twice the scale, half the loss, at all steps at which it is taken; another unit changes nothing."""
    torch.manual_seed(0)
    model = models.GRUForecaster(loss="mase", strategy=strategy, hidden_size=3, **SIZES)
    batch = batch_of()
    loss = loss_of(model, batch)
    torch.testing.assert_close(loss_of(model, batch | {"scale": 2 * batch["scale"]}), loss / 2)
    other = {name: 1e3 * batch[name] for name in ("past_target", "future_target", "scale")}
    torch.testing.assert_close(loss_of(model, batch | other), loss)


def test_series_without_a_scale_and_zeros_have_no_loss():
    model = models.LinearForecaster(loss="mase", **SIZES)
    batch = batch_of()
    batch["scale"][2] = torch.nan
    batch["scale"][3] = 0.0
    loss = loss_of(model, batch)
    loss.backward()
    assert loss.isfinite() and all(p.grad.isfinite().all() for p in model.parameters())
    model = models.LinearForecaster(loss="smape", transform="none", **SIZES)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    zeros = {"past_target": torch.zeros(2, 8, 2), "future_target": torch.zeros(2, 3, 2)}
    loss = loss_of(model, zeros)
    loss.backward()
    assert loss == 0 and all(p.grad.isfinite().all() for p in model.parameters())


def test_validation_takes_the_same_loss(trainer, loader):
    torch.manual_seed(0)
    model = models.LinearForecaster(context_length=24, prediction_length=6, loss="mase", lr=0.01)
    (before,) = trainer().validate(model, loader(64), verbose=False)
    assert before["val_loss"] == pytest.approx(before["val_mase"], rel=1e-5)
    trainer(max_epochs=3, limit_val_batches=0).fit(model, loader(64))
    (after,) = trainer().validate(model, loader(64), verbose=False)
    assert after["val_mase"] < before["val_mase"]


def test_errors():
    make = models.LinearForecaster
    with pytest.raises(ValueError, match=r"^loss: 'mase' needs a transform that shifts and scales .*='log'"):
        make(loss="mase", transform="log", **SIZES)
    with pytest.raises(ValueError, match=r"^loss: 'smape' and cycle=4 do not go together"):
        make(loss="smape", cycle=4, **SIZES)
    with pytest.raises(ValueError, match=r"^loss: head='normal' has a loss of its own, got 'mase'"):
        make(loss="mase", head="normal", **SIZES)
    model = make(loss="mase", **SIZES)
    batch = batch_of()
    del batch["scale"]
    with pytest.raises(ValueError, match=r"^scale: needed in the batch for loss='mase'"):
        loss_of(model, batch)
    assert model.predict(batch).point.isfinite().all()
