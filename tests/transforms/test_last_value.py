"""The last known value of a window, subtracted and added again."""

import math

import torch

from seqlight import models
from seqlight.transforms import LastValue, build_transform


def test_last_known_value_of_each_channel():
    nan = math.nan
    past = torch.tensor([[[1.0, 5.0], [2.0, nan], [nan, nan]], [[nan, 1.0], [nan, 2.0], [nan, 4.0]]])
    transform = LastValue(2)
    left, (last,) = transform.transform(past)
    assert last.tolist() == [[[2.0, 5.0]], [[0.0, 4.0]]]
    expected = past - torch.tensor([[[2.0, 5.0]], [[0.0, 4.0]]])
    torch.testing.assert_close(left, expected, equal_nan=True)
    future = torch.randn(2, 4, 2)
    torch.testing.assert_close(
        transform.inverse(transform.transform_future(future, (last,)), (last,)), future
    )
    assert transform.keeps_quantiles(4)


def test_a_network_of_zeros_is_the_naive_forecast():
    model = models.LinearForecaster(context_length=5, prediction_length=2, transform="standard + last").eval()
    with torch.no_grad():
        model.network.linear.weight.zero_()
        model.network.linear.bias.zero_()
        past = torch.randn(3, 5, 1)
        past[1, 4] = math.nan
        expected = models.NaiveForecaster(context_length=5, prediction_length=2)(past)
        torch.testing.assert_close(model(past), expected)


def test_name():
    assert isinstance(build_transform("last", 1), LastValue)
