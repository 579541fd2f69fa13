"""Heads: densities as scipy has them, gradients, quantiles and probabilities that invert each other."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from torch.nn import functional as F

from seqlight.heads import (
    HEADS,
    NegativeBinomialHead,
    NormalHead,
    PointHead,
    PoissonHead,
    QuantileHead,
    StudentTHead,
    build_head,
    forecast_columns,
)
from seqlight.heads.count_quantiles import count_quantiles

LEVELS = (0.01, 0.1, 0.5, 0.9, 0.99)
DISTRIBUTIONS = {
    "normal": lambda p: stats.norm(p[..., 0], p[..., 1]),
    "student_t": lambda p: stats.t(p[..., 0], p[..., 1], p[..., 2]),
    "poisson": lambda p: stats.poisson(p[..., 0]),
    "negative_binomial": lambda p: stats.nbinom(1 / p[..., 1], 1 / (1 + p[..., 0] * p[..., 1])),
}
named = pytest.mark.parametrize("name", DISTRIBUTIONS)


def head_of(name):
    return build_head(name, quantiles=LEVELS, pointwise=F.mse_loss)


def drawn(name, count=400, *, spread=2.0, dtype=torch.float64):
    """Parameters of many a network's numbers, and targets that lie about them."""
    torch.manual_seed(0)
    head = head_of(name)
    outputs = spread * torch.randn(count, head.parameter_count, dtype=dtype)
    scale = 10 ** torch.linspace(-1, 4, count, dtype=dtype) if head.counts else None
    parameters = head.parameters(outputs, scale)
    return head, parameters, head.sample(parameters, 1)[0]


@named
def test_loss_is_the_negative_log_density_of_scipy(name):
    head, parameters, target = drawn(name)
    known = DISTRIBUTIONS[name](parameters.numpy())
    expected = -(known.logpmf if head.counts else known.logpdf)(target.numpy())
    torch.testing.assert_close(
        head.loss(parameters, target), torch.from_numpy(expected), rtol=1e-7, atol=1e-7
    )


@named
def test_float32_is_exact_at_extreme_parameters(name):
    """The logarithms of gamma functions are millions there, and float32 keeps nothing of their difference."""
    head = head_of(name)
    values = torch.tensor([-80.0, -5.0, 0.0, 5.0, 80.0, 3e4])
    outputs = torch.cartesian_prod(*[values] * head.parameter_count).reshape(-1, head.parameter_count)
    scale = torch.full((len(outputs),), 7.0) if head.counts else None
    for target in (0.0, 1.0, 40.0, 3e6) if head.counts else (-3e4, -1.0, 0.0, 2.5, 3e4):
        given_outputs = outputs.clone().requires_grad_()
        parameters = head.parameters(given_outputs, scale)
        y = torch.full((len(outputs),), target)
        loss = head.loss(parameters, y)
        loss.sum().backward()
        assert given_outputs.grad.isfinite().all()
        double = parameters.detach().double()
        known = DISTRIBUTIONS[name](double.numpy())
        exact = -(known.logpmf if head.counts else known.logpdf)(y.double().numpy())
        usable = np.isfinite(exact)
        error = np.abs(loss.detach().numpy() - exact)[usable]
        assert (error <= 2e-5 * np.maximum(1, np.abs(exact[usable])) + 1e-7 * abs(target)).all()


@named
def test_gradients_are_the_numerical_ones(name):
    head, _, _ = drawn(name)
    torch.manual_seed(1)
    outputs = torch.randn(12, head.parameter_count, dtype=torch.float64, requires_grad=True)
    scale = torch.full((12,), 9.0, dtype=torch.float64) if head.counts else None
    target = head.sample(head.parameters(outputs, scale).detach(), 1)[0]
    assert torch.autograd.gradcheck(lambda o: head.loss(head.parameters(o, scale), target), outputs)


def test_gradients_of_the_quantile_head():
    head = QuantileHead(LEVELS)
    torch.manual_seed(1)
    outputs = torch.randn(12, 5, dtype=torch.float64, requires_grad=True)
    target = torch.randn(12, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda o: head.loss(head.parameters(o), target), outputs)


@named
def test_quantiles_are_those_of_scipy(name):
    head, parameters, _ = drawn(name)
    found = head.quantiles(parameters, LEVELS)
    known = DISTRIBUTIONS[name](parameters.numpy()[:, None])
    expected = torch.from_numpy(np.stack([known.ppf(level)[:, 0] for level in LEVELS], axis=-1))
    torch.testing.assert_close(found, expected, rtol=2e-6, atol=1e-6)
    assert torch.equal(head.point(parameters), found[:, 2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["normal", "student_t"])
def test_values_and_scores_invert_each_other(name, dtype):
    head, parameters, _ = drawn(name, 2000, dtype=dtype)
    scores = torch.linspace(-5, 5, 2000, dtype=dtype)
    values = head.value_at(parameters, scores)
    tolerance = 2e-3 if dtype == torch.float32 else 5e-6  # beside a large loc float32 has few digits left
    torch.testing.assert_close(head.score_of(parameters, values), scores, rtol=tolerance, atol=tolerance)
    probability = DISTRIBUTIONS[name](parameters.double().numpy()).cdf(values.double().numpy())
    ours = special.ndtr(head.score_of(parameters, values).double().numpy())
    np.testing.assert_allclose(ours, probability, atol=2e-4 if dtype == torch.float32 else 1e-6)


@pytest.mark.parametrize("name", ["poisson", "negative_binomial"])
def test_scores_of_counts(name):
    head, parameters, target = drawn(name)
    known = DISTRIBUTIONS[name](parameters.numpy())
    middle = 0.5 * (known.cdf(target.numpy()) + known.cdf(target.numpy() - 1))
    np.testing.assert_allclose(special.ndtr(head.score_of(parameters, target).numpy()), middle, atol=1e-7)
    # The count that is drawn at a score is the smallest that reaches its probability.
    score = torch.randn(len(parameters), dtype=torch.float64)
    count, probability = head.value_at(parameters, score).numpy(), special.ndtr(score.numpy())
    assert (known.cdf(count) >= probability - 1e-9).all() and (
        known.cdf(count - 1) < probability + 1e-9
    ).all()


@named
def test_samples_have_the_distribution(name):
    torch.manual_seed(0)
    head = head_of(name)
    parameters = head.parameters(torch.zeros(head.parameter_count, dtype=torch.float64), torch.tensor(20.0))
    samples = head.sample(parameters, 20_000)
    assert samples.shape == (20_000,)
    for quantile in head.quantiles(parameters, LEVELS):
        below = (samples <= quantile).double().mean()
        least = DISTRIBUTIONS[name](parameters.numpy()).cdf(quantile.numpy())
        assert abs(below - least) < 4 * math.sqrt(least * (1 - least) / 20_000)
    again = head.sample(parameters, 5, generator=torch.Generator().manual_seed(3))
    assert torch.equal(again, head.sample(parameters, 5, generator=torch.Generator().manual_seed(3)))


@named
def test_means(name):
    head, parameters, _ = drawn(name)
    if name == "student_t":
        with pytest.raises(ValueError, match=r"mean: infinite or not defined in \d+ of 400 cells"):
            head.mean(parameters)
        parameters = parameters[parameters[:, 0] > 1]
    expected = torch.from_numpy(DISTRIBUTIONS[name](parameters.numpy()).mean())
    torch.testing.assert_close(head.mean(parameters), expected)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_quantiles_never_cross(data):
    number = st.floats(-(2.0**99), 2.0**99, width=32)
    for name in HEADS:
        if name == "point":
            continue
        head = head_of(name)
        finite = st.floats(-(2.0**20), 2.0**20, width=32) if head.counts else number
        outputs = data.draw(st.lists(finite, min_size=head.parameter_count, max_size=head.parameter_count))
        for dtype in (torch.float32, torch.bfloat16):
            quantiles = head.quantiles(head.parameters(torch.tensor(outputs, dtype=dtype)), LEVELS)
            assert quantiles.dtype == torch.float32
            assert (quantiles.diff(dim=-1) >= 0).all()


def test_quantile_head_trains_its_quantiles():
    """By gradient, on draws of a distribution that is far from symmetric."""
    torch.manual_seed(0)
    head, target = QuantileHead(LEVELS), torch.randn(4000).exp()
    outputs = torch.zeros(5, requires_grad=True)
    optimizer = torch.optim.Adam([outputs], lr=0.05)
    for _ in range(600):
        optimizer.zero_grad()
        head.loss(head.parameters(outputs).expand(4000, 5), target).mean().backward()
        optimizer.step()
    found = head.quantiles(head.parameters(outputs.detach()), LEVELS)
    covered = torch.stack([(target <= quantile).float().mean() for quantile in found])
    torch.testing.assert_close(covered, torch.tensor(LEVELS), atol=0.004, rtol=0)


def test_quantile_head_with_the_median_alone_is_the_absolute_error():
    preds, target = torch.randn(7), torch.randn(7)
    head = QuantileHead([0.5])
    torch.testing.assert_close(head.loss(head.parameters(preds[:, None]), target), (preds - target).abs())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: head_of("norml"),
            r"head: expected one of 'point', .*; got 'norml'. Did you mean 'normal'\?",
        ),
        (lambda: QuantileHead([0.1, 0.9]), r"0.5 among them.*quantiles=\[0.1, 0.5, 0.9\]"),
        (lambda: QuantileHead([0.1, 0.5, 1.0]), "levels above 0 and below 1, got 1.0"),
        (
            lambda: QuantileHead([0.1, 0.5]).quantiles(torch.zeros(2), [0.2]),
            r"quantiles: 0.2 not trained; .*quantiles=\[0.1, 0.2, 0.5\]",
        ),
        (lambda: QuantileHead([0.5]).sample(torch.zeros(1), 3), "nothing can be drawn from it"),
        (lambda: QuantileHead([0.5]).mean(torch.zeros(1)), "the mean depends on what lies beyond"),
        (lambda: PointHead(F.l1_loss).quantiles(torch.zeros(1), [0.5]), "knows nothing of its errors"),
        (lambda: NormalHead().quantiles(torch.zeros(2), [0.0]), "levels above 0 and below 1, got 0.0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_columns_are_named_as_nixtla_names_them():
    levels = (0.025, 0.1, 0.9, 0.975)
    assert forecast_columns("y", levels) == ["y-lo-95", "y-lo-80", "y-hi-80", "y-hi-95"]
    assert forecast_columns("y", (0.005, 0.5, 0.9875)) == ["y-lo-99", "y-median", "y-hi-97.5"]
    assert StudentTHead().column_names("y", (0.1,)) == ["y", "y-lo-80"]


def test_parameter_counts():
    heads = [PointHead(F.mse_loss), QuantileHead(LEVELS), NormalHead(), StudentTHead()]
    heads += [NegativeBinomialHead(), PoissonHead()]
    assert [head.parameter_count for head in heads] == [1, 5, 2, 3, 2, 1]


def test_a_level_is_known_however_it_was_rounded():
    head = build_head(
        "quantile", quantiles=[(1 - 0.8) / 2, 0.5, 0.975], pointwise=torch.nn.functional.mse_loss
    )
    parameters = head.parameters(torch.randn(4, 3))
    assert (1 - 0.8) / 2 != 0.1
    assert torch.equal(head.quantiles(parameters, (0.1, 1 - (1 - 0.95) / 2)), parameters[..., [0, 2]])


@pytest.mark.parametrize("name", ["negative_binomial", "poisson"])
def test_the_median_of_counts_is_one_operator_of_a_compiled_graph(name):
    head = build_head(name, quantiles=(), pointwise=torch.nn.functional.mse_loss)
    parameters = head.parameters(3 * torch.randn(50, head.parameter_count))
    compiled = torch.compile(head.point, backend="eager", fullgraph=True)
    assert torch.equal(compiled(parameters), head.point(parameters))
    assert torch.equal(head.point(parameters), head.quantiles(parameters, (0.5,))[..., 0])


@pytest.mark.parametrize("levels", [(0.5,), (0.025, 0.5, 0.9, 1 - 1e-7)])
def test_quantiles_of_many_counts_are_those_of_scipy(levels):
    """By tables and, where these were long or the probability of 0 is no number, by scipy itself."""
    generator = torch.Generator().manual_seed(0)
    mean = (10 ** (6 * torch.rand(60, 5, 1, generator=generator, dtype=torch.float64) - 2)).clone()
    dispersion = 10 ** (7 * torch.rand(60, 5, 1, generator=generator, dtype=torch.float64) - 6)
    dispersion[::4] = 0.0  # Poisson's distribution
    mean[7, 2] = torch.nan
    probability = torch.tensor(levels, dtype=torch.float64)
    found = count_quantiles(mean, dispersion, probability)
    m, a = mean.numpy(), dispersion.numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        negative_binomial = stats.nbinom.ppf(levels, 1 / a, 1 / (1 + a * m))
    expected = np.where(a > 0, negative_binomial, stats.poisson.ppf(levels, m))
    np.testing.assert_array_equal(found, expected)
    # Leading dimensions of many paths, one cell at a time, and one cell alone.
    paths = probability[:, None, None].expand(-1, 60, 5)
    of_paths = count_quantiles(mean[..., 0], dispersion[..., 0], paths)
    np.testing.assert_array_equal(of_paths, found.movedim(-1, 0))
    for cell in ((0, 0, 0), (1, 0, 0)):
        np.testing.assert_array_equal(
            count_quantiles(mean[cell], dispersion[cell], probability[0]), found[cell[:2]][0]
        )
