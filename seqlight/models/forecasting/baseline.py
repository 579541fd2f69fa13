"""Forecasts that need no training: what a model has to beat."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seqlight.inputs import Window
from seqlight.models.forecasting.fixed_forecaster import FixedForecaster
from seqlight.models.forecasting.window_prediction import WindowForecast
from seqlight.models.lightning.checks import check_integer
from seqlight.models.lightning.renamed import take_renamed


class BaselineForecaster(FixedForecaster):
    """A forecaster without parameters, from the target alone; a subclass has :meth:`decode`.

    It is used with ``Trainer.validate``, ``test`` and ``predict``. ``Trainer.fit`` works too, but there is
    nothing to learn: it validates once and stops after one epoch. Lightning's ModelCheckpoint waits for a
    step of an optimiser, and so writes nothing; ``trainer.save_checkpoint`` does.

    Batches may hold any covariates; none is used.

    Args:
        context_length: number L of past steps.
        prediction_length: number H of future steps.
        target_size: number C of target channels.
        future_covariate_size: accepted for the same call as the other forecasters.
        observed_indicator: likewise; missing cells are always minded.
        bounds: the lowest and the highest value of a forecast, as in :class:`WindowForecaster`.
        nonnegative: the same as a lowest value of 0.
        integer: round the forecast to whole numbers.
        covariate_size: the old name of ``future_covariate_size``.

    """

    def __init__(
        self,
        *,
        context_length: int,
        prediction_length: int,
        target_size: int = 1,
        future_covariate_size: int = 0,
        observed_indicator: bool = False,
        bounds: tuple[float | None, float | None] | None = None,
        nonnegative: bool = False,
        integer: bool = False,
        covariate_size: int | None = None,
    ) -> None:
        size = take_renamed("covariate_size", covariate_size, "future_covariate_size", future_covariate_size)
        check_integer("future_covariate_size", size, 0)
        super().__init__(
            context_length=context_length,
            prediction_length=prediction_length,
            target_size=target_size,
            bounds=bounds,
            nonnegative=nonnegative,
            integer=integer,
        )

    def decode(self, window: Window) -> Tensor:
        """Return the forecast ``[B, H, C]`` of a window, of which ``past`` ``[B, L, C]``, NaN where missing,
        and ``prediction_length`` are given. The hook of subclasses."""
        raise NotImplementedError(
            f"{type(self).__name__} has no forecast: override decode(window) and return [B, H, C]"
        )

    def forecast(
        self, given: Mapping[str, Tensor], levels: Sequence[float] = (), samples: int = 0
    ) -> WindowForecast:
        """Forecast one batch of windows, see :meth:`seqlight.models.WindowForecaster.forecast`."""
        window = Window(past=given["past_target"], prediction_length=self.prediction_length)
        return WindowForecast(self.bounds.apply(self.decode(window)))


def last_observed(values: Tensor) -> Tensor:
    """Return the last value along dimension 1 that is not NaN (NaN if there is none): ``[B, ...]``."""
    steps = torch.arange(values.shape[1], device=values.device)
    steps = steps.reshape(-1, *[1] * (values.ndim - 2)).expand(values.shape[1:])
    last = torch.where(values.isnan(), -1, steps).amax(1, keepdim=True)
    return values.gather(1, last.clamp(min=0)).squeeze(1)


class NaiveForecaster(BaselineForecaster):
    """Repeats the last observed value of each channel. NaN for a channel whose past has none.

    Takes the arguments of :class:`BaselineForecaster`.
    """

    def decode(self, window: Window) -> Tensor:
        """Return the last observed value H times."""
        return last_observed(window.past).unsqueeze(1).expand(-1, window.prediction_length, -1)


class SeasonalNaiveForecaster(BaselineForecaster):
    """Repeats the last season: every future step takes the last observed value at the same phase.

    Where the past has no observed value at that phase, it takes the last observed value of all; NaN for a
    channel whose past has none.

    Args:
        season_length: steps of one season, at most ``context_length``.
        context_length: number L of past steps.
        prediction_length: number H of future steps.
        target_size: number C of target channels.
        future_covariate_size: covariates in the batches; not used.
        observed_indicator: accepted for the same call as the other forecasters; missing cells are always
            minded.
        bounds: the lowest and the highest value of a forecast, as in :class:`WindowForecaster`.
        nonnegative: the same as a lowest value of 0.
        integer: round the forecast to whole numbers.
        covariate_size: the old name of ``future_covariate_size``.

    Raises:
        ValueError: the past is shorter than one season.

    """

    def __init__(
        self,
        *,
        season_length: int,
        context_length: int,
        prediction_length: int,
        target_size: int = 1,
        future_covariate_size: int = 0,
        observed_indicator: bool = False,
        bounds: tuple[float | None, float | None] | None = None,
        nonnegative: bool = False,
        integer: bool = False,
        covariate_size: int | None = None,
    ) -> None:
        check_integer("season_length", season_length, 1)
        if season_length > check_integer("context_length", context_length, 1):
            raise ValueError(
                f"season_length: expected at most context_length = {context_length}, so that the past holds "
                f"one whole season, got {season_length}; raise context_length or lower season_length"
            )
        super().__init__(
            context_length=context_length,
            prediction_length=prediction_length,
            target_size=target_size,
            future_covariate_size=future_covariate_size,
            covariate_size=covariate_size,
            observed_indicator=observed_indicator,
            bounds=bounds,
            nonnegative=nonnegative,
            integer=integer,
        )

    def decode(self, window: Window) -> Tensor:
        """Return each future step's last observed value at the same phase."""
        past, season = window.past, self.hparams["season_length"]
        missing_rows = -past.shape[1] % season
        padded = torch.nn.functional.pad(past, (0, 0, missing_rows, 0), value=torch.nan)
        by_phase = last_observed(
            padded.unflatten(1, (-1, season))
        )  # [B, season, C]; phase 0 is the next step's
        by_phase = torch.where(by_phase.isnan(), last_observed(past).unsqueeze(1), by_phase)
        phases = torch.arange(window.prediction_length, device=past.device) % season
        return by_phase[:, phases]
