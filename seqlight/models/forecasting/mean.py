"""The mean of a forecaster's distribution, where it has one."""

import numpy as np
import torch
from torch import Tensor

from seqlight.heads import NormalHead
from seqlight.inputs import Window
from seqlight.models.forecasting.bounds import Bounds
from seqlight.models.forecasting.distribution import ForecasterDistribution
from seqlight.models.forecasting.window_values import Batch, observed_at_all
from seqlight.models.lightning.evaluation_mode import evaluation_mode
from seqlight.transforms import Growth, WindowState

NODES = 64


class ForecasterMean(ForecasterDistribution):
    """The means of :class:`~seqlight.models.Forecaster`.

    Through a linear inverse they are those of the head, taken back. Through a curved one, which only a normal
    distribution is sure to leave finite, they are integrals over it.
    """

    @torch.no_grad()
    def predict_mean(self, batch: Batch) -> Tensor:
        """Return the mean ``[B, H, C]`` of each cell in original units, in evaluation mode; the point that
        everything else returns is the median.

        Args:
            batch: a batch of a DataModule, in original units, on any device.

        Raises:
            ValueError: the head knows no mean, it is infinite, or ``bounds`` would change it.

        """
        here = {name: value.to(self.device) for name, value in batch.items()}
        with evaluation_mode(self):
            given = self._of_batch(here, with_future=False)
            mean = self._mean(*self._window(given)).masked_fill(
                ~observed_at_all(given["past_target"]), torch.nan
            )
        return mean.to(batch["past_target"].device)

    def _mean(self, window: Window, state: WindowState) -> Tensor:
        """Return the mean ``[B, H, C]`` in original units."""
        self._check_mean()
        if self.strategy.conditional or (self._by_paths and self._growth != Growth.LINEAR):
            outputs = None if self.strategy.conditional else self._outputs(window)
            assert self.path_scores is not None
            return self._paths(window, state, outputs, self.path_scores).mean(0)
        parameters = self._head_parameters(self._outputs(window), window)
        if self.head.counts:
            return self.head.mean(parameters)
        if self._growth == Growth.LINEAR:
            return self._original_units(self.head.mean(parameters), state)
        # Gauss-Hermite quadrature: exact for polynomials of twice as many degrees as it has nodes.
        nodes, weights = (
            torch.from_numpy(x).to(parameters) for x in np.polynomial.hermite_e.hermegauss(NODES)
        )
        shape = (-1, *[1] * (parameters.ndim - 1))
        values = self._original_units(self.head.value_at(parameters, nodes.reshape(shape)), state)
        return (values * (weights / weights.sum()).reshape(shape)).sum(0)

    @property
    def _growth(self) -> Growth:
        return self.transform.inverse_growth

    def _check_mean(self) -> None:
        if not self.head.draws:
            self.head.mean(torch.empty(0))  # which says why
        if self.bounds != Bounds():
            raise ValueError(
                "mean: the forecaster has bounds, and what they cut off would change the mean; take the mean "
                "of predict(batch, samples=...).samples, or make the forecaster without bounds, nonnegative "
                "and integer"
            )
        heavy = not isinstance(self.head, NormalHead) and not self.head.counts
        text = self.hparams.get("transform")
        if self._growth == Growth.FASTER or (heavy and self._growth != Growth.LINEAR):
            raise ValueError(
                f"mean: infinite, for transform={text!r} is undone by a function that grows faster than the "
                f"tails of head={self.head.name!r} fall; take the median, which is the point forecast, or "
                "train with head='normal' and one logarithm, or without"
            )
        if heavy and self.strategy.conditional:
            raise ValueError(
                f"mean: not known to be finite where draws of head={self.head.name!r} are fed back; take the "
                "median, which is the point forecast, or train with strategy='direct' or head='normal'"
            )
