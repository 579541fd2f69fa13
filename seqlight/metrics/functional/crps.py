"""The continuous ranked probability score (CRPS), Matheson and Winkler 1976, in original units."""

from collections.abc import Sequence

import torch
from torch import Tensor

from seqlight.metrics.functional.quantiles import pinball_loss


def crps_quantiles(preds: Tensor, target: Tensor, quantiles: Sequence[float] | Tensor) -> Tensor:
    """Return the CRPS as approximated from quantiles: twice the mean pinball loss over the levels.

    The CRPS is twice the integral of the pinball loss over all levels (Laio and Tamea 2007); evenly spread
    levels such as 0.1 to 0.9 approximate it.

    Args:
        preds: quantile forecasts ``[..., Q]``.
        target: true values ``[...]``.
        quantiles: the Q levels, each above 0 and below 1.

    Returns:
        The shape of target.

    Raises:
        ValueError: a level outside (0, 1), or shapes that do not fit.

    """
    return 2 * pinball_loss(preds, target, quantiles).mean(-1)


def crps_samples(samples: Tensor, target: Tensor) -> Tensor:
    """Return the CRPS of the empirical distribution of samples.

    ``mean |x_i - y| - 1/2 mean |x_i - x_j|`` over all pairs, of sorted samples in O(N log N).

    Args:
        samples: ``[N, ...]``, N samples of the target.
        target: true values ``[...]``.

    Returns:
        The shape of target.

    Raises:
        ValueError: shapes that do not fit.

    """
    if samples.shape[1:] != target.shape or not len(samples):
        raise ValueError(f"samples: expected [N, ...] = [N, {list(target.shape)}], got {list(samples.shape)}")
    count = len(samples)
    ordered = samples.sort(0).values
    ranks = torch.arange(1, count + 1, dtype=samples.dtype, device=samples.device)
    weights = ((2 * ranks - count - 1) / count**2).reshape(-1, *[1] * target.ndim)
    return (samples - target).abs().mean(0) - (weights * ordered).sum(0)
