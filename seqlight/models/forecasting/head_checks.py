"""What heads go together with: transforms, strategies, losses."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from seqlight.heads import Head, PointHead
from seqlight.models.lightning.checks import check_number
from seqlight.strategies import Strategy
from seqlight.transforms import Compose, Transform


def check_quantiles(quantiles: Any, head: str) -> tuple[float, ...]:
    """Return the levels of a forecaster's argument ``quantiles``.

    Raises:
        TypeError: they are no list of numbers.
        ValueError: one is not above 0 and below 1, they do not rise, or the head is ``"point"``.

    """
    if head == PointHead.name:
        if quantiles is not None:
            raise ValueError(
                f"quantiles: head='point' gives none, got {quantiles}; use head='quantile', which is trained "
                "for them, or a distribution, such as head='student_t'"
            )
        return ()
    if quantiles is None:
        return (0.1, 0.5, 0.9)
    if isinstance(quantiles, str) or not isinstance(quantiles, Sequence):
        raise TypeError(f"quantiles: expected a list such as [0.1, 0.5, 0.9], got {quantiles!r}")
    levels = [check_number("quantiles", level, float("-inf")) for level in quantiles]
    if not levels or any(not 0.0 < level < 1.0 for level in levels):
        hint = "; 80 per cent is the pair 0.1 and 0.9" if any(level >= 1.0 for level in levels) else ""
        raise ValueError(f"quantiles: expected levels above 0 and below 1, got {list(quantiles)}{hint}")
    if levels != sorted(set(levels)):
        raise ValueError(f"quantiles: expected rising levels {sorted(set(levels))}, got {list(quantiles)}")
    return tuple(levels)


def check_head(
    head: Head,
    *,
    transform: Transform,
    transform_text: str,
    strategy: Strategy,
    steps: int,
    loss: str,
    cycle: int | None,
) -> None:
    """Raise ValueError where a head's quantiles could not be told, or would be wrong.

    Args:
        head: the head.
        transform: what takes its values back to original units.
        transform_text: as it was given.
        strategy: how one step becomes many.
        steps: number H of steps ahead.
        loss: the forecaster's argument ``loss``.
        cycle: its argument ``cycle``.

    """
    if isinstance(head, PointHead):
        return
    if loss != "mse":
        raise ValueError(
            f"loss: head={head.name!r} has a loss of its own, got {loss!r}; leave loss out, or use "
            "head='point'"
        )
    if head.counts and not transform.scales_only:
        raise ValueError(
            f"transform: head={head.name!r} forecasts counts, and {transform_text!r} makes of them what no "
            "count can be; use transform='mean_scale', which divides by the mean of the past and subtracts "
            "nothing, or head='student_t'"
        )
    if head.counts and cycle is not None:
        raise ValueError(
            f"cycle: head={head.name!r} forecasts counts, and a learned cycle is subtracted, got {cycle}; "
            "leave cycle out, and give the hour or the weekday as a covariate"
        )
    if not head.draws and strategy.conditional:
        raise ValueError(
            "head: with strategy='recursive' each step is forecast from values drawn for those before it, "
            f"and nothing can be drawn from head={head.name!r}; use strategy='direct' or 'every_step', or "
            "head='normal', 'student_t', 'poisson' or 'negative_binomial'"
        )
    if not head.draws and not transform.keeps_quantiles(steps):
        mixing = mixing_parts(transform, steps)
        raise ValueError(
            f"transform: {transform_text!r} adds up steps when it is undone ({mixing}), and quantiles of "
            f"sums are no sums of quantiles; with head={head.name!r} use lags of at least prediction_length "
            f"= {steps}, or no difference. head='normal' and 'student_t' go through it by sample paths"
        )


def mixing_parts(transform: Transform, steps: int) -> str:
    """Return the parts of a transform whose inverse mixes steps."""
    parts = transform.transforms if isinstance(transform, Compose) else [transform]
    mixing = [part for part in parts if not part.keeps_quantiles(steps)]
    return ", ".join(f"{type(part).__name__}({part.extra_repr().partition(', ')[2]})" for part in mixing)


def check_counts(name: str, values: Tensor, head: Head) -> None:
    """Raise ValueError where values are no counts; NaN is a missing one."""
    wrong = (values < 0) | (values != values.round())
    wrong = wrong & ~values.isnan()
    if bool(wrong.any()):
        raise ValueError(
            f"{name}: head={head.name!r} forecasts counts 0, 1, 2, ..., and {int(wrong.sum())} of "
            f"{values.numel()} values are none, such as {float(values[wrong][0]):g}; use head='student_t' or "
            "'normal'"
        )
