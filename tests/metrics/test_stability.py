import pytest
import torch

from seqlight.metrics import MeanAbsoluteScaledChange
from seqlight.metrics.functional import forecast_changes

NAN = float("nan")


def case():
    """Series 0 from rows 5, 6 and 8, series 1 from row 6 alone; three steps."""
    preds = torch.tensor([[1.0, 2.0, 3.0], [2.5, 3.5, 4.0], [4.0, 9.0, 9.0], [7.0, 7.0, 7.0]])[..., None]
    return preds, torch.tensor([0, 0, 0, 1]), torch.tensor([5, 6, 8, 6])


def test_changes_by_hand():
    preds, series, start = case()
    changes = forecast_changes(preds, series, start)[..., 0]
    expected = torch.tensor([[NAN] * 3, [0.5, 0.5, NAN], [0.0, NAN, NAN], [NAN] * 3])
    torch.testing.assert_close(changes, expected, equal_nan=True)
    shuffled = torch.tensor([2, 0, 3, 1])
    again = forecast_changes(preds[shuffled], series[shuffled], start[shuffled])[..., 0]
    torch.testing.assert_close(again, expected[shuffled], equal_nan=True)


def test_the_mean_is_that_of_all_pairs_however_split():
    preds, series, start = case()
    scale = torch.tensor([[2.0], [2.0], [2.0], [5.0]])
    whole, by_step = MeanAbsoluteScaledChange(), MeanAbsoluteScaledChange(by="step", size=3)
    by_series = MeanAbsoluteScaledChange(by="series", size=2)
    for metric in (whole, by_step, by_series):
        for rows in (slice(2, 4), slice(0, 2)):
            metric.update(preds[rows], scale[rows], series[rows], start[rows])
    assert whole.compute() == pytest.approx((0.25 + 0.25 + 0) / 3)
    torch.testing.assert_close(by_step.compute(), torch.tensor([0.125, 0.25, NAN]).double(), equal_nan=True)
    torch.testing.assert_close(by_series.compute(), torch.tensor([0.5 / 3, NAN]).double(), equal_nan=True)
    whole.reset()
    with pytest.warns(UserWarning, match="before the ``update``"):
        assert whole.compute().isnan()


def test_series_without_scale_do_not_count():
    preds, series, start = case()
    metric = MeanAbsoluteScaledChange()
    metric.update(preds, torch.zeros(4, 1), series, start)
    assert metric.compute().isnan()


def test_what_is_wrong_is_named():
    preds, series, start = case()
    with pytest.raises(ValueError, match="one start twice"):
        forecast_changes(preds, series, torch.tensor([5, 5, 8, 6]))
    with pytest.raises(ValueError, match=r"preds: expected \[W, H, C\]"):
        forecast_changes(preds[..., 0], series, start)
    with pytest.raises(ValueError, match=r"scale: expected \[B, C\] = \[4, 1\]"):
        MeanAbsoluteScaledChange().update(preds, torch.ones(4, 2), series, start)
    with pytest.raises(ValueError, match="by: expected None"):
        MeanAbsoluteScaledChange(by="cell", size=2)
