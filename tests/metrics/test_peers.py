"""The same numbers as gluonts, utilsforecast and scoringrules give.

The figures that they gave are written down here, so that they are held to wherever the tests run; where a
package is installed, it is asked again.
"""

import numpy as np
import polars as pl
import pytest
import torch

from seqlight import metrics
from seqlight.metrics import functional as F

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
SEASON = 4

# scoringrules 0.10.0 (crps, interval_score), gluonts 0.17.0 (wql, nd, smape, mase, coverage) and
# utilsforecast 0.2.17 (rmsse, bias), of the case below.
EXPECTED = {
    "crps_samples": 8.550274057952215,
    "crps_quantiles": 7.81840719150397,
    "crps_normal": 7.871059481431818,
    "interval_score": 53.06032256808261,
    "wql": 0.0393067919952042,
    "nd": 0.05496028270711014,
    "smape": 0.03377947756385241,
    "mase": 0.19875761001720707,
    "coverage": 0.6666666666666666,
    "rmsse": 0.1788123946623464,
    "bias": 1.2666884507280864,
}


@pytest.fixture(scope="module")
def case():
    """Three series of 40 known steps and 6 to forecast: everything from sines, the same everywhere."""
    time = np.arange(46)
    level = np.array([5.0, 50.0, 500.0])
    values = level[:, None] * (1 + 0.3 * np.sin(1.7 * time) + 0.2 * np.sin(0.37 * time + level[:, None]))
    history, target = values[:, :40], values[:, 40:]
    point = target * (1 + 0.1 * np.sin(3.1 * np.arange(18).reshape(3, 6)))
    width = 0.04 * level[:, None] * (1 + 0.5 * np.cos(np.arange(6)))
    quantiles = point[..., None] + width[..., None] * np.array([-1.3, -0.7, 0.0, 0.6, 1.2])
    samples = point + width * np.sin(5.3 * np.arange(7))[:, None, None]
    return {
        "history": history,
        "target": target,
        "point": point,
        "width": width,
        "quantiles": quantiles,
        "samples": samples,
    }


@pytest.fixture(scope="module")
def ours(case):
    """What seqlight says of the case, by name."""
    tensors = {name: torch.from_numpy(values) for name, values in case.items()}
    target, point = tensors["target"][..., None], tensors["point"][..., None]
    quantiles, samples = tensors["quantiles"][:, :, None], tensors["samples"][..., None]
    history = tensors["history"][..., None]
    scale = F.seasonal_naive_scale(history, SEASON)
    squared = F.seasonal_naive_scale(history, SEASON, squared=True)
    by_series = {"by": "series", "size": 3}
    index = torch.arange(3)
    made = {
        "crps_samples": metrics.ContinuousRankedProbabilityScore(),
        "crps_quantiles": metrics.ContinuousRankedProbabilityScore(LEVELS),
        "interval_score": metrics.IntervalScore(80),
        "wql": metrics.WeightedQuantileLoss(LEVELS),
        "nd": metrics.WeightedQuantileLoss(LEVELS),
        "smape": metrics.MaskedSymmetricMeanAbsolutePercentageError(),
        "mase": metrics.MeanAbsoluteScaledError(),
        "coverage": metrics.IntervalCoverage(),
        "rmsse": metrics.RootMeanSquaredScaledError(**by_series),
        "bias": metrics.MeanError(),
    }
    arguments = {
        "crps_samples": (samples, target),
        "crps_quantiles": (quantiles, target),
        "interval_score": (quantiles[..., 0], quantiles[..., -1], target),
        "wql": (quantiles, target),
        "nd": (point, target),
        "smape": (point, target),
        "mase": (point, target, scale),
        "coverage": (quantiles[..., 0], quantiles[..., -1], target),
        "rmsse": (point, target, squared),
        "bias": (point, target),
    }
    numbers = {}
    for name, metric in made.items():
        metric.set_dtype(torch.float64)
        metric.update(*arguments[name], **({"series_index": index} if metric.by else {}))
        numbers[name] = float(metric.compute().mean())
    numbers["crps_normal"] = float(F.crps_normal(point, tensors["width"][..., None], target).mean())
    return numbers


@pytest.mark.parametrize("name", EXPECTED)
def test_the_figures_that_peers_gave(ours, name):
    assert ours[name] == pytest.approx(EXPECTED[name], rel=1e-6)


def need(package):
    return pytest.importorskip(package, reason=f"NOT COMPARED ANEW: {package} is not installed")


def test_scoringrules(case, ours):
    rules = need("scoringrules")
    target, quantiles = case["target"], case["quantiles"]
    theirs = {
        "crps_samples": rules.crps_ensemble(target, np.moveaxis(case["samples"], 0, -1), estimator="nrg"),
        "crps_quantiles": rules.crps_quantile(target, quantiles, np.array(LEVELS)),
        "crps_normal": rules.crps_normal(target, case["point"], case["width"]),
        "interval_score": rules.interval_score(target, quantiles[..., 0], quantiles[..., -1], 0.2),
    }
    for name, values in theirs.items():
        assert ours[name] == pytest.approx(float(np.mean(values)), rel=1e-9), name
        assert EXPECTED[name] == pytest.approx(float(np.mean(values)), rel=1e-6), name


def test_gluonts(case, ours):
    need("gluonts")
    from gluonts.ev import metrics as ev

    seasonal = np.abs(case["history"][:, SEASON:] - case["history"][:, :-SEASON]).mean(1)
    data = {
        "label": case["target"],
        "0.5": case["point"],
        "mean": case["point"],
        "seasonal_error": seasonal[:, None],
    }
    data |= {str(level): case["quantiles"][..., place] for place, level in enumerate(LEVELS)}

    def theirs(metric, values):
        evaluator = metric(axis=None)
        evaluator.update(values)
        return float(evaluator.get())

    lower, upper = case["quantiles"][..., 0], case["quantiles"][..., -1]
    found = {
        "wql": theirs(ev.MeanWeightedSumQuantileLoss(quantile_levels=LEVELS), data),
        "nd": theirs(ev.ND(), data),
        "smape": theirs(ev.SMAPE(), data),
        "mase": theirs(ev.MASE(), data),
        "coverage": theirs(ev.Coverage(q=0.9), data) - theirs(ev.Coverage(q=0.1), data),
    }
    assert ((case["target"] >= lower) & (case["target"] <= upper)).mean() == pytest.approx(found["coverage"])
    for name, value in found.items():
        assert ours[name] == pytest.approx(value, rel=1e-9), name
        assert EXPECTED[name] == pytest.approx(value, rel=1e-6), name


def test_utilsforecast(case, ours):
    losses = need("utilsforecast.losses")
    ids = np.repeat(["a", "b", "c"], 6)
    columns = {"unique_id": ids, "ds": np.tile(np.arange(40, 46), 3), "y": case["target"].ravel()}
    columns |= {"m": case["point"].ravel(), "m-lo-80": case["quantiles"][..., 0].ravel()}
    columns |= {"m-hi-80": case["quantiles"][..., -1].ravel()}
    frame = pl.DataFrame(columns)
    history = {"unique_id": np.repeat(["a", "b", "c"], 40), "ds": np.tile(np.arange(40), 3)}
    train = pl.DataFrame({**history, "y": case["history"].ravel()})
    found = {
        "mase": losses.mase(frame, ["m"], SEASON, train)["m"].mean(),
        "rmsse": losses.rmsse(frame, ["m"], SEASON, train)["m"].mean(),
        "coverage": losses.coverage(frame, ["m"], 80)["m"].mean(),
        "bias": losses.bias(frame, ["m"])["m"].mean(),
        # theirs is half of the M4's
        "smape": 2 * losses.smape(frame, ["m"])["m"].mean(),
    }
    for name, value in found.items():
        assert ours[name] == pytest.approx(value, rel=1e-9), name
        assert EXPECTED[name] == pytest.approx(value, rel=1e-6), name
