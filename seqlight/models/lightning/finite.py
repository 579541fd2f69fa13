"""Losses, weights and predictions that are not finite: training ends, and nothing is predicted unsaid."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerStatus
from torch import Tensor, nn

CHECK_EVERY = 50  # steps between looks at the weights, and at losses of a device that is waited for
# Automatic mixed precision halves its scale where a gradient is not finite, and skips the step. A healthy
# training ends above 1; here some 36 more steps were skipped than were made good.
SMALLEST_SCALE = 2.0**-20


class NonFiniteError(FloatingPointError):
    """A loss, a weight or a prediction is infinite or not a number.

    Attributes:
        what: what is not finite.
        where: ``"epoch 0, step 12"`` of a training, counted from 0 as Lightning does; else ``""``.
    """

    def __init__(self, what: str, advice: str, where: str = "") -> None:
        super().__init__(f"{f'training stopped in {where}: ' if where else ''}{what}; {advice}")
        self.what = what
        self.where = where


class FiniteTraining(Callback):
    """Ends a training whose loss or weights are no longer finite; every SeqlightModule brings it along.

    On the CPU each loss is looked at before its gradient is taken, so that the weights stay as they were.
    Another device is not waited for: its losses are looked at all together, every 50 steps and at the end of
    an epoch, as are the weights. With several processes the weights alone count, which all of them have in
    common, so that all stop together. Where a gradient scaler skips steps, as with ``precision="16-mixed"``,
    single losses may be infinite; a scale that has fallen to nothing ends the training.
    """

    def __init__(self) -> None:
        self._losses: list[Tensor] = []
        self._batch: Any = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier fit."""
        self._losses = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Keep the batch, to look for infinite values where the loss is not finite."""
        self._batch = batch

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Look at the loss, or keep it for later."""
        if trainer.world_size > 1 or _scaler(trainer) is not None:
            return
        if loss.device.type != "cpu":
            self._losses.append(loss.detach())
        elif not math.isfinite(value := loss.item()):
            self._stop(trainer, pl_module, f"the loss is {value}", trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at weights and losses, every so many batches."""
        if (batch_idx + 1) % CHECK_EVERY == 0:
            self._check(trainer, pl_module)
        self._batch = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at weights and losses."""
        self._check(trainer, pl_module)

    def _check(self, trainer: Trainer, pl_module: LightningModule) -> None:
        losses, self._losses = self._losses, []
        if losses:
            values = torch.stack(losses).flatten().cpu()
            wrong = (~values.isfinite()).nonzero().flatten()
            if len(wrong):
                first = int(wrong[0])  # each was one batch; the last one is that of the step just made
                ago = (len(values) - 1 - first) // trainer.accumulate_grad_batches
                step = max(0, trainer.global_step - 1 - ago)
                self._stop(trainer, pl_module, f"the loss is {float(values[first])}", step)
        name = first_non_finite(pl_module)
        if name is not None:
            self._stop(trainer, pl_module, "", trainer.global_step)
        scaler = _scaler(trainer)
        if scaler is not None and scaler.get_scale() < SMALLEST_SCALE:
            what = "the gradients have not been finite for long, and their steps were skipped"
            self._stop(trainer, pl_module, what, trainer.global_step)

    def _stop(self, trainer: Trainer, pl_module: LightningModule, what: str, step: int) -> None:
        name = first_non_finite(pl_module)
        if name is not None:
            weights = f"weights are no longer finite, such as {name}"
            what = f"{what}, and {weights}" if what else weights
        infinite = next(infinite_entries(self._batch), None)
        if infinite is not None:
            advice = f"the batch's {infinite!r} holds infinite values: mend the data"
        else:
            advice = _advice(trainer, pl_module)
        raise NonFiniteError(what, advice, f"epoch {trainer.current_epoch}, step {step}")


def check_weights(module: LightningModule) -> None:
    """Raise :class:`NonFiniteError` where a checkpoint would hold weights that are not finite."""
    name = first_non_finite(module)
    if name is None:
        return
    trainer = module.trainer
    trained = trainer.state.fn == "fit" and trainer.state.status == TrainerStatus.RUNNING
    where = f"epoch {trainer.current_epoch}, step {trainer.global_step}" if trained else ""
    what = f"weights are no longer finite, such as {name}, and no checkpoint was written"
    raise NonFiniteError(what, _advice(trainer, module), where)


def check_prediction(
    prediction: Mapping[str, Tensor], batch: Mapping[str, Any], known: Tensor | None = None
) -> None:
    """Raise :class:`NonFiniteError` where a prediction is not finite, though its input holds known values.

    Args:
        prediction: tensors of a batch.
        batch: its inputs.
        known: bool, broadcast to the predictions: False where the input holds nothing known; None for
            everywhere True.
    """
    for name, value in prediction.items():
        if not value.is_floating_point():
            continue
        wrong = ~value.isfinite()
        if known is not None:
            wrong = wrong & known
        if not bool(wrong.any()):
            continue
        infinite = next(infinite_entries(batch), None)
        if infinite is not None:
            advice = f"the batch's {infinite!r} holds infinite values: mend the data"
        else:
            advice = (
                "its weights may not be finite, or its values too large for this precision: look at the "
                "checkpoint, use precision='32-true', or divide the data by a constant"
            )
        rows = wrong.flatten(1).any(1)
        series = batch.get("series_index")
        which = f" of series {int(series[rows][0])}" if series is not None else ""
        what = f"the model's {name} is {float(value[wrong][0])} in {int(rows.sum())} of {len(rows)} rows"
        raise NonFiniteError(f"{what} of a batch, first{which}" if which else f"{what} of a batch", advice)


def first_non_finite(module: nn.Module) -> str | None:
    """Return the name of the first parameter that is not finite; None if all are."""
    named = [(name, value) for name, value in module.named_parameters() if value.is_floating_point()]
    if not named:
        return None
    finite = torch.stack([value.detach().isfinite().all() for _, value in named]).cpu().tolist()
    return None if all(finite) else named[finite.index(False)][0].replace("_orig_mod.", "")


def infinite_entries(batch: Any) -> Iterator[str]:
    """Yield the names of a batch's entries that hold infinite values; NaN is a missing cell."""
    if isinstance(batch, Mapping):
        for name, value in batch.items():
            if isinstance(value, Tensor) and value.is_floating_point() and bool(value.isinf().any()):
                yield str(name)


def _scaler(trainer: Trainer) -> Any:
    return getattr(trainer.precision_plugin, "scaler", None)


def _advice(trainer: Trainer, module: LightningModule) -> str:
    """Return what to try, in the names of arguments of the module and the Trainer."""
    precision = str(trainer.precision)
    if precision == "16-true":
        return (
            "with precision='16-true' weights and the optimiser's sums are kept in float16, from 6e-8 to "
            "65504: use precision='16-mixed', 'bf16-mixed' or '32-true'"
        )
    advice = []
    lr = module.hparams.get("lr")
    if lr:
        advice.append(f"a lower rate, lr={min(lr / 10, 1e-3):g}")
    if not trainer.gradient_clip_val:
        advice.append("gradient_clip_val=1.0")
    if module.hparams.get("transform") == "none":
        advice.append("transform='standard'")
    if precision != "32-true":
        advice.append(f"precision='32-true' in place of {precision!r}")
    return f"try {' or '.join(advice)}, and look for very large values in the data"
