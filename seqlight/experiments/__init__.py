"""Experiments: train, judge, choose and backtest predictors, as the commands do."""

from seqlight.experiments.backtest_callback import BacktestCallback
from seqlight.experiments.backtesting import Backtest, BacktestWindow, backtest
from seqlight.experiments.candidates import Candidate, trained
from seqlight.experiments.networks import build_forecaster, build_imputer, train_forecaster
from seqlight.experiments.portfolio import Portfolio, portfolio
from seqlight.experiments.refitting import refit
from seqlight.experiments.selection import Selection, forecast_future, select
from seqlight.experiments.simple_forecasts import baselines
from seqlight.experiments.statsforecast_predictor import StatsForecastPredictor
from seqlight.experiments.training import Fitted, TrainingError, fit

__all__ = [
    "Backtest",
    "BacktestCallback",
    "BacktestWindow",
    "Candidate",
    "Fitted",
    "Portfolio",
    "Selection",
    "StatsForecastPredictor",
    "TrainingError",
    "backtest",
    "baselines",
    "build_forecaster",
    "build_imputer",
    "fit",
    "forecast_future",
    "portfolio",
    "refit",
    "select",
    "train_forecaster",
    "trained",
]
