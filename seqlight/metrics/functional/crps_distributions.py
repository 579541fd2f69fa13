"""The CRPS of distributions in closed form, in the target's units.

Jordan, Krueger and Lerch 2019, "Evaluating probabilistic forecasts with scoringRules". Where torch lacks a
special function, scipy computes on the CPU, without gradients.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

SMALL_DISPERSION = 0.02
TRAPEZOID_STEP = 0.25


def crps_normal(mean: Tensor, deviation: Tensor, target: Tensor) -> Tensor:
    """Return the CRPS of normal forecasts (Gneiting and Raftery 2007).

    With z = (y - m) / s: ``s (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi))``.

    Args:
        mean: m, the shape of target.
        deviation: s, likewise, above 0.
        target: true values.

    Returns:
        The shape of target.

    """
    z = (target - mean) / deviation
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    return deviation * (z * torch.erf(z / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))


def crps_student_t(df: Tensor, loc: Tensor, scale: Tensor, target: Tensor) -> Tensor:
    """Return the CRPS of forecasts by Student's t distribution.

    With z = (y - loc) / scale, and F and f of the standard t distribution of v degrees of freedom:
    ``z (2 F(z) - 1) + 2 f(z) (v + z^2) / (v - 1) - 2 sqrt(v) / (v - 1) B(1/2, v - 1/2) / B(1/2, v/2)^2``
    times the scale. It is infinite where v is 1 or less, for the mean is.

    Args:
        df: degrees of freedom v, the shape of target.
        loc: likewise.
        scale: likewise, above 0.
        target: true values.

    Returns:
        The shape of target.

    """

    def score(np: Any, special: Any, v: Any, z: Any) -> Any:
        # exp(-2 z^2 ...) of large v by logarithms, for both beta functions are near 0 then.
        log_density = -0.5 * (v + 1) * np.log1p(z * z / v) - special.betaln(0.5, v / 2) - 0.5 * np.log(v)
        spread = np.exp(special.betaln(0.5, v - 0.5) - 2 * special.betaln(0.5, v / 2))
        outside = z * (special.stdtr(v, z) - special.stdtr(v, -z))
        value = outside + (2 * np.exp(log_density) * (v + z * z) - 2 * np.sqrt(v) * spread) / (v - 1)
        return np.where(v > 1, value, np.where(np.isnan(v + z), np.nan, np.inf))

    return scale * _by_scipy(score, df, (target - loc) / scale)


def crps_poisson(rate: Tensor, target: Tensor) -> Tensor:
    """Return the CRPS of forecasts by Poisson's distribution.

    ``(y - m) (2 F(y) - 1) + 2 m f(y) - m exp(-2 m) (I_0(2 m) + I_1(2 m))`` of the rate m, Bessel functions I.

    Args:
        rate: m, the shape of target, above 0.
        target: true counts.

    Returns:
        The shape of target.

    """

    def score(np: Any, special: Any, m: Any, y: Any) -> Any:
        both = special.gammaincc(y + 1, m) - special.gammainc(y + 1, m)
        density = np.exp(special.xlogy(y, m) - m - special.gammaln(y + 1))
        return (y - m) * both + 2 * m * density - m * (special.i0e(2 * m) + special.i1e(2 * m))

    return _by_scipy(score, rate, target)


def crps_negative_binomial(mean: Tensor, dispersion: Tensor, target: Tensor) -> Tensor:
    """Return the CRPS of forecasts by the negative binomial distribution (Wei and Held 2014).

    With r = 1 / a and p = 1 / (1 + a m) of mean m and dispersion a, and the distribution functions F of
    sizes r and r + 1: ``y (2 F_r(y) - 1) - m (2 F_{r+1}(y - 1) - 1) - D / 2``, D the mean distance of two
    draws, ``2 m / p 2F1(r + 1, 1/2; 2; -4 (1 - p) / p^2)``. The hypergeometric function has too few digits
    where the dispersion is small: D is an integral of the characteristic function there.

    Args:
        mean: m, the shape of target, above 0.
        dispersion: a, likewise, above 0: the variance is ``m + a m^2``.
        target: true counts.

    Returns:
        The shape of target.

    """

    def score(np: Any, special: Any, m: Any, a: Any, y: Any) -> Any:
        # By 1 - p, which keeps its digits where p is nearly 1.
        r, failure, odds = 1 / a, a * m / (1 + a * m), a * m * (1 + a * m)
        below = 1 - 2 * special.betainc(y + 1, r, failure)
        after = np.where(y < 1, -1.0, 1 - 2 * special.betainc(np.maximum(y, 1), r + 1, failure))
        half = m * (1 + a * m) * special.hyp2f1(r + 1, 0.5, 2.0, -4 * odds)
        few = (a < SMALL_DISPERSION) | ~np.isfinite(half)
        half = np.where(few, 0.0, half)
        half[few] = _half_distance(np, r[few], odds[few])
        return y * below - m * after - half

    return _by_scipy(score, mean, dispersion, target)


def _half_distance(np: Any, r: Any, odds: Any) -> Any:
    """Return half the mean distance of two draws of a negative binomial distribution, ``[N]``.

    Of the characteristic function, ``1 / (2 pi)`` times the integral over all s above 0 of ``(1 - (1 + 4 odds
    s^2 / (1 + s^2))^-r) / s^2``; with s = exp(x), which falls off on both sides, by the trapezoid rule, whose
    error is below exp(-pi^2 / step).
    """
    x = np.arange(-60.0, 40.0, TRAPEZOID_STEP)
    square = np.exp(2 * x)
    inside = square / (1 + square)
    total = np.zeros_like(r)
    for place in range(len(x)):  # node by node, so that memory goes with the cells alone
        total += -np.expm1(-r * np.log1p(4 * odds * inside[place])) * np.exp(-x[place])
    return total * TRAPEZOID_STEP / (2 * np.pi)


CRPS_OF: dict[str, tuple[Callable[..., Tensor], int]] = {
    "normal": (crps_normal, 2),
    "student_t": (crps_student_t, 3),
    "poisson": (crps_poisson, 1),
    "negative_binomial": (crps_negative_binomial, 2),
}
"""By the name of a distribution: its CRPS, and the number of its parameters."""


def crps_distribution(distribution: str, parameters: Tensor, target: Tensor) -> Tensor:
    """Return the CRPS of forecasts by a distribution of a name.

    Args:
        distribution: ``"normal"`` (parameters loc, scale), ``"student_t"`` (df, loc, scale), ``"poisson"``
            (rate) or ``"negative_binomial"`` (mean, dispersion), the parameters as heads have them.
        parameters: ``[..., P]``.
        target: true values ``[...]``.

    Raises:
        ValueError: an unknown name, or another number of parameters.

    """
    if distribution not in CRPS_OF:
        known = ", ".join(map(repr, CRPS_OF))
        raise ValueError(f"distribution: expected one of {known}, got {distribution!r}")
    score, count = CRPS_OF[distribution]
    if parameters.shape != (*target.shape, count):
        raise ValueError(
            f"parameters: expected [..., {count}] = {[*target.shape, count]} of {distribution!r}, got "
            f"{list(parameters.shape)}"
        )
    return score(*parameters.unbind(-1), target)


def _by_scipy(score: Callable[..., Any], *values: Tensor) -> Tensor:
    """Return what a function of numpy, scipy.special and float64 arrays gives, in the values' dtype."""
    import numpy as np
    from scipy import special

    dtype = values[0].dtype
    for value in values[1:]:
        dtype = torch.promote_types(dtype, value.dtype)
    arrays = np.broadcast_arrays(*(value.detach().to("cpu", torch.float64).numpy() for value in values))
    with np.errstate(all="ignore"):
        found = np.asarray(score(np, special, *arrays))
    return torch.from_numpy(found).to(values[-1].device, dtype)
