"""What a forecaster gives to those who ask it for forecasts: raw values, dicts of tensors, Forecasts."""

from collections.abc import Sequence

import torch
from torch import Tensor

from seqlight.predictor import Forecast

from .evaluation_mode import evaluation_mode
from .finite import check_prediction
from .forecaster_windows import Batch, ForecasterWindows, observed_at_all


class ForecasterPrediction(ForecasterWindows):
    """The ways to a forecast of :class:`~seqlight.models.Forecaster`, which is a
    :class:`~seqlight.predictor.Predictor`."""

    def forward(
        self,
        past_target: Tensor,
        past_observed: Tensor | None = None,
        historic_future_covariates: Tensor | None = None,
        future_covariates: Tensor | None = None,
        static_covariates: Tensor | None = None,
        *,
        past_covariates: Tensor | None = None,
        past_categories: Tensor | None = None,
        historic_future_categories: Tensor | None = None,
        future_categories: Tensor | None = None,
        static_categories: Tensor | None = None,
        phase: Tensor | None = None,
        series_index: Tensor | None = None,
        static: Tensor | None = None,
    ) -> Tensor:
        """Forecast raw values from raw values; no DataModule is needed.

        What the forecaster was built for is needed, and nothing else is taken. Numbers are float32 in
        original units, categories int64 codes.

        Args:
            past_target: ``[B, L, C]`` in original units; missing cells are NaN.
            past_observed: bool ``[B, L, C]``, False where a cell is missing; None means all that are not NaN.
            historic_future_covariates: ``[B, L, F]``, what is known ahead, over the past.
            future_covariates: ``[B, H, F]``, the same over the future.
            static_covariates: ``[B, S]``, what does not change over time.
            past_covariates: ``[B, L, P]``, what is known up to now only; missing cells are NaN. (The old name
                of ``historic_future_covariates``, where the forecaster has no past covariates.)
            past_categories: ``[B, L, Pc]``, categories known up to now only.
            historic_future_categories: ``[B, L, Fc]``, categories known ahead, over the past.
            future_categories: ``[B, H, Fc]``, the same over the future.
            static_categories: ``[B, Sc]``, categories that do not change over time.
            phase: int64 ``[B]``, the step of the clock of the first future step, which a forecaster with a
                ``cycle`` takes modulo its cycle: for hours and a cycle of a day, the hour.
            series_index: int64 ``[B]``, the series of each window, needed by a forecaster that knows each by
                itself: its position in the data that it was trained on, or in those that ``use_series``
                named.
            static: the old name of ``static_covariates``.

        Returns:
            The forecast ``[B, H, C]`` in original units, float32 (float64 if the input or the forecaster is);
            NaN for a channel whose past has no observed cell: nothing is forecast from nothing.

        Raises:
            ValueError: a tensor is missing, has the wrong shape, or is not what the forecaster was built for;
                or what is known ahead is missing.

        """
        given = {
            "past_observed": past_observed,
            "past_covariates": past_covariates,
            "past_categories": past_categories,
            "historic_future_covariates": historic_future_covariates,
            "historic_future_categories": historic_future_categories,
            "future_covariates": future_covariates,
            "future_categories": future_categories,
            "static_covariates": static_covariates,
            "static_categories": static_categories,
            "phase": phase,
            "series_index": series_index,
            "static": static,
        }
        if phase is not None and not self.takes_phase:
            raise ValueError(
                "phase: the model was built without a cycle; build it with cycle, or leave it out"
            )
        if series_index is None and self.takes_series:
            raise ValueError(f"series_index: needed, for {type(self).__name__} knows each series by itself")
        window, state = self._window(past_target, self._under_new_names(given))
        forecast = self._original_units(self.decode(window), state)
        return forecast.masked_fill(~observed_at_all(past_target, past_observed), torch.nan)

    @torch.no_grad()
    def predict(self, batch: Batch, *, quantile_levels: Sequence[float] = (), samples: int = 0) -> Forecast:
        """Forecast the windows of a batch, in evaluation mode and without gradients.

        Args:
            batch: a batch of a DataModule, in original units, on any device.
            quantile_levels: the quantiles that are wanted; a forecaster of points alone gives none.
            samples: number of paths that are wanted.

        Returns:
            The forecast, on the batch's device; NaN for a channel whose past has no observed cell.

        Raises:
            NonFiniteError: a forecast is not finite, though the window holds known values.
            ValueError: the batch is not what the forecaster was made for, or paths are wanted of one that
                gives points alone.

        """
        if samples:
            raise ValueError(f"samples: {type(self).__name__} gives points alone, got samples={samples}")
        here = {name: value.to(self.device) for name, value in batch.items()}
        with evaluation_mode(self):
            point = self.predict_step(here, 0)["prediction"]
        return Forecast(point.to(batch["past_target"].device))

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Return ``prediction`` [B, H, C] in original units, and ``series_index`` and ``start`` [B].

        The prediction is NaN for a channel whose past has no observed cell.

        Raises:
            NonFiniteError: a forecast is not finite, though the window holds known values.

        """
        window, state = self._batch_window(batch, with_future=False)
        known = self._forecastable(batch)
        prediction = self._original_units(self.decode(window), state)
        output = {"prediction": prediction.masked_fill(~known, torch.nan)}
        check_prediction(output, batch, known)
        return output | {name: batch[name] for name in ("series_index", "start") if name in batch}
