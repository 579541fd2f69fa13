"""What is given to those who ask for forecasts: raw values, dicts of tensors, Forecasts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqlight.intervals import IntervalMethod
from seqlight.models.forecasting.window_values import Batch, WindowValues, observed_at_all
from seqlight.models.lightning.evaluation_mode import evaluation_mode
from seqlight.models.lightning.finite import check_prediction
from seqlight.predictor import Forecast


@dataclass(frozen=True)
class WindowForecast:
    """What is forecast of one batch of windows, in original units.

    Attributes:
        point: ``[B, H, C]``.
        quantiles: ``[B, H, C, Q]``, or None.
        samples: ``[N, B, H, C]``, or None.

    """

    point: Tensor
    quantiles: Tensor | None = None
    samples: Tensor | None = None


class WindowPrediction(WindowValues):
    """The ways to a forecast of :class:`~seqlight.models.WindowForecaster`, which is a
    :class:`~seqlight.predictor.Predictor`."""

    quantile_levels: tuple[float, ...] = ()
    """The quantiles that :meth:`predict_step` gives, and so ``Trainer.predict``; set it to have others."""
    predicted_samples: int = 0
    """Number of paths that :meth:`predict_step` gives."""
    intervals: IntervalMethod | None = None
    """How intervals around its forecasts are made; checkpoints keep it, forecasts themselves do not use it,
    see :class:`seqlight.intervals.ConformalPredictor`."""

    def forecast(
        self, given: Mapping[str, Tensor], levels: Sequence[float] = (), samples: int = 0
    ) -> WindowForecast:
        """Forecast one batch of windows: the hook of subclasses.

        Args:
            given: the entries of a batch; ``past_target`` ``[B, L, C]`` is checked, float32 or float64, and
                NaN where missing.
            levels: of the quantiles; none for a forecaster without a distribution.
            samples: number of random paths, 0 for a forecaster without a distribution.

        Raises:
            ValueError: an entry is wrong, a quantile is not known, or nothing can be drawn.

        """
        raise NotImplementedError(
            f"{type(self).__name__} has no forecast: override forecast(given, levels, samples) and return a "
            "WindowForecast; or use a ready class, such as seqlight.models.NaiveForecaster"
        )

    @property
    def has_distribution(self) -> bool:
        """Whether quantiles and sample paths can be had, and not a point alone."""
        return False

    def check_levels(self, levels: Sequence[float]) -> None:
        """Raise ValueError where a forecast would not have all these quantiles."""
        if levels:
            raise ValueError(
                f"quantiles: {type(self).__name__} gives none; take intervals from past errors with "
                "seqlight.intervals"
            )

    def check_samples(self, samples: int) -> None:
        """Raise ValueError where a forecast would not have so many paths."""
        if samples:
            raise ValueError(
                f"samples: {type(self).__name__} draws no sample paths, got samples={samples}; take "
                "intervals from past errors with seqlight.intervals"
            )

    @property
    def onnx_obstacle(self) -> str | None:
        """Why the forecast has no form in ONNX, with what to do instead; None where it has one."""
        return None

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
        """Forecast raw values from raw values, a point for each cell; no DataModule is needed.

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
        return self._forecast_of_values(past_target, given)[0]

    def _forecast_of_values(
        self, past_target: Tensor, given: Mapping[str, Tensor | None], levels: Sequence[float] = ()
    ) -> tuple[Tensor, Tensor | None]:
        """Return point and quantiles for what :meth:`forward` takes; NaN of a channel without a past."""
        values = self._checked(self._under_new_names({"past_target": past_target, **given}))
        forecast = self.forecast(values, levels)
        unknown = ~observed_at_all(values["past_target"])
        point, quantiles = forecast.point.masked_fill(unknown, torch.nan), forecast.quantiles
        if quantiles is not None:
            quantiles = quantiles.masked_fill(unknown.unsqueeze(-1), torch.nan)
        return point, quantiles

    def to_onnx(  # type: ignore[override]
        self,
        file_path: str | Path,
        input_sample: Mapping[str, Any] | None = None,
        *,
        outputs: Sequence[str] | None = None,
        quantile_levels: Sequence[float] | None = None,
    ) -> None:
        """Write the forecast to an ONNX file, transform and decoding included: raw values in and out.

        The file's output ``output`` is the point ``[B, H, C]``; of a forecaster with a distribution its
        second one, ``quantiles``, are quantiles ``[B, H, C, Q]``.

        Args:
            file_path: of the file.
            input_sample: keyword arguments of :meth:`forward`; None for :meth:`example_inputs`.
            outputs: names of the outputs.
            quantile_levels: levels of the quantiles, () for none; None for :attr:`quantile_levels`.

        Raises:
            ValueError: the forecast has no form in ONNX (:attr:`onnx_obstacle`), or a quantile is not known;
                see also :func:`seqlight.onnx.export`.

        """
        if self.onnx_obstacle is not None:
            raise ValueError(self.onnx_obstacle)
        levels = self.quantile_levels if quantile_levels is None else tuple(quantile_levels)
        self.check_levels(levels)
        if not levels:
            super().to_onnx(file_path, input_sample, outputs=outputs)
            return
        from seqlight.onnx import export

        with evaluation_mode(self):
            module = PointAndQuantiles(self, levels).eval()
            sample = self.example_inputs(3) if input_sample is None else input_sample
            export(module, file_path, sample, outputs=outputs or ("output", "quantiles"))

    @torch.no_grad()
    def predict(self, batch: Batch, *, quantile_levels: Sequence[float] = (), samples: int = 0) -> Forecast:
        """Forecast the windows of a batch, in evaluation mode and without gradients.

        Quantiles are each cell's own. The steps of a path depend on each other: those of a
        :class:`~seqlight.models.Forecaster` as errors do that validation has seen, or as its strategy feeds
        them back, which draws its channels by themselves; windows are drawn independently.

        Args:
            batch: a batch of a DataModule, in original units, on any device.
            quantile_levels: the quantiles that are wanted, rising; none without a distribution.
            samples: number of paths that are wanted, drawn by torch's random numbers.

        Returns:
            The forecast, on the batch's device; NaN for a channel whose past has no observed cell.

        Raises:
            NonFiniteError: a forecast is not finite, though the window holds known values.
            ValueError: the batch is not what the forecaster was made for, a quantile is not known, or
                nothing can be drawn.

        """
        here = {name: value.to(self.device) for name, value in batch.items()}
        home = batch["past_target"].device
        levels = tuple(quantile_levels) if self.has_distribution else ()
        self.check_samples(samples)
        with evaluation_mode(self):
            given = self._checked_forecast(here, levels, samples)
        quantiles = None if given.quantiles is None else given.quantiles.to(home)
        drawn = None if given.samples is None else given.samples.to(home)
        return Forecast(given.point.to(home), quantiles, levels, drawn)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Return the forecasts of a batch in original units.

        They are ``prediction`` [B, H, C], with ``series_index`` and ``start`` [B] where the batch has them;
        of one with a distribution also ``quantiles`` [B, H, C, Q] at :attr:`quantile_levels`, and, if
        :attr:`predicted_samples` is not 0, ``samples`` [B, N, H, C]. All are NaN for a channel whose past has
        no observed cell.

        Raises:
            NonFiniteError: a forecast is not finite, though the window holds known values.

        """
        given = self._checked_forecast(batch, self.quantile_levels, self.predicted_samples)
        output = {"prediction": given.point}
        if given.quantiles is not None:
            output["quantiles"] = given.quantiles
        if given.samples is not None:
            output["samples"] = given.samples.transpose(0, 1)
        return output | {name: batch[name] for name in ("series_index", "start") if name in batch}

    def _checked_forecast(self, batch: Batch, levels: Sequence[float], samples: int) -> WindowForecast:
        """Forecast a batch; what is not finite is refused, and a channel without a past is NaN."""
        return self._forecast_checked(batch, lambda values: self.forecast(values, levels, samples))

    def _forecast_checked(
        self, batch: Batch, forecast: Callable[[dict[str, Tensor]], WindowForecast]
    ) -> WindowForecast:
        """Return the forecast of a batch's values; what is not finite is refused, see above."""
        values = self._of_batch(batch, with_future=False)
        given = forecast(values)
        known = observed_at_all(values["past_target"])
        check_prediction({"prediction": given.point}, batch, known)
        quantiles = drawn = None
        if given.quantiles is not None:
            check_prediction({"quantiles": given.quantiles}, batch, known.unsqueeze(-1))
            quantiles = given.quantiles.masked_fill(~known.unsqueeze(-1), torch.nan)
        if given.samples is not None:
            drawn = given.samples.masked_fill(~known, torch.nan)
        return WindowForecast(given.point.masked_fill(~known, torch.nan), quantiles, drawn)


class PointAndQuantiles(nn.Module):
    """A forecaster's point and quantiles, for export.

    Args:
        forecaster: in evaluation mode.
        levels: of the quantiles.

    """

    def __init__(self, forecaster: WindowPrediction, levels: Sequence[float]) -> None:
        super().__init__()
        self.forecaster = forecaster
        self.levels = tuple(levels)

    def forward(
        self,
        past_target: Tensor,
        past_observed: Tensor | None = None,
        historic_future_covariates: Tensor | None = None,
        future_covariates: Tensor | None = None,
        static_covariates: Tensor | None = None,
        past_covariates: Tensor | None = None,
        past_categories: Tensor | None = None,
        historic_future_categories: Tensor | None = None,
        future_categories: Tensor | None = None,
        static_categories: Tensor | None = None,
        phase: Tensor | None = None,
        series_index: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the point ``[B, H, C]`` and the quantiles ``[B, H, C, Q]``, as the forecaster's forward."""
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
        }
        return self.forecaster._forecast_of_values(past_target, given, self.levels)
