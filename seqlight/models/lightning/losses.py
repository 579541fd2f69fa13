"""Training losses by name."""

from functools import partial

from torch.nn import functional as F

from seqlight.strategies import PointwiseLoss

LOSSES: dict[str, PointwiseLoss] = {
    "mse": partial(F.mse_loss, reduction="none"),
    "mae": partial(F.l1_loss, reduction="none"),
    "huber": partial(F.huber_loss, reduction="none"),
}
"""The losses, of every cell, by the names that a forecaster's ``loss`` argument takes."""
