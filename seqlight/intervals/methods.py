"""The methods by the names that commands and tables have for them."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqlight.intervals.adaptive import AdaptiveConformal
from seqlight.intervals.method import IntervalMethod
from seqlight.intervals.scores import SCORES
from seqlight.intervals.split import SplitConformal

NAMED: dict[str, tuple[type[SplitConformal], dict[str, Any]]] = {
    "split": (SplitConformal, {"score": "residual", "symmetric": True}),
    "split, two-sided": (SplitConformal, {"score": "residual", "symmetric": False}),
    "scaled": (SplitConformal, {"score": "scaled", "symmetric": True}),
    "CQR": (SplitConformal, {"score": "quantile", "symmetric": True}),
    "adaptive": (AdaptiveConformal, {"score": "residual"}),
    "adaptive, scaled": (AdaptiveConformal, {"score": "scaled"}),
    "adaptive CQR": (AdaptiveConformal, {"score": "quantile"}),
}
KINDS: dict[str, type[IntervalMethod]] = {cls.kind: cls for cls in (SplitConformal, AdaptiveConformal)}


def interval_methods(
    levels: Sequence[float] = (80, 95), *, with_quantiles: bool
) -> dict[str, SplitConformal]:
    """Return one of each method, not fitted, by name, the simplest first.

    Args:
        levels: nominal coverages in per cent.
        with_quantiles: whether the model says something of its errors; without it there is neither scaled nor
            CQR.

    """
    return {
        name: cls(levels, **options)
        for name, (cls, options) in NAMED.items()
        if with_quantiles or not SCORES[options["score"]].needs_quantiles
    }


def method_of_state(state: Mapping[str, Any]) -> IntervalMethod:
    """Return the method that :meth:`IntervalMethod.state` was taken of.

    Raises:
        ValueError: the state is not of a method that is known here.

    """
    kind = state.get("kind")
    if kind not in KINDS:
        raise ValueError(f"state: expected the kind {' or '.join(map(repr, KINDS))}, got {kind!r}")
    method = KINDS[kind](**state["arguments"])
    method.load_state(state)
    return method
