"""Models of the library statsforecast as predictors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from seqlight.models.forecasting.statsforecast_fits import forecast_series, statsforecast_models
from seqlight.predictor import Batch, Forecast


class StatsForecastPredictor:
    """A model of statsforecast, such as ``AutoETS`` or ``AutoARIMA``, fitted anew to the past of each window.

    It fits to the ``context_length`` steps of a window, channel by channel, and uses no covariates. Missing
    cells between known ones are filled along a straight line first, and those before the first are left out;
    of those after the last one, the model is asked to forecast them too. A channel without a known cell has
    no forecast: NaN. Each fit takes the library from a millisecond to seconds, so give it long contexts and
    few windows, as a backtest has them. For a module that ensembles and checkpoints can hold, see
    :class:`seqlight.models.StatsForecastForecaster`.

    Example::

        >>> from statsforecast.models import AutoETS
        >>> ets = StatsForecastPredictor(AutoETS(season_length=24), context_length=336, prediction_length=24)
        >>> backtest({"ets": ets}, data, windows=4, level=[80]).frame

    Args:
        model: a model of ``statsforecast.models``; it is not changed.
        context_length: number L of past steps.
        prediction_length: number H of steps to forecast.
        target_size: number C of channels.

    Raises:
        ImportError: statsforecast is not installed.
        TypeError: ``model`` is none of its models.

    """

    def __init__(
        self, model: Any, *, context_length: int, prediction_length: int, target_size: int = 1
    ) -> None:
        statsforecast_models()  # is it installed?
        if not callable(getattr(model, "forecast", None)) or not callable(getattr(model, "fit", None)):
            raise TypeError(f"model: expected one of statsforecast.models, got {type(model).__name__}")
        self.model = model
        self.context_length = context_length
        self.prediction_length = prediction_length
        self.target_size = target_size

    @property
    def hparams(self) -> Mapping[str, Any]:
        """Return the sizes, and what the model calls itself."""
        return {
            "model": str(self.model),
            "context_length": self.context_length,
            "prediction_length": self.prediction_length,
            "target_size": self.target_size,
        }

    def predict(self, batch: Batch, *, quantile_levels: Sequence[float] = (), samples: int = 0) -> Forecast:
        """Fit the model to each window and forecast.

        Args:
            batch: ``past_target`` ``[B, L, C]``, and ``past_observed`` where cells are missing.
            quantile_levels: the quantiles that are wanted; none are given by models without intervals.
            samples: paths, which these models do not have.

        Raises:
            ValueError: the batch has other sizes, or samples are wanted.

        """
        if samples:
            raise ValueError(f"samples: models of statsforecast give none, got samples={samples}")
        past = batch["past_target"]
        if past.shape[1:] != (self.context_length, self.target_size):
            expected = f"[B, {self.context_length}, {self.target_size}]"
            raise ValueError(f"past_target: expected {expected}, got {list(past.shape)}")
        if batch.get("past_observed") is not None:
            past = past.masked_fill(~batch["past_observed"].bool(), torch.nan)
        levels = tuple(sorted(quantile_levels))
        values = past.detach().cpu().double().numpy()
        made = [
            [
                forecast_series(self.model, window[:, channel], self.prediction_length, levels)
                for channel in range(self.target_size)
            ]
            for window in values
        ]
        found = torch.from_numpy(np.array(made)).permute(0, 2, 1, 3)  # [B, H, C, 1 + Q]
        found = found.to(past.device, past.dtype)
        if not levels or bool(found[..., 1:].isnan().all()):
            return Forecast(found[..., 0].contiguous())
        return Forecast(found[..., 0].contiguous(), found[..., 1:].contiguous(), levels)
