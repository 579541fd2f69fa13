"""Naive2, the benchmark of the M4 competition."""

from torch import Tensor

from seqlight.inputs import Window
from seqlight.metrics.functional import naive2
from seqlight.models.forecasting.baseline import BaselineForecaster
from seqlight.models.lightning.checks import check_integer


class Naive2Forecaster(BaselineForecaster):
    """Repeats the last value, with the season taken out before and put back after it where there is one.

    It is the benchmark of the M4 competition, by which its overall weighted average
    (:class:`seqlight.metrics.OverallWeightedAverage`) divides; how the season is tested and taken out is told
    by :func:`seqlight.metrics.functional.naive2`. The season is tested on the window, which needs three
    seasons to have one, so give it a long context.

    Args:
        season_length: steps of one season; 1 for none.
        context_length: number L of past steps.
        prediction_length: number H of future steps.
        target_size: number C of target channels.
        future_covariate_size: accepted for the same call as the other forecasters.
        observed_indicator: likewise; missing cells are always minded.
        bounds: the lowest and the highest value of a forecast, as in :class:`WindowForecaster`.
        nonnegative: the same as a lowest value of 0.
        integer: round the forecast to whole numbers.

    Raises:
        ValueError: a size below 1.

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
    ) -> None:
        check_integer("season_length", season_length, 1)
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

    def decode(self, window: Window) -> Tensor:
        """Return Naive2's forecast ``[B, H, C]``."""
        return naive2(window.past, window.prediction_length, self.hparams["season_length"])
