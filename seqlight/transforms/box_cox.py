"""The power transform of Box and Cox."""

import math
from typing import Self

import torch
from torch import Tensor

from seqlight.transforms.base import Growth, Transform, WindowState
from seqlight.transforms.domain import check_finite, shifted
from seqlight.transforms.training_part import TrainingPart

MOST_VALUES = 1_000_000  # of a large training part by which lambda is chosen
SEARCHED = (0.0, 2.0)
"""Where a fitted lambda lies."""

_GOLDEN = (5**0.5 - 1) / 2


class BoxCox(Transform):
    """The Box-Cox transform (Box and Cox 1964, "An Analysis of Transformations"), with x = y + offset.

        z = (x^lambda - 1) / lambda,    z = log(x) where lambda is 0;    x = (lambda z + 1)^(1 / lambda).

    It lies between the logarithm (0) and no change but a shift (1). Left to be fitted, each channel's lambda
    is the one between 0 and 2 under which the training part is likeliest normal:

        argmax over lambda of    -n / 2 log(variance of z) + (lambda - 1) sum of log(x).

    Below 0 the inverse is infinite from z = -1 / lambda on, so a forecast only a little too high would be
    infinite: such a lambda is taken if given, but never fitted. For a positive lambda, a forecast below
    -1 / lambda comes back as x = 0. A constant channel is fitted to lambda = 1, which also stands before
    :meth:`fit`.

    Quantiles come back as the same quantiles, for the inverse is increasing. A mean comes back as the
    **median**, if errors are symmetric in z; :meth:`inverse_mean` gives the mean instead, see :class:`Log`.

    Args:
        target_size: number of target channels C.
        lmbda: lambda of all channels, or None to fit one for each.
        offset: added first.

    Raises:
        TypeError: an argument is no number.
        ValueError: an argument is not finite; and, in use, a value that is not above ``-offset``.

    """

    lmbda: Tensor

    def __init__(self, target_size: int, lmbda: float | None = None, *, offset: float = 0.0) -> None:
        super().__init__(target_size)
        self.given_lmbda = None if lmbda is None else check_finite("lmbda", lmbda)
        self.offset = check_finite("offset", offset)
        initial = 1.0 if self.given_lmbda is None else self.given_lmbda
        self.register_buffer("lmbda", torch.full((target_size,), initial))

    @property
    def inverse_growth(self) -> Growth:
        """Of the channel whose inverse grows fastest: lambda 1 is linear, 0 the exponential function, and
        below 0 it is infinite from some forecast on."""
        lowest = float(self.lmbda.min())
        if lowest <= 0:
            return Growth.FASTER if lowest < 0 else Growth.EXPONENTIAL
        return Growth.LINEAR if bool((self.lmbda == 1).all()) else Growth.POWER

    def fit(self, values: Tensor, observed: Tensor | None = None) -> Self:
        """Check the domain and find lambda, in float64, by golden-section search."""
        logarithm = shifted(self._training_values(values, observed), self.offset, "box_cox").log()
        if self.given_lmbda is None:
            for channel, column in enumerate(logarithm.unbind(1)):
                self.lmbda[channel] = likeliest_lambda(column[~column.isnan()])
        self.fitted.fill_(True)
        return self

    def fit_on(self, part: TrainingPart) -> Self:
        """Check the domain of all values, and choose lambda by a sample of them."""
        for values in part.parts():
            shifted(values, self.offset, "box_cox")
        return self.fit(part.sample(MOST_VALUES))

    def transform(self, past: Tensor) -> tuple[Tensor, WindowState]:
        """Return ``((past + offset)^lambda - 1) / lambda`` and an empty state."""
        return self.transform_future(past, ()), ()

    def transform_future(self, future: Tensor, state: WindowState) -> Tensor:
        """Return ``((future + offset)^lambda - 1) / lambda``."""
        return power_of_log(shifted(future, self.offset, "box_cox").log(), self.lmbda)

    def inverse(self, forecast: Tensor, state: WindowState) -> Tensor:
        """Return ``(lambda forecast + 1)^(1 / lambda) - offset``: the median, if the forecast is that."""
        return self._inverse_log(forecast).exp() - self.offset

    def inverse_mean(self, forecast: Tensor, variance: Tensor | float) -> Tensor:
        """Return the mean in original units, to second order in the error.

        With x the inverse of the forecast, ``x (1 + v (1 - lambda) / (2 (lambda z + 1)^2)) - offset``
        (Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", section on bias adjustments).

        Args:
            forecast: mean z ``[..., H, C]`` in transformed space.
            variance: variance v of the error there; a number or a tensor that broadcasts.

        """
        variance = torch.as_tensor(variance).to(forecast)
        logarithm = self._inverse_log(forecast)
        # lambda z + 1 = x^lambda. Limited, so that the edge of the domain, x = 0, gives no 0 * inf.
        limited = logarithm.clamp(min=math.log(torch.finfo(logarithm.dtype).tiny))
        curvature = (1 - self.lmbda) / 2 * ((1 - 2 * self.lmbda) * limited).exp()
        return logarithm.exp() + variance * curvature - self.offset

    def _inverse_log(self, forecast: Tensor) -> Tensor:
        """Return log(x)."""
        is_log = self.lmbda == 0
        lmbda = torch.where(is_log, 1.0, self.lmbda)
        power = (lmbda * forecast).clamp(min=-1.0).log1p() / lmbda
        return torch.where(is_log, forecast, power)

    def extra_repr(self) -> str:  # noqa: D102
        lmbda = "fitted" if self.given_lmbda is None else f"{self.given_lmbda:g}"
        return f"{super().extra_repr()}, lmbda={lmbda}, offset={self.offset:g}"


def power_of_log(logarithm: Tensor, lmbda: Tensor) -> Tensor:
    """Return (x^lambda - 1) / lambda of log(x), exact for every lambda down to 0."""
    is_log = lmbda == 0
    lmbda = torch.where(is_log, 1.0, lmbda)
    return torch.where(is_log, logarithm, (lmbda * logarithm).expm1() / lmbda)


def likeliest_lambda(logarithm: Tensor) -> float:
    """Return the maximum-likelihood lambda between 0 and 2 of values, given their logarithms ``[N]``."""
    # Values divided by their geometric mean have a constant Jacobian: the variance is left to minimise.
    centred = logarithm - logarithm.mean()
    if len(centred) < 2 or centred.abs().max() < 1e-12:
        return 1.0

    def spread(lmbda: float) -> float:
        return float(power_of_log(centred, centred.new_tensor(lmbda)).var())

    low, high = SEARCHED
    inner = [high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)]
    found = [spread(lmbda) for lmbda in inner]
    while high - low > 1e-6:
        if found[0] < found[1]:
            high = inner[1]
            inner = [high - _GOLDEN * (high - low), inner[0]]
            found = [spread(inner[0]), found[0]]
        else:
            low = inner[0]
            inner = [inner[1], low + _GOLDEN * (high - low)]
            found = [found[1], spread(inner[1])]
    # At an end of the range the search only comes close to it.
    return min((*SEARCHED, (low + high) / 2), key=spread)
