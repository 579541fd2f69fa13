"""The base class of whatever forecasts windows: forecasters with a network, baselines, ensembles."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from seqlight.intervals import method_of_state
from seqlight.metrics import MeanAbsoluteScaledError, MeanOverCells, forecast_metrics, quantile_metrics
from seqlight.models.forecasting.bounds import Bounds
from seqlight.models.forecasting.window_prediction import WindowForecast, WindowPrediction
from seqlight.models.forecasting.window_values import Batch, observed_at_all
from seqlight.models.lightning.checkpoint import CHECKPOINT_KEY, constructor_arguments
from seqlight.models.lightning.checks import check_integer, plain_value
from seqlight.models.lightning.losses import LOSSES
from seqlight.models.lightning.renamed import COVARIATE_SIZES, rename_arguments, warn_renamed
from seqlight.models.lightning.trained_until import check_part_is_later
from seqlight.strategies import masked_loss


class WindowForecaster(WindowPrediction):
    """A LightningModule that forecasts windows of raw values, in whatever way; a
    :class:`~seqlight.predictor.Predictor`.

    A subclass says by :meth:`forecast` how. Everything else is here: raw values, batches and ``Forecast``
    objects, Lightning's validation, test and prediction, checkpoints and ONNX files. One with a network,
    which is trained, is a :class:`~seqlight.models.Forecaster`; :class:`~seqlight.models.BaselineForecaster`
    and :class:`~seqlight.models.EnsembleForecaster` have none of their own.

    **Logged**: ``val_loss``, the mean squared error in original units unless a subclass takes another;
    ``val_mae``, ``val_rmse``, ``val_mase`` (if the batches have ``scale``), ``val_smape``, ``val_mae_last``
    and ``val_rmse_last`` (those of the last step ahead alone) and their ``test_`` twins. A window whose past
    has no observed cell of a channel is not scored on that channel: there is nothing to forecast from.

    Args:
        context_length: number L of past steps the forecast is made from.
        prediction_length: number H of future steps.
        target_size: number C of target channels.
        bounds: ``(low, high)`` of the forecast in original units, None for no bound.
        nonnegative: the same as a ``low`` of 0.
        integer: round the forecast to whole numbers.

    Raises:
        TypeError: an argument, or one of a subclass, is no plain value of the right kind.
        ValueError: a size below 1, or bounds without a value between them.

    """

    renamed_arguments = COVARIATE_SIZES
    future_covariate_size: int = 0
    static_covariate_size: int = 0
    scored_levels: tuple[float, ...] = ()
    """The quantiles that the weighted quantile loss and the CRPS are taken of."""

    def __init__(
        self,
        *,
        context_length: int,
        prediction_length: int,
        target_size: int = 1,
        bounds: tuple[float | None, float | None] | None = None,
        nonnegative: bool = False,
        integer: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self._constructor_arguments = constructor_arguments(inspect.currentframe())
        rename_arguments(type(self), self.renamed_arguments, self.hparams)
        for name, value in self.hparams.items():
            self.hparams[name] = plain_value(name, value)
        self.context_length = check_integer("context_length", context_length, 1)
        self.prediction_length = check_integer("prediction_length", prediction_length, 1)
        self.target_size = check_integer("target_size", target_size, 1)
        self.bounds = Bounds.of(bounds, nonnegative, integer)
        self.val_metrics = forecast_metrics()
        self.test_metrics = forecast_metrics()
        self.val_mean_loss = MeanOverCells()
        self.test_mean_loss = MeanOverCells()

    @property
    def covariate_size(self) -> int:
        """The name of ``future_covariate_size`` before 0.2."""
        warn_renamed("covariate_size", "future_covariate_size")
        return self.future_covariate_size

    @property
    def static_size(self) -> int:
        """The name of ``static_covariate_size`` before 0.2."""
        warn_renamed("static_size", "static_covariate_size")
        return self.static_covariate_size

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Update ``val_loss`` and the validation metrics."""
        self._evaluation_step(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Update ``test_loss`` and the test metrics."""
        self._evaluation_step(batch, "test")

    def setup(self, stage: str) -> None:
        """Compare the data with the model.

        Raises:
            TrainedOnTargetsError: it was trained on the targets that it is to be judged by.
            ValueError: the data are not of its kind.

        """
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        self.check_data(data)
        if stage in ("validate", "test"):
            check_part_is_later(self, data, {"validate": "val", "test": "test"}[stage], type(self).__name__)

    def check_data(self, data: Any) -> None:
        """Find the series of a DataModule among those of the model."""
        if self.takes_series and hasattr(data, "series_ids"):
            self.use_series(data.series_ids)

    def on_fit_start(self) -> None:
        """Forget the intervals, which are made from errors of other weights."""
        super().on_fit_start()
        self.intervals = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the intervals, where there are some."""
        super().on_save_checkpoint(checkpoint)
        if self.intervals is not None:
            checkpoint[CHECKPOINT_KEY]["intervals"] = self.intervals.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take over the intervals."""
        super().on_load_checkpoint(checkpoint)
        state = checkpoint.get(CHECKPOINT_KEY, {}).get("intervals")
        self.intervals = None if state is None else method_of_state(state)

    def _score_quantiles(self, levels: tuple[float, ...]) -> None:
        """Log what quantiles at these levels are worth; called once, in the constructor."""
        self.scored_levels = levels
        for stage in ("val", "test"):
            setattr(self, f"{stage}_quantile_metrics", quantile_metrics(levels))

    def _scored_forecast(self, given: Mapping[str, Tensor], future: Tensor, stage: str) -> WindowForecast:
        """Forecast a batch, and update the mean loss of a stage.

        Args:
            given: the checked entries of the batch.
            future: true values ``[B, H, C]`` in original units, NaN where they are not scored.
            stage: ``"train"``, ``"val"`` or ``"test"``.

        """
        forecast = self.forecast(given, self.scored_levels)
        getattr(self, f"{stage}_mean_loss").update(*masked_loss(LOSSES["mse"], forecast.point, future))
        return forecast

    def _evaluation_step(self, batch: Batch, stage: str) -> None:
        """Log the loss and the metrics of a stage."""
        given = self._of_batch(batch, with_future=True)
        future = self._future(given).masked_fill(~observed_at_all(given["past_target"]), torch.nan)
        forecast = self._scored_forecast(given, future, stage)
        size = future.shape[0]
        loss = getattr(self, f"{stage}_mean_loss")
        self.log(f"{stage}_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=size)
        known, scale = ~future.isnan(), given.get("scale")
        for name, metric in getattr(self, f"{stage}_metrics").items(keep_base=True):
            if not isinstance(metric, MeanAbsoluteScaledError):
                metric.update(forecast.point, future, known)
            elif scale is not None:
                metric.update(forecast.point, future, scale, known)
            else:
                continue
            self.log(f"{stage}_{name}", metric, on_step=False, on_epoch=True, batch_size=size)
        if forecast.quantiles is not None:
            for name, metric in getattr(self, f"{stage}_quantile_metrics").items(keep_base=True):
                metric.update(forecast.quantiles, future, known)
                self.log(f"{stage}_{name}", metric, on_step=False, on_epoch=True, batch_size=size)
