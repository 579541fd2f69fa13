import math

import pytest
import torch

from seqlight.transforms import BoxCox, Log

NAN = math.nan


def skewed(count=400, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 1, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("values", "near"),
    [
        ((1.0 + 0.3 * skewed()).exp(), 0.0),
        ((20 + 3 * skewed()).square(), 0.5),
        (50 + 4 * skewed(), 1.0),
        ((100 + 10 * skewed()).sqrt(), 2.0),
        ((-3 * skewed().abs()).exp(), 0.3),
    ],
)
def test_lambda_is_the_likeliest(values, near):
    stats = pytest.importorskip("scipy.stats", reason="scipy, which comes with statsmodels, is missing")
    fitted = BoxCox(1).double().fit(values).lmbda.item()
    expected = stats.boxcox_normmax(values.flatten().numpy(), method="mle")
    assert fitted == pytest.approx(min(max(expected, 0.0), 2.0), abs=1e-4)
    assert fitted == pytest.approx(near, abs=1.0)


def test_lambda_is_found_for_each_channel_and_leaves_missing_cells_out():
    values = torch.cat([(1 + 0.3 * skewed()).exp(), (20 + 3 * skewed(seed=1)).square()], dim=1)
    box_cox = BoxCox(2).double().fit(values)
    holes = torch.rand(600, 2, generator=torch.Generator().manual_seed(2)) < 0.3
    spread = torch.full((600, 2), NAN, dtype=torch.float64)
    spread[:400] = values
    order = torch.randperm(600, generator=torch.Generator().manual_seed(3))
    again = BoxCox(2).double().fit(spread[order])
    torch.testing.assert_close(again.lmbda, box_cox.lmbda, rtol=0, atol=1e-5)
    masked = BoxCox(2).double().fit(spread.nan_to_num(5.0), ~spread.isnan() & ~holes)
    alone = BoxCox(1).double().fit(values[:, :1][~holes[:400, :1]].reshape(-1, 1))
    assert masked.lmbda[0].item() == pytest.approx(alone.lmbda.item(), abs=1e-5)


@pytest.mark.parametrize("values", [torch.full((5, 1), 7.0), torch.full((5, 1), NAN)])
def test_constant_or_empty_channel_is_left_linear(values):
    assert BoxCox(1).fit(values).lmbda.tolist() == [1.0]


@pytest.mark.parametrize("lmbda", [-0.5, 0.0, 1e-9, 0.3, 1.0, 2.0])
def test_given_lambda(lmbda):
    x = torch.tensor([0.1, 1.0, 3.0, 50.0], dtype=torch.float64).reshape(1, -1, 1)
    box_cox = BoxCox(1, lmbda).double().fit(x)
    z, state = box_cox.transform(x)
    expected = x.log() if abs(lmbda) < 1e-6 else (x**lmbda - 1) / lmbda
    torch.testing.assert_close(z, expected, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(box_cox.inverse(z, state), x, rtol=1e-10, atol=0.0)


def test_forecast_outside_the_range_of_the_transform():
    z = torch.tensor([-10.0, -2.0, 0.0]).reshape(1, -1, 1)
    assert BoxCox(1, 0.5, offset=1.0).inverse(z, ()).flatten().tolist() == [-1.0, -1.0, 0.0]
    assert BoxCox(1, -1.0).inverse(torch.tensor([[[2.0]]]), ()).item() == math.inf


@pytest.mark.parametrize(
    ("transform", "tolerance"),
    [(Log(1, 3.0), 0.002), (BoxCox(1, 0.0), 0.01), (BoxCox(1, 0.5), 0.001), (BoxCox(1, 1.5), 0.002)],
)
def test_inverse_gives_the_median_and_inverse_mean_the_mean(transform, tolerance):
    transform = transform.double()
    # Normal quantiles at 20,001 equal steps: an even sample without chance.
    levels = (torch.arange(20_001, dtype=torch.float64) + 0.5) / 20_001
    normal = torch.special.ndtri(levels).reshape(-1, 1, 1, 1)
    z, deviation = torch.full((1, 1, 1), 2.0, dtype=torch.float64), 0.3
    originals = transform.inverse(z + deviation * normal, ())
    assert transform.inverse(z, ()).item() == pytest.approx(originals.median().item(), rel=1e-9)
    mean = transform.inverse_mean(z, deviation**2).item()
    assert mean == pytest.approx(originals.mean().item(), rel=tolerance)
    if not isinstance(transform, BoxCox) or transform.given_lmbda < 1:
        assert mean > transform.inverse(z, ()).item()


def test_mean_is_finite_at_the_edge_of_the_domain():
    mean = BoxCox(1, 0.5).inverse_mean(torch.full((1, 1, 1), -2.0), 0.4)
    assert mean.item() == pytest.approx(0.1)


@pytest.mark.parametrize(("make", "name"), [(Log, "log"), (lambda c, o: BoxCox(c, offset=o), "box_cox")])
def test_value_outside_the_domain_is_named(make, name):
    values = torch.tensor([[1.0], [-2.5], [NAN]])
    message = rf"values: {name} with offset 1 needs values above -1, got -2\.5; give an offset above 2\.5"
    with pytest.raises(ValueError, match=message):
        make(1, 1.0).fit(values)
    fitted = make(1, 1.0).fit(values.abs())
    with pytest.raises(ValueError, match=message):
        fitted.transform(values[None])
    with pytest.raises(ValueError, match=message):
        fitted.transform_future(values[None], ())
    # A cell that the mask calls missing is not looked at.
    make(1, 1.0).fit(values, values > 0)
    with pytest.raises(ValueError, match="needs values above 0, got 0; give an offset above 0"):
        make(1, 0.0).fit(torch.zeros(2, 1))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"offset": math.inf}, ValueError, "offset: expected a finite number, got inf"),
        ({"offset": "1"}, TypeError, r"offset: expected a number, got '1' \(str\)"),
        ({"lmbda": NAN}, ValueError, "lmbda: expected a finite number, got nan"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        BoxCox(1, **arguments)
