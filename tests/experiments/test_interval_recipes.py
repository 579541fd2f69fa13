"""Intervals of backtests: what they are made from, and that nothing later changes them."""

import numpy as np
import polars as pl
import pytest
import torch

from seqlight.data import CSVDataModule, ForecastDataModule
from seqlight.experiments import Backtest, Candidate, backtest, baselines
from seqlight.experiments.interval_recipes import with_intervals
from seqlight.experiments.intervals import judge_quantiles
from seqlight.experiments.refitting import all_training
from seqlight.intervals import AdaptiveConformal, ForecastWindows, SplitConformal
from seqlight.models import NaiveForecaster

LEVELS = [50, 80]


def naive() -> NaiveForecaster:
    return NaiveForecaster(context_length=24, prediction_length=6)


def walk(rows: int = 240, *, seed: int = 0, growth: float = 3.0) -> pl.DataFrame:
    """A random walk whose steps grow."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 1, rows) * np.linspace(1, growth, rows)
    times = np.datetime64("2024-01-01", "us") + np.arange(rows) * np.timedelta64(1, "h")
    return pl.DataFrame({"ds": times, "y": 100 + np.cumsum(steps)})


def data_of(frame: pl.DataFrame) -> CSVDataModule:
    data = CSVDataModule(
        frame,
        time_col="ds",
        target_cols="y",
        context_length=24,
        prediction_length=6,
        calibration_size=0.2,
    )
    data.setup("fit")
    return data


def run(frame: pl.DataFrame, method: str | None = "adaptive", **options: object) -> Backtest:
    models = {"m": with_intervals(naive(), LEVELS, method=method)}
    options = {"windows": 8, "step_size": 4, "level": LEVELS} | options
    return backtest(models, data_of(frame), **options)  # type: ignore[arg-type]


def bounds(found: Backtest) -> torch.Tensor:
    quantiles = found.forecasts.forecasts["m"].quantiles
    assert quantiles is not None
    return quantiles


def test_bounds_are_those_of_the_errors_that_were_known() -> None:
    """Made again by hand: margins of the calibration part, which ends at the first cutoff."""
    frame = walk()
    found = run(frame, "split")
    data = data_of(frame)
    cutoff = found.windows[0].cutoff
    fold = data.until(cutoff)
    fold.setup("fit")
    windows = ForecastWindows.collect(naive(), fold.calibration_dataloader())
    assert int(windows.start.max()) + 6 == int(cutoff[0])
    method = SplitConformal(LEVELS).fit(windows)
    point = found.forecasts.forecasts["m"].point
    made = method.intervals(
        found.forecasts.forecasts["m"], series_index=found.forecasts.series_index, start=found.forecasts.start
    )
    expected = torch.stack([made[80.0].lower, made[50.0].lower, made[50.0].upper, made[80.0].upper], -1)
    torch.testing.assert_close(bounds(found), expected)
    assert (bounds(found)[..., 0] < point).all()


@pytest.mark.parametrize("refit", [False, 3])
def test_what_came_after_a_cutoff_changes_no_bound_of_it(refit: bool | int) -> None:
    frame = walk()
    found = run(frame, refit=refit)
    changed_from = int(found.windows[4].cutoff[0])
    later = pl.int_range(pl.len()) >= changed_from
    other = run(
        frame.with_columns(pl.when(later).then(pl.col("y") + 1e4).otherwise("y").alias("y")), refit=refit
    )
    same = (bounds(found) == bounds(other)).flatten(1).all(1)
    assert same[:5].all()
    assert not same[6:].any()  # the point is another, and so are the margins


def test_adaptive_margins_follow_the_windows() -> None:
    frame = walk(seed=3, growth=8.0)
    models = {name: with_intervals(naive(), [80], method=name) for name in ("split", "adaptive")}
    found = backtest(models, data_of(frame), windows=12, step_size=3, level=[80])
    widths = {}
    for name in models:
        quantiles = found.forecasts.forecasts[name].quantiles
        assert quantiles is not None
        widths[name] = (quantiles[..., 1] - quantiles[..., 0])[:, 0, 0]
    assert len(widths["split"].unique()) == 1
    assert len(widths["adaptive"].unique()) > 3
    rows = {row.method: row for row in judge_quantiles(found.forecasts, [80])}
    assert rows["split"].cells == rows["adaptive"].cells == 12 * 6
    assert rows["adaptive"].width == pytest.approx(
        float((found.forecasts.forecasts["adaptive"].quantiles.diff(dim=-1)).mean()), rel=1e-5
    )


def test_the_table_has_the_bounds_of_every_model() -> None:
    found = run(walk())
    assert found.frame.columns == [
        "series_id",
        "ds",
        "cutoff",
        "y",
        "m",
        "m-lo-50",
        "m-hi-50",
        "m-lo-80",
        "m-hi-80",
    ]
    assert (found.frame["m-lo-80"] <= found.frame["m-lo-50"]).all()


def test_the_method_is_chosen_before_the_cutoff() -> None:
    frame = walk()
    made = with_intervals(naive(), LEVELS)(data_of(frame).until(np.array([200])))
    assert isinstance(made.predictor.method, SplitConformal)
    named = with_intervals(naive(), LEVELS, method="adaptive")(data_of(frame).until(np.array([200])))
    assert isinstance(named.predictor.method, AdaptiveConformal)


def test_bounds_of_a_refitted_model_keep_their_size_relative_to_the_scale() -> None:
    """The model is fitted on all that is known; its margins are those from before, in the series' units."""
    fold = data_of(walk(growth=9.0)).until(np.array([200]))
    fold.setup("fit")

    def linear(data: ForecastDataModule) -> Candidate:
        return baselines(data)["linear"]

    plain = with_intervals(linear, LEVELS, method="split")(fold).predictor
    again = with_intervals(linear, LEVELS, method="split", refit=True)(fold).predictor
    everything = all_training(fold)
    ratio = float(everything.scale[0, 0] / fold.scale[0, 0])
    assert ratio > 1.1
    at = (torch.tensor([0]), torch.tensor([200]), None)
    torch.testing.assert_close(again.method.margins(80.0, *at), ratio * plain.method.margins(80.0, *at))
    torch.testing.assert_close(
        again.predictor.predict(next(iter(fold.val_dataloader()))).point,
        baselines(everything)["linear"].predictor.predict(next(iter(fold.val_dataloader()))).point,
    )


def test_what_cannot_be_had_is_refused() -> None:
    fold = data_of(walk()).until(np.array([200]))
    with pytest.raises(
        ValueError, match="method: expected one of 'split', 'split, two-sided', 'adaptive', got 'CQR'"
    ):
        with_intervals(naive(), LEVELS, method="CQR")(fold)
    without = CSVDataModule(walk(), time_col="ds", target_cols="y", context_length=24, prediction_length=6)
    without.setup("fit")
    with pytest.raises(ValueError, match="data: expected a calibration part, got none"):
        with_intervals(naive(), LEVELS)(without)
