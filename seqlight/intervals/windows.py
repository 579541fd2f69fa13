"""Past forecasts beside what came: what intervals are made from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seqlight.predictor import Batch, Forecast, Predictor


@dataclass(frozen=True)
class ForecastWindows:
    """Forecasts of W windows and what came, in original units, on the CPU.

    Args:
        forecast: of the W windows, with the quantiles that a method needs.
        target: ``[W, H, C]`` what came; NaN where it is not known.
        series_index: int64 ``[W]``, the series of each window.
        start: int64 ``[W]``, the row of each window's first future step in its series.
        scale: ``[W, C]``, the unit in which scores of different series are compared, such as the
            denominator of MASE; NaN where a series has none; None where there is none at all.

    Raises:
        ValueError: the shapes do not fit together.

    """

    forecast: Forecast
    target: Tensor
    series_index: Tensor
    start: Tensor
    scale: Tensor | None = None

    def __post_init__(self) -> None:
        shape = self.forecast.point.shape
        if self.target.shape != shape:
            raise ValueError(f"target: expected [W, H, C] = {list(shape)}, got {list(self.target.shape)}")
        for name in ("series_index", "start"):
            found = getattr(self, name)
            if found.shape != shape[:1] or found.dtype != torch.int64:
                raise ValueError(
                    f"{name}: expected int64 [W] = {list(shape[:1])}, got {found.dtype} {list(found.shape)}"
                )
        if self.scale is not None and self.scale.shape != (shape[0], shape[2]):
            raise ValueError(f"scale: expected [W, C] = {[shape[0], shape[2]]}, got {list(self.scale.shape)}")

    def __len__(self) -> int:
        """Return the number of windows W."""
        return len(self.target)

    @classmethod
    def collect(
        cls, predictor: Predictor, batches: Iterable[Batch], *, quantile_levels: Sequence[float] = ()
    ) -> "ForecastWindows":
        """Forecast the windows of batches that have ``future_target``, and keep what came.

        A cell counts as known if its true value is, and if the window's past holds an observed value of its
        channel: without one there is nothing to forecast from.

        Args:
            predictor: whatever forecasts.
            batches: in the words of the package; ``scale`` is taken along if they have it.
            quantile_levels: the quantiles to ask for, see ``IntervalMethod.quantile_levels``.

        Raises:
            ValueError: no window.

        """
        parts = [
            cls.of_batch(predictor.predict(batch, quantile_levels=quantile_levels), batch)
            for batch in batches
            if len(batch["past_target"])
        ]
        return cls.joined(parts)

    @classmethod
    def of_batch(cls, forecast: Forecast, batch: Batch) -> "ForecastWindows":
        """Return the windows of one batch with the forecast that was made for it."""
        observed, known = ~batch["past_target"].isnan(), ~batch["future_target"].isnan()
        if batch.get("past_observed") is not None:
            observed = observed & batch["past_observed"].bool()
        if batch.get("future_observed") is not None:
            known = known & batch["future_observed"].bool()
        known = known & observed.any(1, keepdim=True)
        scale = batch.get("scale")
        return cls(
            forecast=on_cpu(forecast),
            target=batch["future_target"].masked_fill(~known, torch.nan).cpu(),
            series_index=batch["series_index"].cpu(),
            start=batch["start"].cpu(),
            scale=None if scale is None else scale.cpu(),
        )

    @classmethod
    def joined(cls, parts: Sequence["ForecastWindows"]) -> "ForecastWindows":
        """Return the windows of several parts, in their order.

        Raises:
            ValueError: no part, or parts with different quantiles.

        """
        if not parts:
            raise ValueError("batches: expected at least one window, got none")
        levels = parts[0].forecast.quantile_levels
        if any(part.forecast.quantile_levels != levels for part in parts):
            raise ValueError("parts: expected the same quantile levels in all")
        quantiles = [part.forecast.quantiles for part in parts]
        scales = [part.scale for part in parts]
        return cls(
            forecast=Forecast(
                point=torch.cat([part.forecast.point for part in parts]),
                quantiles=None
                if quantiles[0] is None
                else torch.cat([q for q in quantiles if q is not None]),
                quantile_levels=levels,
            ),
            target=torch.cat([part.target for part in parts]),
            series_index=torch.cat([part.series_index for part in parts]),
            start=torch.cat([part.start for part in parts]),
            scale=None if scales[0] is None else torch.cat([scale for scale in scales if scale is not None]),
        )

    def select(self, rows: Tensor) -> "ForecastWindows":
        """Return some of the windows: ``rows`` are a bool ``[W]`` or their numbers."""
        quantiles = self.forecast.quantiles
        return replace(
            self,
            forecast=Forecast(
                point=self.forecast.point[rows],
                quantiles=None if quantiles is None else quantiles[rows],
                quantile_levels=self.forecast.quantile_levels,
            ),
            target=self.target[rows],
            series_index=self.series_index[rows],
            start=self.start[rows],
            scale=None if self.scale is None else self.scale[rows],
        )

    def halves(self) -> tuple["ForecastWindows", "ForecastWindows"]:
        """Return the earlier and the later windows of each series, without a target row in common.

        Windows between the two are left out.
        """
        count = int(self.series_index.max()) + 1 if len(self) else 0
        middle = torch.full((count,), torch.iinfo(torch.int64).max)
        for series in self.series_index.unique().tolist():
            starts = self.start[self.series_index == series].sort().values
            middle[series] = starts[len(starts) // 2]
        middle = middle[self.series_index]
        earlier = self.start + self.target.shape[1] <= middle
        return self.select(earlier), self.select(self.start >= middle)


def on_cpu(forecast: Forecast) -> Forecast:
    """Return a forecast without its samples, on the CPU."""
    quantiles = forecast.quantiles
    return Forecast(
        point=forecast.point.detach().cpu(),
        quantiles=None if quantiles is None else quantiles.detach().cpu(),
        quantile_levels=forecast.quantile_levels,
    )
