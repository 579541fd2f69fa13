"""Heads by name."""

import difflib
from collections.abc import Callable, Sequence

from torch import Tensor

from seqlight.heads.base import Head
from seqlight.heads.negative_binomial import NegativeBinomialHead
from seqlight.heads.normal import NormalHead
from seqlight.heads.point import PointHead
from seqlight.heads.poisson import PoissonHead
from seqlight.heads.quantile import QuantileHead
from seqlight.heads.student_t import StudentTHead

HEADS: dict[str, type[Head]] = {
    head.name: head
    for head in (PointHead, QuantileHead, NormalHead, StudentTHead, NegativeBinomialHead, PoissonHead)
}
"""The heads by the names that a forecaster's ``head`` argument takes."""


def build_head(
    name: str, *, quantiles: Sequence[float], pointwise: Callable[[Tensor, Tensor], Tensor]
) -> Head:
    """Make a head.

    Args:
        name: one of :data:`HEADS`.
        quantiles: the levels of ``"quantile"``; others do not look at them.
        pointwise: the loss of ``"point"``; others have one of their own.

    Raises:
        ValueError: an unknown name, or levels that are none.

    """
    if name not in HEADS:
        near = difflib.get_close_matches(str(name).lower(), HEADS, n=1)
        suggestion = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"head: expected one of {', '.join(map(repr, HEADS))}; got {name!r}.{suggestion}")
    if name == PointHead.name:
        return PointHead(pointwise)
    if name == QuantileHead.name:
        return QuantileHead(quantiles)
    return HEADS[name]()
