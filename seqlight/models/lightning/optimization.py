"""Optimisers and learning-rate schedules by name."""

import math
from collections.abc import Iterable

import torch
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
"""The optimisers by the names that a forecaster's ``optimizer`` argument takes."""


def _cosine(optimizer: Optimizer, lr: float, total_steps: int) -> LRScheduler:
    return CosineAnnealingLR(optimizer, T_max=total_steps)


def _one_cycle(optimizer: Optimizer, lr: float, total_steps: int) -> LRScheduler:
    return OneCycleLR(optimizer, max_lr=lr, total_steps=total_steps)


LR_SCHEDULES = {"cosine": _cosine, "one_cycle": _one_cycle}
"""The schedules, stepped once per optimiser step, by the names that ``lr_schedule`` takes."""


def build_optimizer(
    optimizer: type[Optimizer], parameters: Iterable[Parameter], lr: float, weight_decay: float
) -> Optimizer:
    """Return the optimiser over ``parameters``."""
    return optimizer(parameters, lr=lr, weight_decay=weight_decay)  # type: ignore[call-arg]


def build_schedule(schedule: str, optimizer: Optimizer, lr: float, total_steps: float) -> LRScheduler:
    """Return the schedule over ``total_steps`` optimiser steps.

    Raises:
        ValueError: the training has no end.

    """
    if not math.isfinite(total_steps):
        raise ValueError(
            f"lr_schedule={schedule!r} needs a training of known length: "
            "set max_epochs or max_steps of the Trainer"
        )
    return LR_SCHEDULES[schedule](optimizer, lr, max(1, int(total_steps)))
