"""One batch of transformed windows, as strategies and networks see it."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Window:
    """The past of a batch of windows in transformed space, with all that is known beside it.

    The network's input at time t is ``[target_t, observed_t, past_covariates_t, covariates_(t+1), static]``
    along the last dimension: ``covariates`` are known ahead (calendar features, plans), so a step that
    predicts t+1 is given those of t+1. An output that predicts more steps is completed by :meth:`finish`,
    which shows it the covariates of all of them.

    Attributes:
        past: target ``[B, L, C]`` in transformed space; missing cells are NaN.
        prediction_length: number H of future steps.
        covariates: ``[B, L + H - 1, K]`` known covariates of the times 2 to L + H, that is, entry t belongs
            to the network's input at t; or None.
        static: ``[B, S]`` values that do not change over time, or None.
        past_covariates: ``[B, L, P]`` what is known up to now only, or None.
        observed_indicator: whether the network's input has a channel per target that is 1 where the target
            was observed and 0 where it is missing.
        input_dtype: dtype of the network's inputs; its outputs come back in the dtype of ``past``.
        future_head: the layer of :meth:`finish`; None leaves outputs as they are.
        scale: ``[B, 1, C]`` what the target's unit in transformed space is in original units, for heads on
            counts; else None.

    """

    past: Tensor
    prediction_length: int
    covariates: Tensor | None = None
    static: Tensor | None = None
    past_covariates: Tensor | None = None
    observed_indicator: bool = False
    input_dtype: torch.dtype = torch.float32
    future_head: nn.Module | None = None
    scale: Tensor | None = None
    units: Any = None

    def inputs(self) -> Tensor:
        """Return the network's input ``[B, L, I]`` over the past, missing cells filled with 0."""
        return self._join(self.past, 0, self.past_covariates)

    def feedback(self, forecast: Tensor, step: int) -> Tensor:
        """Return the network's input ``[B, 1, I]`` that feeds back ``forecast`` ``[B, 1, C]``.

        It has no past covariates, for nobody knows those of a future step.

        Args:
            forecast: what was predicted for future step ``step``; it counts as observed.
            step: 1 for the first future step, at most H - 1.

        """
        return self._join(forecast, self.past.shape[1] + step - 1)

    def teacher_forced(self, future: Tensor) -> Tensor:
        """Return the inputs ``[B, H, I]`` of a decoder that is told every true value one step late.

        The first is :meth:`decoder_start`, the others are what :meth:`feedback` makes of the truth.

        Args:
            future: true values ``[B, H, C]`` in transformed space, NaN where missing.

        """
        target = torch.cat([self.past[:, -1:], future[:, :-1].to(self.past.dtype)], dim=1)
        return self._join(target, self.past.shape[1] - 1)

    def decoder_start(self) -> Tensor:
        """Return a decoder's first input ``[B, 1, I]``: the last of the past, without past covariates."""
        return self._join(self.past[:, -1:], self.past.shape[1] - 1)

    def repeated(self, count: int) -> "Window":
        """Return the end of the window ``count`` times, one repetition after the other, to be fed back to.

        Of the past it keeps the last step alone, which is all that :meth:`feedback` asks for.
        """

        def again(values: Tensor | None) -> Tensor | None:
            if values is None:
                return None
            return values.unsqueeze(0).expand(count, *values.shape).flatten(0, 1)

        known = None if self.covariates is None else self.covariates[:, self.past.shape[1] - 1 :]
        last = self.past[:, -1:]
        return replace(
            self,
            past=last.unsqueeze(0).expand(count, *last.shape).flatten(0, 1),
            covariates=again(known),
            static=again(self.static),
            past_covariates=None,
            scale=again(self.scale),
        )

    def future_rows(self) -> Tensor:
        """Return the known covariates of the future steps ``[B, H, K]`` that :meth:`finish` shows the last
        output; K is 0 without one that looks at them."""
        if self.future_head is None or self.covariates is None:
            return self.past.new_zeros(len(self.past), self.prediction_length, 0)
        return self.covariates[:, -self.prediction_length :]

    def finish(self, output: Tensor, steps: range) -> Tensor:
        """Return outputs that have seen the known covariates of all the steps that they predict.

        Args:
            output: the network's, ``[B, len(steps), O]``.
            steps: past steps t, counted from 0, at which the outputs were made.

        """
        if self.future_head is None or self.covariates is None:
            return output
        last = steps[-1] + self.prediction_length
        rows = self.covariates[:, steps.start : last]
        finished: Tensor = self.future_head(output, rows.to(self.input_dtype), steps.step)
        return finished.to(output.dtype)

    def _join(self, target: Tensor, first: int, past_covariates: Tensor | None = None) -> Tensor:
        batch, length, _ = target.shape
        missing = target.isnan()
        parts = [target.masked_fill(missing, 0.0)]
        if self.observed_indicator:
            parts.append((~missing).to(target.dtype))
        if past_covariates is not None:
            parts.append(past_covariates.to(target.dtype))
        if self.covariates is not None:
            parts.append(self.covariates[:, first : first + length].to(target.dtype))
        if self.static is not None:
            parts.append(self.static.to(target.dtype).unsqueeze(1).expand(batch, length, -1))
        return torch.cat(parts, dim=-1).to(self.input_dtype)
