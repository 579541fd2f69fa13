"""The saved model of ``seqlight backtest --checkpoint``, and the data that it asks for."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from seqlight.cli.backtest.arguments import BacktestArguments
from seqlight.cli.errors import CommandError
from seqlight.models import WindowForecaster, load

COLUMNS = {"time": "time_col", "targets": "target_cols", "id": "id_col"}
COVARIATES = {
    "past_covariates": "past_covariate_cols",
    "future_covariates": "future_covariate_cols",
    "static": "static_cols",
}


@dataclass(frozen=True)
class Saved:
    """A saved forecaster, the settings of the data it was trained with, and their schema."""

    model: WindowForecaster
    settings: dict[str, Any]
    schema: dict[str, Any] | None


def read_checkpoint(path: Path) -> Saved:
    """Return the forecaster of a checkpoint.

    Raises:
        CommandError: the file is no checkpoint of a forecaster.
    """
    try:
        model = load(path)
    except (ValueError, ImportError) as error:
        raise CommandError(f"--checkpoint: {str(error).removeprefix('path: ')}") from error
    if not isinstance(model, WindowForecaster):
        raise CommandError(
            f"--checkpoint: {path} is a {type(model).__name__}, which forecasts nothing; give a forecaster, "
            "such as seqlight forecast --save writes"
        )
    checkpoint = torch.load(path, weights_only=True)
    state = checkpoint.get("CSVDataModule") or {}
    settings = dict(checkpoint.get("datamodule_hyper_parameters") or {})
    return Saved(model, settings, state.get("schema"))


def as_trained(given: BacktestArguments, saved: Saved) -> BacktestArguments:
    """Return the arguments with the sizes of the model, and its columns where none are named.

    Raises:
        CommandError: an option contradicts the model.
    """
    model, settings = saved.model, saved.settings
    for option, value, own in (
        ("--context", given.context, model.context_length),
        ("--horizon", given.horizon, model.prediction_length),
    ):
        if value not in (None, own):
            raise CommandError(f"{option} {value}: the model of --checkpoint has {own}; leave it out")
    taken: dict[str, Any] = {"context": model.context_length, "horizon": model.prediction_length}
    if given.season is None:
        taken["season"] = settings.get("season_length")
    asked: Any = given  # whose columns may be None
    if asked.time is None and asked.targets is None and asked.id is None:
        taken |= {name: _columns(settings.get(key)) for name, key in COLUMNS.items() if settings.get(key)}
    if not any(getattr(given, name) for name in COVARIATES):
        taken |= {name: _columns(settings.get(key)) for name, key in COVARIATES.items()}
    return replace(given, **taken)


def _columns(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])
