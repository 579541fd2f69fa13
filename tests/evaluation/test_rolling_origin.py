import math

import pytest
import torch
from lightning import LightningDataModule

from seqlight.evaluation import compare
from seqlight.metrics.functional import mean_absolute_scaled_error
from seqlight.models import LinearForecaster, NaiveForecaster, SeasonalNaiveForecaster

LENGTH, HORIZON = 8, 3


def batch(count, seed, *, missing=0.0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, LENGTH + HORIZON, 2, generator=generator)
    values = values.masked_fill(torch.rand(values.shape, generator=generator) < missing, math.nan)
    return {
        "past_target": values[:, :LENGTH],
        "future_target": values[:, LENGTH:],
        "scale": torch.rand(count, 2, generator=generator) + 0.5,
        "series_index": torch.zeros(count, dtype=torch.int64),
        "start": torch.arange(count),
    }


@pytest.fixture
def forecasters():
    sizes = {"context_length": LENGTH, "prediction_length": HORIZON, "target_size": 2}
    return {
        "naive": NaiveForecaster(**sizes),
        "seasonal naive": SeasonalNaiveForecaster(season_length=4, **sizes),
        "linear": LinearForecaster(**sizes),
    }


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_rows_are_the_errors_over_all_windows(forecasters, missing):
    batches = [batch(5, 1, missing=missing), batch(2, 2, missing=missing)]
    rows = compare(forecasters, batches)
    assert [row["model"] for row in rows] == list(forecasters)
    every = {name: torch.cat([part[name] for part in batches]) for name in batches[0]}
    for row in rows:
        preds = forecasters[row["model"]](every["past_target"]).detach()
        known = ~every["future_target"].isnan() & (~every["past_target"].isnan()).any(1, keepdim=True)
        errors = (preds - every["future_target"])[known]
        sizes = (preds.abs() + every["future_target"].abs())[known]
        assert row["windows"] == 7
        assert row["mae"] == pytest.approx(errors.abs().mean().item(), rel=1e-5)
        assert row["rmse"] == pytest.approx(errors.square().mean().sqrt().item(), rel=1e-5)
        assert row["smape"] == pytest.approx((2 * errors.abs() / sizes).mean().item(), rel=1e-4)
        mase = mean_absolute_scaled_error(preds, every["future_target"], every["scale"], known)
        assert row["mase"] == pytest.approx(mase.item(), rel=1e-5)


def test_windows_without_an_observed_past_count_for_no_one(forecasters):
    whole = batch(4, 3)
    empty = {name: value[:1].clone() for name, value in whole.items()}
    empty["past_target"][:] = math.nan
    with_empty = compare(forecasters, [whole, empty])
    assert [{**row, "windows": 4} for row in with_empty] == compare(forecasters, [whole])


def test_sums_of_large_values_keep_their_digits(forecasters):
    """In float32 the squares of 2000 windows at 1e7 would lose the small differences."""
    part = batch(2000, 4)
    shifted = part | {name: part[name].double() + 1e7 for name in ("past_target", "future_target")}
    naive = {"naive": forecasters["naive"]}
    assert compare(naive, [shifted])[0]["rmse"] == pytest.approx(compare(naive, [part])[0]["rmse"], rel=1e-5)


def test_without_scale_mase_is_nan(forecasters):
    part = {name: value for name, value in batch(3, 1).items() if name != "scale"}
    rows = compare(forecasters, [part])
    assert all(math.isnan(row["mase"]) and row["mae"] > 0 for row in rows)


def test_parts_of_a_datamodule(forecasters):
    class Data(LightningDataModule):
        def setup(self, stage):
            self.stage = stage

        def val_dataloader(self):
            assert self.stage == "validate"
            return [batch(2, 1)]

        def test_dataloader(self):
            assert self.stage == "test"
            return [batch(5, 2)]

    assert compare(forecasters, Data())[0]["windows"] == 5
    assert compare(forecasters, Data(), part="val")[0]["windows"] == 2


def test_training_mode_comes_back(forecasters):
    forecasters["linear"].train()
    forecasters["naive"].eval()
    compare(forecasters, [batch(2, 1)])
    assert forecasters["linear"].training
    assert not forecasters["naive"].training


def test_bad_arguments_are_named(forecasters):
    with pytest.raises(ValueError, match="predictors: expected at least one"):
        compare({}, [batch(1, 1)])
    with pytest.raises(ValueError, match="part: expected 'test', 'val' or 'calibration', got 'train'"):
        compare(forecasters, [batch(1, 1)], part="train")
    with pytest.raises(ValueError, match="data: expected at least one window"):
        compare(forecasters, [])
