"""Training losses in original units, relative to a series' scale or to the values themselves."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from seqlight.transforms import (
    Compose,
    Identity,
    InstanceNormalizer,
    LastValue,
    MeanScaler,
    MinMaxScaler,
    StandardScaler,
    Transform,
    WindowState,
)

SHIFTS_AND_SCALES = (Identity, InstanceNormalizer, LastValue, MeanScaler, MinMaxScaler, StandardScaler)
LEAST_MAGNITUDE = 1e-8
"""Of what sMAPE divides by: 0 forecast as 0 has no error."""


@dataclass(frozen=True)
class Units:
    """What a number in transformed space is in original units: ``unit * number + offset``.

    Attributes:
        offset: ``[B, 1, C]``.
        unit: ``[B, 1, C]``.
        scale: ``[B, 1, C]``, the denominators of MASE; None where the batch has none.

    """

    offset: Tensor
    unit: Tensor
    scale: Tensor | None


ScaledLoss = Callable[[Tensor, Tensor, Units], Tensor]
"""Takes outputs and targets in transformed space, and their units, and returns the loss of every cell."""


def _mase(preds: Tensor, target: Tensor, units: Units) -> Tensor:
    """Return absolute errors divided by the scale of their series; 0 for a series without one."""
    if units.scale is None:
        raise ValueError(
            "scale: needed in the batch for loss='mase', [B, C], the denominators of MASE, as the training "
            "batches of a DataModule have it; or train with loss='mae'"
        )
    weight = torch.where(units.scale > 0, units.unit / units.scale, 0.0)
    return (preds - target).abs() * _like(weight, preds)


def _smape(preds: Tensor, target: Tensor, units: Units) -> Tensor:
    """Return ``2 |y - p| / (|y| + |p|)``, from 0 to 2."""
    offset, unit = _like(units.offset, preds), _like(units.unit, preds)
    forecast, truth = preds * unit + offset, target * unit + offset
    magnitude = (forecast.abs() + truth.abs()).clamp(min=LEAST_MAGNITUDE)
    return 2 * (forecast - truth).abs() / magnitude


SCALED_LOSSES: dict[str, ScaledLoss] = {"mase": _mase, "smape": _smape}
"""The losses by the names that a forecaster's ``loss`` has for them."""


def units_of(transform: Transform, state: WindowState, past: Tensor, scale: Tensor | None) -> Units:
    """Return the units of windows.

    Args:
        transform: one that :func:`check_scaled_loss` lets pass.
        state: what it has returned for the windows.
        past: ``[B, L, C]``.
        scale: ``[B, C]``, or None.

    """
    ones = torch.ones_like(past[:, :1])
    offset = transform.inverse(torch.zeros_like(ones), state)
    unit = transform.inverse(ones, state) - offset
    return Units(offset, unit, None if scale is None else scale.to(past.dtype).unsqueeze(1))


def check_scaled_loss(loss: str, transform: Transform, text: str, cycle: int | None) -> None:
    """Raise ValueError where a loss in original units is not known step by step.

    Args:
        loss: the forecaster's argument.
        transform: its transform.
        text: as it was given.
        cycle: the forecaster's argument.

    """
    if loss not in SCALED_LOSSES:
        return
    parts = transform.transforms if isinstance(transform, Compose) else [transform]
    if not all(isinstance(part, SHIFTS_AND_SCALES) for part in parts):
        raise ValueError(
            f"loss: {loss!r} needs a transform that shifts and scales and does nothing else, such as "
            f"'standard', 'instance' or 'instance + last', got transform={text!r}; change it, or take "
            "loss='mae'"
        )
    if loss == "smape" and cycle is not None:
        raise ValueError(
            f"loss: 'smape' and cycle={cycle} do not go together, for the values that it divides by have the "
            "cycle in them; use loss='mase'"
        )


def _like(values: Tensor, cells: Tensor) -> Tensor:
    """View ``[B, 1, C]`` so that it broadcasts with cells ``[B, ..., C]``."""
    return values.reshape(values.shape[0], *[1] * (cells.ndim - 2), values.shape[2])
