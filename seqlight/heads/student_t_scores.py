"""Quantiles and probabilities of Student's t as ordinary operators, for any degrees of freedom.

torch has neither. Both are smooth changes of a formula that is nearly right, so that two polynomials, fitted
once by scipy's functions, give them within 1e-6 in float64: on any device, in a compiled graph and in ONNX.
"""

import functools
from collections.abc import Callable

import numpy as np
import torch
from numpy.polynomial import chebyshev
from torch import Tensor

from seqlight.heads.base import MOST

LEAST_DF = 0.5
"""The smallest degrees of freedom for which they hold; there is no largest."""

_DEGREE = 31
_MOST_LOG = 40.0  # of df log(1 + t^2 / df), above what MOST comes to for all degrees of freedom

Polynomial = tuple[tuple[float, ...], ...]
"""Coefficients of products of Chebyshev polynomials, [score, 1 / df]."""


def t_of_score(score: Tensor, df: Tensor) -> Tensor:
    """Return the quantile of Student's t at the probability Phi(score).

    ``t = s exp(P(s^2, 1 / df))`` with a polynomial P, which is 0 at ``1 / df = 0``.

    Args:
        score: standard normal, any shape; beyond :data:`~seqlight.heads.base.MOST` it is taken for that.
        df: degrees of freedom, at least :data:`LEAST_DF`; broadcasts with score.

    """
    score = score.clamp(-MOST, MOST)
    change = _value(_t_polynomial(), score.square() / MOST**2, LEAST_DF / df)
    return score * change.exp()


def score_of_t(t: Tensor, df: Tensor) -> Tensor:
    """Return the normal score of a quantile of Student's t, the inverse of :func:`t_of_score`."""
    squared = df * (t.square() / df).log1p()
    change = _value(_score_polynomial(), (squared / _MOST_LOG).clamp(max=1.0), LEAST_DF / df)
    return (t.sign() * squared.sqrt() * change.exp()).clamp(-MOST, MOST)


@functools.cache
def _t_polynomial() -> Polynomial:
    from scipy import special, stats

    def change(score_squared: np.ndarray, inverse_df: np.ndarray) -> np.ndarray:
        score = MOST * np.sqrt(score_squared)
        return np.log(stats.t.isf(special.ndtr(-score), LEAST_DF / inverse_df) / score)

    return _fitted(change)


@functools.cache
def _score_polynomial() -> Polynomial:
    from scipy import special, stats

    def change(squared: np.ndarray, inverse_df: np.ndarray) -> np.ndarray:
        df = LEAST_DF / inverse_df
        squared = _MOST_LOG * squared
        t = np.sqrt(df * np.expm1(squared / df))
        return np.log(-special.ndtri(stats.t.sf(t, df)) / np.sqrt(squared))

    return _fitted(change)


def _fitted(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Polynomial:
    """Return the polynomial through a function on [0, 1] x [0, 1] at the Chebyshev nodes."""
    nodes = chebyshev.chebpts1(_DEGREE + 1)
    values = function((nodes[:, None] + 1) / 2, (nodes[None, :] + 1) / 2)
    vandermonde = chebyshev.chebvander(nodes, _DEGREE)
    half = np.linalg.solve(vandermonde, values)
    coefficients = np.linalg.solve(vandermonde, half.T).T
    return tuple(map(tuple, coefficients.tolist()))


def _value(polynomial: Polynomial, first: Tensor, second: Tensor) -> Tensor:
    """Evaluate a polynomial of two variables in [0, 1]."""
    dtype = torch.promote_types(first.dtype, second.dtype)
    coefficients = torch.tensor(polynomial, dtype=dtype, device=second.device)
    # Products of 16 bits would lose what the polynomial is for.
    with torch.autocast(second.device.type, enabled=False):
        in_first = _basis(second.to(dtype)) @ coefficients.T
    return (in_first * _basis(first.to(dtype))).sum(-1)


def _basis(x: Tensor) -> Tensor:
    """Return the Chebyshev polynomials ``cos(n arccos x)`` of ``[...]`` in [0, 1], ``[..., degree + 1]``."""
    angle = (2.0 * x - 1.0).clamp(-1.0, 1.0).acos()
    return (angle.unsqueeze(-1) * torch.arange(_DEGREE + 1, dtype=x.dtype, device=x.device)).cos()
