"""A model of the library statsforecast as a forecaster, which ensembles and checkpoints can hold."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqlight.inputs import Window
from seqlight.models.forecasting.baseline import BaselineForecaster
from seqlight.models.forecasting.statsforecast_fits import (
    RememberedFits,
    forecast_series,
    statsforecast_models,
)

REMEMBERED = RememberedFits()
"""Of all forecasters of this process: the members of an ensemble are copies of those that were judged."""


class StatsForecastForecaster(BaselineForecaster):
    """Fits a model of statsforecast to the past of each window, channel by channel, and forecasts.

    It is named, so that a checkpoint holds it as plain values; it uses no covariates and has no ONNX form. To
    put any model into a backtest, with its intervals, :class:`seqlight.experiments.StatsForecastPredictor`
    takes the model itself.

    Missing cells between known ones are filled along a straight line first, and those before the first are
    left out; of those after the last one, the model is asked to forecast them too. Where the library cannot
    fit a window, or its forecast is not finite, the last value is repeated, and a warning says so. A channel
    without a known cell has no forecast: NaN.

    Args:
        model: the name of a class of ``statsforecast.models``, such as ``"AutoETS"``.
        model_arguments: what it is made with, such as ``{"season_length": 24, "model": "ANA"}``.
        context_length: number L of past steps.
        prediction_length: number H of future steps.
        target_size: number C of target channels.
        future_covariate_size: accepted for the same call as the other forecasters.
        observed_indicator: likewise; missing cells are always minded.
        bounds: the lowest and the highest value of a forecast, as in :class:`WindowForecaster`.
        nonnegative: the same as a lowest value of 0.
        integer: round the forecast to whole numbers.

    Raises:
        ImportError: statsforecast is not installed.
        ValueError: it has no such model, or the model does not take the arguments.

    """

    def __init__(
        self,
        *,
        model: str,
        model_arguments: dict[str, Any] | None = None,
        context_length: int,
        prediction_length: int,
        target_size: int = 1,
        future_covariate_size: int = 0,
        observed_indicator: bool = False,
        bounds: tuple[float | None, float | None] | None = None,
        nonnegative: bool = False,
        integer: bool = False,
    ) -> None:
        made = _named(model, model_arguments or {})
        super().__init__(
            context_length=context_length,
            prediction_length=prediction_length,
            target_size=target_size,
            future_covariate_size=future_covariate_size,
            observed_indicator=observed_indicator,
            bounds=bounds,
            nonnegative=nonnegative,
            integer=integer,
        )
        self.model = made
        self._model_key = repr((model, sorted((model_arguments or {}).items())))

    @property
    def onnx_obstacle(self) -> str | None:
        """Why it has no form in ONNX."""
        return "statsforecast fits it to each window, in Python; forecast in Python, or leave it out"

    def decode(self, window: Window) -> Tensor:
        """Return the forecasts ``[B, H, C]`` of the model fitted to each channel of each window."""
        past, horizon = window.past, window.prediction_length
        values = past.detach().cpu().double().numpy()
        made = np.empty((len(values), horizon, values.shape[2]))
        failed = 0
        for row, channel in np.ndindex(len(values), values.shape[2]):
            series = values[row, :, channel]
            key = REMEMBERED.key(self._model_key, series, horizon)
            found = REMEMBERED.get(key)
            if found is None:
                found = self.fit_and_forecast(series)
                REMEMBERED.put(key, found)
            known = series[np.isfinite(series)]
            if len(known) and not np.isfinite(found).all():
                failed += 1
                found = np.full(horizon, known[-1])
            made[row, :, channel] = found
        if failed:
            warnings.warn(
                f"{self.hparams['model']}: statsforecast could not fit some windows, whose forecast is their "
                "last value again",
                stacklevel=2,
            )
        return torch.from_numpy(made).to(past.device, past.dtype)

    def fit_and_forecast(self, series: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the forecast ``[H]`` of one series ``[L]``, NaN where it cannot be fitted."""
        try:
            return forecast_series(self.model, series, self.prediction_length)[:, 0]
        except Exception:  # the library's models raise what they like: of few values, of constant ones
            return np.full(self.prediction_length, np.nan)


def _named(name: str, arguments: Mapping[str, Any]) -> Any:
    """Return a model of statsforecast by its name."""
    library = statsforecast_models()
    cls = getattr(library, name, None) if isinstance(name, str) else None
    if not isinstance(cls, type) or not callable(getattr(cls, "forecast", None)):
        raise ValueError(f"model: expected the name of a class of statsforecast.models, got {name!r}")
    try:
        return cls(**arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"model_arguments: {name} does not take {dict(arguments)}: {error}") from error
