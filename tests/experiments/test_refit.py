"""Models made again of all data: how long they train, and what they refuse to be judged on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from lightning import Trainer

import seqlight
from seqlight.data import CSVDataModule
from seqlight.evaluation import compare
from seqlight.experiments import Candidate, backtest, baselines, forecast_future, refit, train_forecaster
from seqlight.experiments.checkpoints import save_checkpoint
from seqlight.experiments.interval_recipes import with_intervals
from seqlight.experiments.refitting import all_training, share_of_time
from seqlight.intervals import ConformalPredictor, ForecastWindows, SplitConformal
from seqlight.models import EnsembleForecaster, NaiveForecaster, TrainedOnTargetsError

Module = Callable[..., CSVDataModule]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def once(frame: pl.DataFrame, module: Module) -> tuple[CSVDataModule, Candidate, Candidate]:
    """A network before and after its refit."""
    data = module(frame)
    before = train_forecaster("lstm", data, options={"hidden_size": 4}, epochs=2, accelerator="cpu")
    return data, before, refit(before, data)


def test_steps_go_with_the_windows(once: tuple[CSVDataModule, Candidate, Candidate]) -> None:
    data, before, after = once
    everything = all_training(data)
    ratio = len(everything.dataset("train")) / len(data.dataset("train"))
    assert ratio > 1.3
    assert after.fitted.steps == round(before.fitted.best_step * ratio)
    assert after.fitted.ended == "whole" and after.name == before.name
    assert share_of_time(data) == pytest.approx(1 / (1 + ratio))
    # The last windows, of the test part before, are among those of training.
    starts = [int(batch["start"].max()) for batch in everything.train_dataloader()]
    assert max(starts) == 200 - data.prediction_length


def test_it_forecasts_as_the_data_say(once: tuple[CSVDataModule, Candidate, Candidate]) -> None:
    data, before, after = once
    forecast, _, start = forecast_future(after.predictor, all_training(data))
    assert start.tolist() == [200, 170] and forecast.point.isfinite().all()
    assert not torch.equal(forecast.point, forecast_future(before.predictor, data)[0].point)


def test_it_refuses_to_be_judged_on_what_it_has_seen(
    once: tuple[CSVDataModule, Candidate, Candidate], tmp_path: Path
) -> None:
    data, before, after = once
    compare({"before": before.predictor}, data)
    said = "was trained on series 'east' up to 2024-01-09 07:00:00 and cannot be judged from "
    with pytest.raises(TrainedOnTargetsError, match=f"after {said}2024-01-07 16:00:00 on"):
        compare({"after": after.predictor}, data)
    with pytest.raises(TrainedOnTargetsError, match=said):
        backtest({"after": after.predictor}, data, windows=2)
    save_checkpoint(after.predictor, all_training(data), tmp_path / "after.ckpt")
    loaded = seqlight.load(tmp_path / "after.ckpt")
    assert loaded.trained_until == after.predictor.trained_until
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(accelerator="cpu", enable_checkpointing=False, **quiet)
    data.use_schema(all_training(data).schema())
    for judge in (trainer.test, trainer.validate):
        with pytest.raises(TrainedOnTargetsError, match=said):
            judge(loaded, datamodule=data, verbose=False)
    assert len(trainer.predict(loaded, datamodule=data)) == 1


def test_no_wrapping_hides_what_it_has_seen(
    once: tuple[CSVDataModule, Candidate, Candidate], frame: pl.DataFrame, module: Module
) -> None:
    _, before, after = once
    data = module(frame, calibration_size=24)
    windows = ForecastWindows.collect(before.predictor, data.calibration_dataloader())
    wrapped = ConformalPredictor(after.predictor, SplitConformal(80).fit(windows))
    assert wrapped.trained_until == after.predictor.trained_until
    for judge in (
        lambda: compare({"it": wrapped}, data),
        lambda: backtest({"it": wrapped}, data, windows=2),
        lambda: backtest({"it": lambda fold: after.predictor}, data, windows=2),
        lambda: backtest({"it": with_intervals(after.predictor, [80])}, data, windows=2, level=80),
    ):
        with pytest.raises(TrainedOnTargetsError, match="was trained on series 'east' up to"):
            judge()


def test_a_model_made_again_at_each_cutoff_is_judged_after_it(frame: pl.DataFrame, module: Module) -> None:
    data = module(frame, future_covariate_cols=[])
    found = backtest(
        {"linear": lambda fold: refit(baselines(fold)["linear"], fold)}, data, windows=3, refit=True
    )
    assert len(found.windows) == 3 and np.isfinite(found.rows[0]["mae"])


def test_what_was_fitted_in_another_way_is_not_left_as_it_is(
    once: tuple[CSVDataModule, Candidate, Candidate],
) -> None:
    data, before, _ = once
    network = replace(before, again=None)
    naive = NaiveForecaster(context_length=24, prediction_length=6)
    mean = Candidate("mean", EnsembleForecaster.of([naive, naive]))
    for candidate in (network, mean):
        with pytest.raises(ValueError, match=f"'{candidate.name}' was fitted and has no way to be"):
            refit(candidate, data)


def test_later_data_can_be_judged(
    once: tuple[CSVDataModule, Candidate, Candidate], frame: pl.DataFrame, module: Module
) -> None:
    _, _, after = once
    east = frame.filter(pl.col("shop") == "east")
    longer = pl.concat([frame, east.with_columns(shop=pl.lit("new"))])
    data = module(longer)
    with pytest.raises(TrainedOnTargetsError):
        compare({"after": after.predictor}, data)
    alone = module(longer.filter(pl.col("shop") == "new"))
    assert compare({"after": after.predictor}, alone)[0]["windows"] > 0


def test_least_squares_and_naive_forecasts(frame: pl.DataFrame, module: Module) -> None:
    data = module(frame, future_covariate_cols=[])
    simple = baselines(data)
    again = refit(simple["linear"], data)
    weights = [
        torch.cat([w.flatten() for w in one.predictor.parameters()]) for one in (simple["linear"], again)
    ]
    assert not torch.equal(*weights)
    assert again.predictor.trained_until.keys() == {"east", "west"}
    assert refit(simple["naive"], data) is simple["naive"]
    assert np.isfinite(forecast_future(again.predictor, data)[0].point.numpy()).all()
