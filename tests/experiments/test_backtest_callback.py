"""A Trainer that backtests what it trains."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from lightning import Trainer

from seqlight.data import CSVDataModule
from seqlight.experiments import BacktestCallback, backtest, build_forecaster
from seqlight.models import NaiveForecaster

Module = Callable[..., CSVDataModule]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def trainer(callback: BacktestCallback, **options: object) -> Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return Trainer(
        accelerator="cpu",
        enable_checkpointing=False,
        callbacks=[callback],
        num_sanity_val_steps=1,
        **quiet | options,
    )


def test_a_fit_is_watched_and_a_test_is_written(frame: pl.DataFrame, module: Module, tmp_path: Path) -> None:
    data = module(frame)
    watched = BacktestCallback(windows=2, every_n_epochs=2, path=tmp_path / "table.csv")
    running = trainer(watched, max_epochs=2)
    model = build_forecaster("lstm", data, hidden_size=4)
    running.fit(model, datamodule=data)
    ends = data.split.val_stop
    starts = {(0, int(ends[0]) - 12), (0, int(ends[0]) - 6), (1, int(ends[1]) - 12), (1, int(ends[1]) - 6)}
    found = watched.result.forecasts
    pairs = zip(found.series_index.tolist(), found.start.tolist(), strict=True)
    assert set(pairs) == starts  # of the validation part
    assert float(running.callback_metrics["backtest_mae"]) == pytest.approx(
        watched.result.rows[0]["mae"], rel=1e-5
    )
    running.test(model, datamodule=data, verbose=False)
    assert watched.result.forecasts.start.max() == 200 - 6
    alone = backtest({"model": model}, data, windows=2)
    np.testing.assert_allclose(alone.frame["model"], watched.result.frame["model"], rtol=1e-4)
    assert pl.read_csv(tmp_path / "table.csv").columns == ["shop", "ds", "cutoff", "y", "model"]


def test_windows_of_training_are_refused(data: CSVDataModule) -> None:
    model = NaiveForecaster(context_length=24, prediction_length=6)
    nine = BacktestCallback(windows=9)
    with pytest.raises(ValueError, match="the first of 9 windows begins at step 106 of series 'east', which"):
        trainer(nine).validate(model, datamodule=data, verbose=False)
    with pytest.raises(TypeError, match="needs a DataModule of series"):
        trainer(nine).validate(model, data.val_dataloader(), verbose=False)
