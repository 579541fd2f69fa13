"""Reversible transforms of the target, fitted on the training part and saved in the checkpoint."""

from .base import Transform, WindowState
from .identity import Identity
from .instance import InstanceNormalizer
from .standard import StandardScaler

TRANSFORMS: dict[str, type[Transform]] = {
    "none": Identity,
    "standard": StandardScaler,
    "instance": InstanceNormalizer,
}
"""The transforms by the names that a forecaster's ``transform`` argument takes."""

__all__ = ["TRANSFORMS", "Identity", "InstanceNormalizer", "StandardScaler", "Transform", "WindowState"]
