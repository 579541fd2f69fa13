import math

import pytest
import torch

from seqlight.transforms import Identity, InstanceNormalizer, MinMaxScaler, StandardScaler, build_transform

NAN = math.nan
CELLWISE = ["none", "standard", "min_max", "log", "box_cox"]


@pytest.mark.parametrize("name", [*CELLWISE, "instance"])
def test_missing_cells_stay_missing_and_move_nothing(name):
    past = torch.rand(3, 10, 2) + 0.1
    past[0, 2:5, 0] = NAN
    transform = build_transform(name, 2).fit(past)
    transformed, _ = transform.transform(past)
    assert torch.equal(transformed.isnan(), past.isnan())
    shorter = torch.cat([past[:1, :2, :1], past[:1, 5:, :1]], dim=1)
    single = build_transform(name, 1)
    single.load_state_dict(
        {key: value[:1] if value.ndim else value for key, value in transform.state_dict().items()}
    )
    alone, _ = single.transform(shorter)
    torch.testing.assert_close(alone[0, :, 0], transformed[0, [0, 1, 5, 6, 7, 8, 9], 0])


def test_standard_scaler_has_the_moments_of_the_observed_cells():
    values = torch.tensor([[1.0, 10.0], [3.0, 99.0], [5.0, 30.0]])
    observed = torch.tensor([[True, True], [True, False], [True, True]])
    scaler = StandardScaler(2).fit(values, observed)
    torch.testing.assert_close(scaler.mean, torch.tensor([3.0, 20.0]))
    torch.testing.assert_close(scaler.scale, torch.tensor([math.sqrt(8 / 3), 10.0]))
    pooled = StandardScaler(2, per_channel=False).fit(values, observed)
    known = torch.tensor([1.0, 3.0, 5.0, 10.0, 30.0])
    torch.testing.assert_close(pooled.mean, known.mean().expand(2))
    torch.testing.assert_close(pooled.scale, known.std(correction=0).expand(2))


def test_standard_scaler_of_constant_or_empty_channel_only_shifts():
    values = torch.tensor([[7.0, NAN], [7.0, NAN]])
    scaler = StandardScaler(2).fit(values)
    assert scaler.mean.tolist() == [7.0, 0.0]
    assert scaler.scale.tolist() == [1.0, 1.0]


def test_instance_normalizer_is_equivariant_to_level_and_scale():
    past = torch.randn(5, 20, 2, dtype=torch.float64)
    normalizer = InstanceNormalizer(2).double()
    first, _ = normalizer.transform(past)
    second, state = normalizer.transform(1e3 * past + 500)
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(first.mean(1), torch.zeros(5, 2, dtype=torch.float64))
    torch.testing.assert_close(first.std(1, correction=0), torch.ones(5, 2, dtype=torch.float64))
    torch.testing.assert_close(normalizer.inverse(second, state), 1e3 * past + 500)


@pytest.mark.parametrize("level", [0.0, 0.1, -3e5])
def test_constant_window_takes_the_training_scale(level):
    normalizer = InstanceNormalizer(1).fit(torch.tensor([[-4.0], [4.0]]) + level)
    transformed, (mean, scale) = normalizer.transform(torch.full((1, 9, 1), level))
    torch.testing.assert_close(scale, torch.full((1, 1, 1), 4.0), rtol=0.02, atol=0)
    torch.testing.assert_close(mean, torch.full((1, 1, 1), level))
    assert transformed.abs().max() < 1e-2


def test_window_without_observed_cell_takes_the_training_moments():
    normalizer = InstanceNormalizer(1).fit(torch.tensor([[6.0], [10.0]]))
    _, (mean, scale) = normalizer.transform(torch.full((1, 9, 1), NAN))
    assert (mean.item(), scale.item()) == (8.0, 2.0)


def test_min_max_scaler_has_the_range_of_the_observed_cells():
    values = torch.tensor([[1.0, 10.0, NAN], [3.0, 99.0, NAN], [5.0, 10.0, NAN]])
    observed = torch.tensor([[True, True, False], [True, False, False], [True, True, False]])
    scaler = MinMaxScaler(3).fit(values, observed)
    assert scaler.minimum.tolist() == [1.0, 10.0, 0.0]
    assert scaler.scale.tolist() == [4.0, 1.0, 1.0]
    assert scaler.transform(values[None])[0][0, :, 0].tolist() == [0.0, 0.5, 1.0]
    pooled = MinMaxScaler(3, per_channel=False).fit(values, observed)
    assert (pooled.minimum.tolist(), pooled.scale.tolist()) == ([1.0] * 3, [9.0] * 3)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="target_size must be at least 1, got 0"):
        Identity(0)
    with pytest.raises(ValueError, match=r"values: expected a shape \[\.\.\., 2\].*got \[5, 3\]"):
        StandardScaler(2).fit(torch.zeros(5, 3))
    with pytest.raises(ValueError, match=r"observed: expected the shape of values, \[5, 2\], got \[5, 1\]"):
        StandardScaler(2).fit(torch.zeros(5, 2), torch.ones(5, 1, dtype=torch.bool))


def test_instance_of_series_of_all_sizes():
    """The deviation of all is that of the largest: no window of a small series may be taken for a constant
    one, nor a constant one for one of the largest."""
    large, small = 1e7 * torch.randn(200, 1), 1e-3 * torch.randn(200, 1)
    transform = InstanceNormalizer(1).fit(torch.cat([large, small, torch.zeros(100, 1)]))
    past = torch.stack([small[:20], torch.full((20, 1), 3.0), torch.zeros(20, 1), large[:20]])
    _, (_, scale) = transform.transform(past)
    expected = [small[:20].std(unbiased=False), torch.tensor(3.0), None, large[:20].std(unbiased=False)]
    for row, value in enumerate(expected):
        if value is not None:
            torch.testing.assert_close(scale[row, 0, 0], value)
    assert 1e-4 < scale[2] < 1e-2  # of the smaller series
    old = transform.state_dict()
    del old["smaller"]
    again = InstanceNormalizer(1)
    again.load_state_dict(old)
    assert torch.equal(again.smaller, transform.scale)
