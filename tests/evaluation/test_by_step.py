"""Errors at each step ahead, against the definition."""

import pytest
import torch

from seqlight.evaluation import compare, errors_by_step
from seqlight.models import NaiveForecaster, SeasonalNaiveForecaster

SIZES = {"context_length": 6, "prediction_length": 3, "target_size": 2}


def batches():
    torch.manual_seed(0)
    made = []
    for size in (4, 3):
        past, future = torch.randn(size, 6, 2), torch.randn(size, 3, 2)
        past[0, :, 1] = torch.nan  # nothing to forecast from
        future[1, 2, 0] = torch.nan
        made.append({"past_target": past, "future_target": future})
    return made


def test_errors_are_those_of_each_step():
    data = batches()
    naive = NaiveForecaster(**SIZES)
    seasonal = SeasonalNaiveForecaster(season_length=2, **SIZES)
    results = errors_by_step({"naive": naive, "seasonal": seasonal}, data)
    assert [(result.model, result.windows) for result in results] == [("naive", 7), ("seasonal", 7)]
    past, future = (torch.cat([batch[name] for batch in data]) for name in ("past_target", "future_target"))
    known = ~future.isnan() & ~past.isnan().all(1, keepdim=True)
    for forecaster, result in zip((naive, seasonal), results, strict=True):
        errors = (forecaster(past) - future).double()
        for step in range(3):
            cells = errors[:, step][known[:, step]]
            assert result.mae[step].item() == pytest.approx(cells.abs().mean().item())
            assert result.mse[step].item() == pytest.approx(cells.square().mean().item())
        assert result.count.tolist() == [12, 12, 10]
        assert result.mae_over_all == pytest.approx(errors[known].abs().mean().item())
        assert result.mse_over_all == pytest.approx(errors[known].square().mean().item())
        (row,) = compare({"one": forecaster}, data)
        assert result.mae_over_all == pytest.approx(row["mae"])


def test_modes_come_back_and_gradients_stay_on():
    forecaster = NaiveForecaster(**SIZES).train()

    def failing():
        yield from batches()
        raise OSError("the data broke off")

    with pytest.raises(OSError, match="broke off"):
        errors_by_step({"naive": forecaster}, failing())
    assert forecaster.training and torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


@pytest.mark.parametrize(
    ("forecasters", "data", "part", "message"),
    [
        ({}, [], "test", "predictors: expected at least one"),
        ({"naive": NaiveForecaster(**SIZES)}, [], "test", "data: expected at least one window"),
        ({"naive": NaiveForecaster(**SIZES)}, [], "train", "part: expected .*, got 'train'"),
    ],
)
def test_nothing_to_evaluate(forecasters, data, part, message):
    with pytest.raises(ValueError, match=message):
        errors_by_step(forecasters, data, part=part)
