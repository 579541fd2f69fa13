import math

import pytest
import torch
import torchmetrics

from seqlight.metrics import (
    MaskedMeanAbsoluteError,
    MaskedMeanSquaredError,
    MaskedSymmetricMeanAbsolutePercentageError,
    MeanAbsoluteScaledError,
    MeanOverCells,
    forecast_metrics,
)
from seqlight.metrics.functional import mean_absolute_scaled_error

NAN = math.nan


def case(batch=6, horizon=5, channels=2):
    generator = torch.Generator().manual_seed(3)
    target = torch.randn(batch, horizon, channels, generator=generator)
    preds = torch.randn(batch, horizon, channels, generator=generator)
    mask = torch.rand(batch, horizon, channels, generator=generator) < 0.7
    scale = torch.rand(batch, channels, generator=generator) + 0.5
    return preds, target, scale, mask


def test_mase_by_hand():
    preds = torch.tensor([[[1.0], [2.0]], [[0.0], [0.0]]])
    target = torch.tensor([[[2.0], [4.0]], [[3.0], [-3.0]]])
    scale = torch.tensor([[2.0], [6.0]])
    assert mean_absolute_scaled_error(preds, target, scale) == pytest.approx((0.5 + 1.0 + 0.5 + 0.5) / 4)
    mask = torch.tensor([[[True], [False]], [[True], [True]]])
    assert mean_absolute_scaled_error(preds, target, scale, mask) == pytest.approx(0.5)


@pytest.mark.parametrize("bad", [0.0, NAN, math.inf, -1.0])
def test_mase_leaves_out_series_without_scale(bad):
    preds, target, scale, _ = case()
    scale[2] = bad
    kept = [0, 1, 3, 4, 5]
    torch.testing.assert_close(
        mean_absolute_scaled_error(preds, target, scale),
        mean_absolute_scaled_error(preds[kept], target[kept], scale[kept]),
    )


def test_mase_of_missing_targets_is_that_of_the_others():
    preds, target, scale, mask = case()
    holes = target.masked_fill(~mask, NAN)
    expected = ((preds - target).abs() / scale[:, None])[mask].mean()
    torch.testing.assert_close(mean_absolute_scaled_error(preds, holes, scale, mask), expected)


def test_mase_of_nothing_is_nan():
    preds, target, scale, _ = case()
    assert mean_absolute_scaled_error(preds, target, torch.zeros_like(scale)).isnan()


def test_mase_gradient_is_finite_beside_missing_cells():
    preds, target, scale, mask = case()
    scale[0] = 0.0
    preds.requires_grad_()
    mean_absolute_scaled_error(preds, target.masked_fill(~mask, NAN), scale, mask).backward()
    assert preds.grad.isfinite().all()
    assert (preds.grad[0] == 0).all()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"preds": torch.zeros(2, 3)}, r"preds and target: expected one shape \[B, H, C\], got \[2, 3\]"),
        ({"scale": torch.ones(2, 3, 1)}, r"scale: expected \[B, C\] = \[2, 1\], got \[2, 3, 1\]"),
        ({"mask": torch.ones(2, 3, dtype=torch.bool)}, r"mask: expected the shape of target"),
    ],
)
def test_mase_names_wrong_shapes(argument, message):
    arguments = {"preds": torch.zeros(2, 3, 1), "target": torch.zeros(2, 3, 1), "scale": torch.ones(2, 1)}
    with pytest.raises(ValueError, match=message):
        mean_absolute_scaled_error(**(arguments | argument))


def test_accumulated_mase_is_the_mean_over_all_cells_however_split():
    preds, target, scale, mask = case()
    metric = MeanAbsoluteScaledError()
    for rows in (slice(0, 1), slice(1, 2), slice(2, 6)):
        metric.update(preds[rows], target[rows], scale[rows], mask[rows])
    torch.testing.assert_close(metric.compute(), mean_absolute_scaled_error(preds, target, scale, mask))


def test_states_are_summed_over_processes():
    for metric in (MeanAbsoluteScaledError(), MeanOverCells()):
        assert set(metric._reductions.values()) == {torchmetrics.utilities.data.dim_zero_sum}


@pytest.mark.parametrize(
    ("masked", "plain"),
    [
        (MaskedMeanAbsoluteError(), torchmetrics.MeanAbsoluteError()),
        (MaskedMeanSquaredError(), torchmetrics.MeanSquaredError()),
        (MaskedMeanSquaredError(squared=False), torchmetrics.MeanSquaredError(squared=False)),
        (
            MaskedSymmetricMeanAbsolutePercentageError(),
            torchmetrics.SymmetricMeanAbsolutePercentageError(),
        ),
    ],
    ids=["mae", "mse", "rmse", "smape"],
)
def test_masked_metric_is_torchmetrics_on_the_known_cells(masked, plain):
    preds, target, _, mask = case()
    masked.update(preds[:2], target[:2].masked_fill(~mask[:2], NAN), mask[:2])
    masked.update(preds[2:], target[2:].masked_fill(~mask[2:], NAN), mask[2:])
    plain.update(preds[mask], target[mask])
    torch.testing.assert_close(masked.compute(), plain.compute())
    masked.reset()
    plain.reset()
    masked.update(preds, target)
    plain.update(preds, target)
    torch.testing.assert_close(masked.compute(), plain.compute())
    with pytest.raises(ValueError, match="mask: expected the shape of target"):
        masked.update(preds, target, mask[:1])


def test_collection_has_every_metric_once():
    preds, target, scale, mask = case()
    metrics = forecast_metrics()
    metrics.update(preds=preds, target=target, scale=scale, mask=mask)
    computed = metrics.compute()
    assert set(computed) == {"mae", "rmse", "mase", "smape", "mae_last", "rmse_last"}
    last = (preds - target)[:, -1][mask[:, -1]]
    assert computed["mae_last"] == pytest.approx(last.abs().mean().item())
    assert computed["rmse_last"] == pytest.approx(last.square().mean().sqrt().item())
