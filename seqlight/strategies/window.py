"""One batch of transformed windows, as the strategies and networks see it."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """The past of a batch of windows in transformed space, with all that is known beside it.

    The network's input at time t is ``[target_t, observed_t, covariates_(t+1), static]`` along the last
    dimension: the covariates are known ahead (calendar features, plans), so a step that predicts t+1 is
    given those of t+1.

    Attributes:
        past: target ``[B, L, C]`` in transformed space; missing cells are NaN.
        prediction_length: number H of future steps.
        covariates: ``[B, L + H - 1, K]`` known covariates of the times 2 to L + H, that is, entry t belongs
            to the network's input at t; or None.
        static: ``[B, S]`` values that do not change over time, or None.
        observed_indicator: whether the network's input has a channel per target that is 1 where the target
            was observed and 0 where it is missing.
        input_dtype: dtype of the network's inputs; its outputs come back in the dtype of ``past``.

    """

    past: Tensor
    prediction_length: int
    covariates: Tensor | None = None
    static: Tensor | None = None
    observed_indicator: bool = False
    input_dtype: torch.dtype = torch.float32

    def inputs(self) -> Tensor:
        """Return the network's input ``[B, L, I]`` over the past, missing cells filled with 0."""
        return self._join(self.past, 0)

    def feedback(self, forecast: Tensor, step: int) -> Tensor:
        """Return the network's input ``[B, 1, I]`` that feeds back ``forecast`` ``[B, 1, C]``.

        Args:
            forecast: what was predicted for future step ``step``; it counts as observed.
            step: 1 for the first future step, at most H - 1.

        """
        return self._join(forecast, self.past.shape[1] + step - 1)

    def teacher_forced(self, future: Tensor) -> Tensor:
        """Return the inputs ``[B, H, I]`` of a decoder that is told every true value one step late.

        The first is the last input of the past, the others are what :meth:`feedback` makes of the truth.

        Args:
            future: true values ``[B, H, C]`` in transformed space, NaN where missing.

        """
        target = torch.cat([self.past[:, -1:], future[:, :-1].to(self.past.dtype)], dim=1)
        return self._join(target, self.past.shape[1] - 1)

    def _join(self, target: Tensor, first: int) -> Tensor:
        batch, length, _ = target.shape
        missing = target.isnan()
        parts = [target.masked_fill(missing, 0.0)]
        if self.observed_indicator:
            parts.append((~missing).to(target.dtype))
        if self.covariates is not None:
            parts.append(self.covariates[:, first : first + length].to(target.dtype))
        if self.static is not None:
            parts.append(self.static.to(target.dtype).unsqueeze(1).expand(batch, length, -1))
        return torch.cat(parts, dim=-1).to(self.input_dtype)
