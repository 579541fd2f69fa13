"""How much forecasts of one target change from one origin to the next."""

import torch
from torch import Tensor


def forecast_changes(preds: Tensor, series_index: Tensor, start: Tensor) -> Tensor:
    """Return how each forecast differs from that of the origin before, target by target.

    What Van Belle, Crevits and Verbeke 2023 ("Improving forecast stability using deep learning") call rolling
    origin forecast instability, and Godahewa et al. 2025 ("On forecast stability") vertical stability, in
    the data's units.

    Args:
        preds: forecasts ``[W, H, C]`` of W windows, in any order.
        series_index: int64 ``[W]``.
        start: int64 ``[W]``, the row of each window's first step in its series.

    Returns:
        ``[W, H, C]``: at step h of a window, its forecast less the one that the series' window before made
        of the same row; NaN for steps which that did not reach, and for a series' first window.

    Raises:
        ValueError: shapes that do not fit, or a series with two windows of one start.

    """
    if preds.ndim != 3 or series_index.shape != preds.shape[:1] or start.shape != preds.shape[:1]:
        raise ValueError(
            "preds: expected [W, H, C] and series_index and start [W], got "
            f"{list(preds.shape)}, {list(series_index.shape)} and {list(start.shape)}"
        )
    order = start.argsort(stable=True)
    order = order[series_index[order].argsort(stable=True)]
    changes = torch.full_like(preds, torch.nan)
    if len(order) < 2:
        return changes
    earlier, later = order[:-1], order[1:]
    one_series = series_index[earlier] == series_index[later]
    apart = start[later] - start[earlier]
    if bool((one_series & (apart == 0)).any()):
        raise ValueError("start: expected each window of a series once, got one start twice")
    horizon = preds.shape[1]
    steps = torch.arange(horizon, device=preds.device) + apart[:, None]
    reached = one_series[:, None] & (steps < horizon)
    before = preds[earlier].gather(1, steps.clamp(0, horizon - 1)[..., None].expand(-1, -1, preds.shape[2]))
    changes[later] = torch.where(reached[..., None], preds[later] - before, torch.nan)
    return changes
