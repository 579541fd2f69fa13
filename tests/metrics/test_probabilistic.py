import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from seqlight.metrics import (
    ContinuousRankedProbabilityScore,
    IntervalCoverage,
    IntervalScore,
    MeanError,
    RootMeanSquaredScaledError,
    WeightedQuantileLoss,
)
from seqlight.metrics.functional import (
    crps_distribution,
    crps_normal,
    crps_quantiles,
    crps_samples,
    interval_score,
    pinball_loss,
    weighted_quantile_loss,
)

LEVELS = [0.1, 0.5, 0.9]
SCORINGRULES = {"t": 1.0724800698847154, "negbinom": 2.1904795000762083, "poisson": 2.0592241055225333}


def case(batch=6, horizon=5, channels=2):
    generator = torch.Generator().manual_seed(7)
    target = torch.randn(batch, horizon, channels, generator=generator)
    preds = torch.randn(batch, horizon, channels, 3, generator=generator).sort(-1).values
    mask = torch.rand(batch, horizon, channels, generator=generator) < 0.7
    return preds, target, mask, torch.tensor([0, 0, 1, 2, 2, 2])


def test_pinball_by_hand():
    losses = pinball_loss(torch.tensor([[1.0, 2.0, 5.0]]), torch.tensor([3.0]), LEVELS)
    assert losses.tolist() == [pytest.approx([0.1 * 2, 0.5 * 1, 0.1 * 2])]


@given(st.floats(0.01, 0.99), st.integers(0, 99))
def test_pinball_is_lowest_at_the_quantile(level, seed):
    values = torch.from_numpy(np.random.default_rng(seed).normal(size=501))
    best = torch.tensor(np.quantile(values, level, method="inverted_cdf"))
    candidates = torch.cat([values, best[None]])
    losses = pinball_loss(candidates.expand(501, 502)[..., None], values[:, None].expand(501, 502), [level])
    assert losses.mean(0)[-1, 0] <= losses.mean(0).min() + 1e-12


@pytest.mark.parametrize("levels", [[0.0], [1.0], [0.5, float("nan")], []])
def test_wrong_levels_are_refused(levels):
    with pytest.raises(ValueError, match=r"quantiles: expected levels above 0 and below 1|preds: expected"):
        pinball_loss(torch.zeros(2, 1), torch.zeros(2), levels)


def test_weighted_quantile_loss_by_hand():
    preds, target = torch.tensor([[1.0], [4.0]]), torch.tensor([2.0, -2.0])
    # levels' sums: 0.5 * 1 + 0.5 * 6 = 3.5; twice over |2| + |-2|
    assert weighted_quantile_loss(preds, target, [0.5]) == pytest.approx(2 * 3.5 / 4)


def test_weighted_quantile_loss_of_a_point_is_its_weighted_absolute_percentage_error():
    preds, target, mask, _ = case()
    metric = WeightedQuantileLoss()
    metric.update(preds[..., 0], target, mask)
    expected = (preds[..., 0] - target)[mask].abs().sum() / target[mask].abs().sum()
    torch.testing.assert_close(metric.compute().float(), expected)


CLOSED_FORMS = {
    "normal": ([(1.5, 0.7), (-2.0, 30.0)], lambda p: stats.norm(*p)),
    "student_t": ([(1.2, 0.0, 2.0), (4.0, 1.0, 0.5), (1e6, -1.0, 3.0)], lambda p: stats.t(*p)),
    "poisson": ([(0.02,), (3.0,), (700.0,)], lambda p: stats.poisson(*p)),
    "negative_binomial": (
        [(0.1, 3.0), (20.0, 0.5), (300.0, 1e-5), (50.0, 0.019), (2.0, 0.021)],
        lambda p: stats.nbinom(1 / p[1], 1 / (1 + p[0] * p[1])),
    ),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_forms_of_the_crps_are_the_integral(name):
    every, made = CLOSED_FORMS[name]
    for parameters in every:
        distribution = made(parameters)
        for target in (0.0, float(distribution.ppf(0.3)), float(distribution.ppf(0.999))):
            if name in ("poisson", "negative_binomial"):
                counts = np.arange(distribution.ppf(1 - 1e-13) + target + 1)
                expected = ((distribution.cdf(counts) - (counts >= target)) ** 2).sum()
            else:
                sides = (
                    integrate.quad(lambda x, d: d.cdf(x) ** 2, -np.inf, target, (distribution,), limit=200),
                    integrate.quad(lambda x, d: d.sf(x) ** 2, target, np.inf, (distribution,), limit=200),
                )
                expected = sum(side[0] for side in sides)
            got = crps_distribution(
                name,
                torch.tensor([parameters], dtype=torch.float64),
                torch.tensor([target], dtype=torch.float64),
            )
            assert float(got) == pytest.approx(expected, rel=1e-7), (parameters, target)


def test_closed_forms_as_scoringrules_has_them():
    """Values of its version 0.10: crps_t, crps_negbinom, crps_poisson."""
    t = crps_distribution(
        "student_t", torch.tensor([[3.0, 0.5, 2.0]]).double(), torch.tensor([-1.25]).double()
    )
    assert float(t) == pytest.approx(SCORINGRULES["t"], rel=1e-12)
    counts = torch.tensor([7.0], dtype=torch.float64)
    nb = crps_distribution("negative_binomial", torch.tensor([[4.0, 0.5]]).double(), counts)
    assert float(nb) == pytest.approx(SCORINGRULES["negbinom"], rel=1e-9)
    poisson = crps_distribution("poisson", torch.tensor([[4.0]]).double(), counts)
    assert float(poisson) == pytest.approx(SCORINGRULES["poisson"], rel=1e-12)


def test_a_dispersion_near_0_is_poisson_s():
    mean = torch.tensor([1e-3, 1.0, 100.0], dtype=torch.float64)
    counts = torch.tensor([0.0, 1.0, 90.0], dtype=torch.float64)
    nearly = torch.stack([mean, torch.full_like(mean, 1e-12)], -1)
    found = crps_distribution("negative_binomial", nearly, counts)
    expected = crps_distribution("poisson", mean[:, None], counts)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=0.0)


def test_crps_of_a_head_s_parameters():
    target = torch.tensor([[[0.0], [2.0], [9.0]]])
    parameters = torch.tensor([2.0, 0.5]).expand(1, 3, 1, 2)
    metric = ContinuousRankedProbabilityScore(distribution="negative_binomial", by="step", size=3)
    metric.update(parameters, target, mask=torch.tensor([[[True], [True], [False]]]))
    expected = crps_distribution("negative_binomial", parameters, target)[0, :, 0]
    torch.testing.assert_close(metric.compute()[:2].float(), expected[:2])
    assert metric.compute()[2].isnan()
    infinite = crps_distribution("student_t", torch.tensor([[1.0, 0.0, 1.0]]), torch.tensor([0.0]))
    assert infinite.isinf().all()  # its mean is
    with pytest.raises(ValueError, match=r"parameters: expected .*of 'normal'"):
        crps_distribution("normal", parameters[..., :1], target)
    with pytest.raises(ValueError, match=r"distribution: expected one of 'normal', .*got 'gamma'"):
        ContinuousRankedProbabilityScore(distribution="gamma")
    with pytest.raises(ValueError, match="distribution: given beside quantiles"):
        ContinuousRankedProbabilityScore(LEVELS, distribution="normal")


def test_crps_of_samples_is_that_of_all_pairs():
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(9, 4, 3, generator=generator, dtype=torch.float64)
    target = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    pairs = (samples[:, None] - samples[None]).abs().mean((0, 1))
    torch.testing.assert_close(crps_samples(samples, target), (samples - target).abs().mean(0) - pairs / 2)


def test_crps_of_many_quantiles_or_samples_nears_the_closed_form():
    levels = (np.arange(1000) + 0.5) / 1000
    quantiles = torch.from_numpy(stats.norm.ppf(levels, 2.0, 3.0))
    target = torch.tensor(4.0, dtype=torch.float64)
    exact = crps_normal(torch.tensor(2.0), torch.tensor(3.0), target)
    torch.testing.assert_close(crps_quantiles(quantiles, target, levels), exact, rtol=1e-3, atol=0)
    torch.testing.assert_close(crps_samples(quantiles, target), exact, rtol=1e-3, atol=0)


def test_interval_score_by_hand():
    lower, upper = torch.tensor([1.0, 1.0, 1.0]), torch.tensor([3.0, 3.0, 3.0])
    score = interval_score(lower, upper, torch.tensor([2.0, 0.5, 4.0]), 80)
    assert score.tolist() == pytest.approx([2.0, 2 + 10 * 0.5, 2 + 10 * 1.0])


def test_interval_score_is_lowest_for_the_true_quantiles():
    values = torch.from_numpy(np.random.default_rng(1).normal(size=200_000))
    scores = {}
    for factor in (0.8, 1.0, 1.25):
        edge = torch.full_like(values, factor * stats.norm.ppf(0.95))
        scores[factor] = float(interval_score(-edge, edge, values, 90).mean())
    assert min(scores, key=scores.get) == 1.0


def test_coverage_counts_known_cells_with_bounds_alone():
    lower = torch.tensor([[[0.0], [float("nan")], [0.0]]])
    target = torch.tensor([[[0.5], [0.5], [2.0]]])
    metric = IntervalCoverage()
    metric.update(lower, lower + 1, target)
    assert metric.compute() == 0.5
    metric.update(lower, lower + 1, target, mask=torch.tensor([[[False], [True], [True]]]))
    assert metric.compute() == pytest.approx(1 / 3)


METRICS = {
    "quantile": (lambda **by: WeightedQuantileLoss(LEVELS, **by), lambda preds: (preds,)),
    "crps": (lambda **by: ContinuousRankedProbabilityScore(LEVELS, **by), lambda preds: (preds,)),
    "samples": (lambda **by: ContinuousRankedProbabilityScore(**by), lambda preds: (preds.movedim(-1, 0),)),
    "coverage": (IntervalCoverage, lambda preds: (preds[..., 0], preds[..., 2])),
    "score": (IntervalScore, lambda preds: (preds[..., 0], preds[..., 2])),
    "bias": (MeanError, lambda preds: (preds[..., 1],)),
}


@pytest.mark.parametrize("name", METRICS)
def test_by_step_and_by_series_are_those_of_the_steps_and_series_alone(name):
    make, forecasts = METRICS[name]
    preds, target, mask, series = case()
    target = target.masked_fill(~mask, torch.nan)  # NaN counts as little as what the mask names

    def alone(rows, steps):
        metric = make()
        metric.update(*forecasts(preds[rows][:, steps]), target[rows][:, steps], mask[rows][:, steps])
        return metric.compute()

    everything = slice(None)
    whole, by_step, by_series = make(), make(by="step", size=5), make(by="series", size=4)
    for rows in (slice(0, 2), slice(2, 6)):  # in two batches
        for metric in (whole, by_step, by_series):
            metric.update(*forecasts(preds[rows]), target[rows], mask[rows], series_index=series[rows])
    torch.testing.assert_close(whole.compute(), alone(everything, everything))
    torch.testing.assert_close(
        by_step.compute(), torch.stack([alone(everything, slice(h, h + 1)) for h in range(5)])
    )
    of_series = by_series.compute()
    torch.testing.assert_close(of_series[:3], torch.stack([alone(series == s, everything) for s in range(3)]))
    assert of_series[3].isnan()  # no window of it


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="size: expected the number of steps or series"):
        MeanError(by="step")
    with pytest.raises(ValueError, match="by: expected None, 'step' or 'series'"):
        MeanError(by="channel", size=2)
    with pytest.raises(ValueError, match="level: expected per cent"):
        IntervalScore(0.8 * 200)
    preds, target, _, _ = case()
    with pytest.raises(ValueError, match=r"series_index: needed"):
        MeanError(by="series", size=3).update(preds[..., 0], target)
    with pytest.raises(ValueError, match="expected 4 steps ahead"):
        MeanError(by="step", size=4).update(preds[..., 0], target)


def test_rmsse_by_hand():
    metric = RootMeanSquaredScaledError()
    metric.update(torch.tensor([[[1.0], [3.0]]]), torch.tensor([[[2.0], [1.0]]]), torch.tensor([[4.0]]))
    metric.update(torch.zeros(1, 2, 1), torch.ones(1, 2, 1), torch.tensor([[0.0]]))  # no scale: left out
    assert metric.compute() == pytest.approx(((1 / 4 + 4 / 4) / 2) ** 0.5)
