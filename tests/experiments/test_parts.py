"""What each part of the data decides: validation chooses, calibration makes intervals, the test nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from seqlight.data import CSVDataModule
from seqlight.experiments import Portfolio, Selection, baselines, portfolio, select, train_forecaster
from seqlight.experiments.intervals import Calibrated, calibrate, wanted_quantiles

Module = Callable[..., CSVDataModule]
LEVELS = [50, 80]
HOURS = {"east": 200, "west": 170}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@dataclass
class Whole:
    """All that a forecast decides, from the training to the bounds."""

    data: CSVDataModule
    selection: Selection
    portfolio: Portfolio
    calibrated: Calibrated


def whole(frame: pl.DataFrame, module: Module) -> Whole:
    """Train, choose, weigh and calibrate, as ``seqlight forecast`` does."""
    data = module(frame, calibration_size=0.2, test_size=0.2, future_covariate_cols=[])
    network = train_forecaster("lstm", data, options={"hidden_size": 4}, epochs=2, accelerator="cpu")
    candidates = [network, *baselines(data).values()]
    selection = select(candidates, data, quantile_levels=wanted_quantiles(LEVELS))
    weighed = portfolio(data, max_time=0, names=[])
    return Whole(data, selection, weighed, calibrate(selection, data, LEVELS, method="split"))


@pytest.fixture(scope="module")
def before(frame: pl.DataFrame, module: Module) -> Whole:
    return whole(frame, module)


def changed(frame: pl.DataFrame, made: Whole, part: str) -> pl.DataFrame:
    """Return the file with other values in one part of each series."""
    begin, end = (
        dict(zip(made.data.series_ids, stop.tolist(), strict=True)) for stop in made.data.split.targets(part)
    )
    position = pl.int_range(pl.len()).over("shop")
    inside = (position >= pl.col("shop").replace_strict(begin)) & (
        position < pl.col("shop").replace_strict(end)
    )
    return frame.with_columns(y=pl.when(inside).then(300 - 3 * pl.col("y")).otherwise("y"))


def chosen(made: Whole) -> dict[str, Any]:
    """Return what training, stopping, choice and weights have settled."""
    network = made.selection.candidates["lstm"]
    assert network.fitted is not None and made.selection.validation is not None
    return {
        "weights of the network": {k: v.tolist() for k, v in network.predictor.state_dict().items()},  # type: ignore[attr-defined]
        "validation losses": network.fitted.val_losses,
        "best epoch": network.fitted.best_epoch,
        "errors": made.selection.validation.rows,
        "name": made.selection.chosen,
        "weights of the mean": made.portfolio.weights,
        "errors of the mean": made.portfolio.errors,
        "scales of MASE": made.data.scale.tolist(),
    }


def margins(made: Whole) -> list[torch.Tensor]:
    """Return what intervals add to the forecast at each level."""
    point = made.selection.forecast.point
    return [torch.stack([one.lower - point, one.upper - point]) for one in made.calibrated.forecast.values()]


def test_the_test_part_decides_nothing(before: Whole, frame: pl.DataFrame, module: Module) -> None:
    after = whole(changed(frame, before, "test"), module)
    assert chosen(after) == chosen(before)
    for one, two in zip(margins(after), margins(before), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-4)  # of another forecast, so rounded elsewhere
    assert after.selection.test.rows[0]["mae"] > 2 * before.selection.test.rows[0]["mae"]


def test_the_calibration_part_decides_intervals_alone(
    before: Whole, frame: pl.DataFrame, module: Module
) -> None:
    after = whole(changed(frame, before, "calibration"), module)
    assert chosen(after) == chosen(before)
    torch.testing.assert_close(
        after.selection.forecast.point, before.selection.forecast.point, rtol=0, atol=0
    )
    widths = (
        [float((m[1] - m[0]).mean()) for m in margins(after)],
        [float((m[1] - m[0]).mean()) for m in margins(before)],
    )
    assert all(one > 1.5 * two for one, two in zip(*widths, strict=True))


def test_the_validation_part_chooses(before: Whole, frame: pl.DataFrame, module: Module) -> None:
    """The weights of least squares, which are of the training part, stay."""
    after = whole(changed(frame, before, "val"), module)
    kept = [
        made.selection.candidates["linear (least squares)"].predictor.state_dict() for made in (before, after)
    ]  # type: ignore[attr-defined]
    for name, value in kept[0].items():
        torch.testing.assert_close(value, kept[1][name], rtol=0, atol=0)
    own, other = chosen(after), chosen(before)
    assert own["errors"] != other["errors"] and own["weights of the mean"] != other["weights of the mean"]
    assert np.allclose(own["scales of MASE"], other["scales of MASE"])
