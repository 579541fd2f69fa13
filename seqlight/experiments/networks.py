"""The networks that the commands train, with the sizes that the data decide."""

from collections.abc import Mapping
from typing import Any

from seqlight.data import WindowDataModule
from seqlight.experiments.candidates import Candidate
from seqlight.experiments.network_training import train_network
from seqlight.experiments.seasons import learnable_cycles
from seqlight.experiments.sizes import forecaster_arguments
from seqlight.experiments.training import LEARNING_RATE
from seqlight.models import (
    ConvImputer,
    ESRNNForecaster,
    Forecaster,
    GRUForecaster,
    Imputer,
    LSTMForecaster,
    RNNForecaster,
    RNNImputer,
    SegmentRNNForecaster,
    TCNForecaster,
    WaveNetForecaster,
)

FORECASTERS: dict[str, type[Forecaster]] = {
    "lstm": LSTMForecaster,
    "gru": GRUForecaster,
    "rnn": RNNForecaster,
    "wavenet": WaveNetForecaster,
    "tcn": TCNForecaster,
    "segment_rnn": SegmentRNNForecaster,
    "es_rnn": ESRNNForecaster,
}
IMPUTERS: dict[str, type[Imputer]] = {"rnn": RNNImputer, "conv": ConvImputer}
IMPUTER_RATES = {"rnn": 1e-2, "conv": 3e-3}  # the peaks of one-cycle schedules


def build_forecaster(kind: str, data: WindowDataModule, **options: Any) -> Forecaster:
    """Return an untrained forecaster with the sizes of the data.

    Args:
        kind: ``"lstm"``, ``"gru"``, ``"rnn"``, ``"wavenet"``, ``"tcn"``, ``"segment_rnn"`` or ``"es_rnn"``.
        data: a DataModule; it may read its file for covariates and their categories.
        options: more arguments of the forecaster; by default its rate is that of a one-cycle schedule.

    """
    made: dict[str, Any] = {"lr": LEARNING_RATE, "lr_schedule": "one_cycle"}
    if kind == "es_rnn":
        season = data.season_length
        made |= {
            "series_ids": data.series_ids,
            "season_length": season if season in learnable_cycles(data) else 1,
        }
    return FORECASTERS[kind](**forecaster_arguments(data) | made | options)


def build_imputer(kind: str, data: Any, **options: Any) -> Imputer:
    """Return an untrained imputer with the sizes of an ``ImputationDataModule``; ``"rnn"`` or ``"conv"``."""
    sizes = {name: getattr(data, name) for name in ("target_size", "covariate_size", "window_length")}
    schedule = {"lr": IMPUTER_RATES[kind], "lr_schedule": "one_cycle"}
    return IMPUTERS[kind](**sizes | schedule | options)


def train_forecaster(
    kind: str,
    data: WindowDataModule,
    *,
    name: str | None = None,
    seed: int | None = 0,
    options: Mapping[str, Any] | None = None,
    **limits: Any,
) -> Candidate:
    """Train a forecaster and return it as a candidate that can be made again of more data.

    Made again, it is trained as :func:`~seqlight.experiments.network_training.training_again` says.

    Args:
        kind: see :func:`build_forecaster`.
        data: a DataModule that is set up.
        name: what tables call it; None for ``kind``.
        seed: of the first weights and the order of windows.
        options: arguments of the forecaster.
        limits: more arguments of :func:`seqlight.experiments.fit`.

    Raises:
        TrainingError: no epoch had a finite validation loss.

    """

    def build(some: WindowDataModule) -> Forecaster:
        return build_forecaster(kind, some, **options or {})

    return train_network(build, data, name=kind if name is None else name, seed=seed, **limits)
