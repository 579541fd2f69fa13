"""How much of a training fits in a time."""

import time
from dataclasses import dataclass

import torch

from seqlight.data import WindowDataModule
from seqlight.experiments.training import EPOCHS, MAX_EPOCHS, OPTIMIZER_STEPS, TIME_STEPS_PER_EPOCH
from seqlight.models import Forecaster

TRIED_STEPS = 3
VALIDATION_COST = 0.35  # of a training step, for a batch of validation
OVERHEAD = 1.25
BATCHES_PER_EPOCH = 200  # where there are so many: many series want more steps than a short epoch has
SECONDS_PER_EPOCH = 0.1  # whatever its length
LEAST_EPOCHS = 3
PASSES = 3  # over all windows, where many series have more of them than the usual epochs take


@dataclass(frozen=True)
class Schedule:
    """A training that fits in a time.

    Attributes:
        epochs: number of epochs.
        batches_per_epoch: training batches of each.
        seconds: what it is expected to take.
        whole: whether it is as long as it would be without a limit.
    """

    epochs: int
    batches_per_epoch: int
    seconds: float
    whole: bool


def schedule(model: Forecaster, data: WindowDataModule, seconds: float) -> Schedule | None:
    """Return the longest usual training of a forecaster that fits in a time; None where no useful one does.

    A schedule of learning rates that is cut off at its height gives a poor model, so the time is known
    beforehand, from a few steps on a batch whose results are thrown away.

    Args:
        model: an untrained forecaster; its weights stay as they are.
        data: a DataModule that is set up.
        seconds: the time.

    """
    started = time.monotonic()
    step = seconds_per_step(model, data)
    seconds -= time.monotonic() - started
    loader = data.train_dataloader()
    window = data.context_length + data.prediction_length
    of_time_steps = TIME_STEPS_PER_EPOCH // (data.batch_size * window)
    whole_epoch = min(len(loader), max(BATCHES_PER_EPOCH, of_time_steps))
    validation = len(data.val_dataloader()) * VALIDATION_COST * step
    of_passes = PASSES * len(loader) // max(whole_epoch, 1)
    usual = min(max(EPOCHS, of_passes, OPTIMIZER_STEPS // max(whole_epoch, 1)), MAX_EPOCHS)
    per_epoch = SECONDS_PER_EPOCH + OVERHEAD * (whole_epoch * step + validation)
    epochs = int(min(usual, seconds / per_epoch))
    if epochs >= LEAST_EPOCHS:
        return Schedule(epochs, whole_epoch, epochs * per_epoch, epochs == usual)
    batches = int((seconds / LEAST_EPOCHS / OVERHEAD - validation) / step)
    if LEAST_EPOCHS * batches < min(OPTIMIZER_STEPS // 10, LEAST_EPOCHS * whole_epoch):
        return None
    return Schedule(LEAST_EPOCHS, batches, seconds, False)


def seconds_per_step(model: Forecaster, data: WindowDataModule) -> float:
    """Return the time of a training step, from a few whose gradients are thrown away."""
    batch = next(iter(data.train_dataloader()))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    taken = []
    with torch.random.fork_rng(devices=[]):
        for _ in range(TRIED_STEPS):
            started = time.monotonic()
            window, state = model._batch_window(batch, with_future=True)
            future = model._transformed_future(model._future(batch), state)
            total, count = model.training_loss(window, future)
            (total / count.clamp(min=1.0)).backward()
            taken.append(time.monotonic() - started)
    model.zero_grad(set_to_none=True)
    model.load_state_dict(before)
    return sorted(taken)[len(taken) // 2] * 1.2  # and the optimiser
