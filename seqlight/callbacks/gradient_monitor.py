"""Gradients watched while training: by layer, and through time."""

import csv
import io
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from torch import nn

from seqlight.callbacks.gradient_norms import gradient_norms
from seqlight.callbacks.gradient_plot import gradients_through_time
from seqlight.callbacks.state_gradients import StateGradients, recurrent_layers
from seqlight.whole_files import staged, write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NORMS_FILE = "gradient_norms.csv"
THROUGH_TIME_FILE = "gradients_through_time.csv"
PLOT_FILE = "gradients_through_time.png"


@dataclass
class GradientRecord:
    """What was seen in one training step.

    Attributes:
        step: the Trainer's ``global_step`` before the step.
        epoch: its epoch.
        norms: norm of the gradients of each layer's parameters, and ``"total"``, before clipping.
        through_time: by state, such as ``"network.core.l0.h"``, the norm [T] of the gradient of the loss with
            respect to the state at every time step.
    """

    step: int
    epoch: int
    norms: dict[str, float] = field(default_factory=dict)
    through_time: dict[str, NDArray[np.float32]] = field(default_factory=dict)


class GradientMonitor(Callback):
    """Watches gradients vanish and explode, in any LightningModule.

    Every ``every_n_steps`` optimiser steps it logs to all of the Trainer's loggers, and to its
    ``callback_metrics``,

    - ``grad_norm/<layer>`` and ``grad_norm/total``: the norm of the gradients of each layer's parameters,
      unscaled and before clipping;
    - ``state_grad_norm/<layer>.h/first`` and ``/last``: the norm of the total gradient of the loss with
      respect to the state after the first and after the last time step, for the layers of
      :mod:`seqlight.nn` that are recurrent (``.c`` is an LSTM's cell state). The total gradient includes all
      later steps, which a hook on a layer's output does not show.

    The norms at all time steps are in :attr:`records`, and :meth:`plot` draws them: one line per monitored
    step, on a logarithmic scale, where a vanishing gradient falls towards the left and an exploding one
    rises.

    A monitored step runs the recurrent layers once more, one time step at a time, after the backward pass,
    which makes it slower; others cost nothing. Training is what it would be without the monitor, to the
    last bit. Where gradients are accumulated, the first of the batches is shown; in distributed training, the
    share of the first process, its loss's gradient before the processes' are averaged.

    Args:
        every_n_steps: monitored are the optimiser steps 0, n, 2n, ...; None takes the Trainer's
            ``log_every_n_steps``.
        through_time: whether to compute gradients with respect to the states.
        dirpath: where to write ``gradient_norms.csv``, ``gradients_through_time.csv`` and
            ``gradients_through_time.png`` when training ends, also by an exception; None writes none.

    Raises:
        ValueError: ``every_n_steps`` is below 1.

    Example:
        >>> monitor = GradientMonitor(every_n_steps=100)
        >>> Trainer(callbacks=[monitor], gradient_clip_val=1.0).fit(model, data)
        >>> monitor.plot("gradients.png")
    """

    def __init__(
        self,
        every_n_steps: int | None = None,
        *,
        through_time: bool = True,
        dirpath: str | os.PathLike[str] | None = None,
    ) -> None:
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"every_n_steps: expected at least 1 or None, got {every_n_steps}")
        self.every_n_steps = every_n_steps
        self.through_time = through_time
        self.dirpath = None if dirpath is None else Path(dirpath)
        self.records: list[GradientRecord] = []
        self._current: GradientRecord | None = None
        self._states: StateGradients | None = None
        self._has_states = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier fit, and look for layers to watch through time."""
        self.records = []
        self._current = None
        self._has_states = self.through_time and bool(recurrent_layers(pl_module))
        if self._has_states and any(map(_is_compiled, pl_module.modules())):
            self._has_states = False
            warnings.warn(
                "GradientMonitor: the module is compiled, so gradients through time are not recorded; train "
                "without torch.compile, or pass through_time=False",
                stacklevel=2,
            )

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Begin to record where a step is due."""
        step = trainer.global_step
        every = self.every_n_steps or trainer.log_every_n_steps or 1  # type: ignore[attr-defined]
        if step % every or (self.records and self.records[-1].step == step):
            return
        self._current = GradientRecord(step, trainer.current_epoch)
        self.records.append(self._current)
        if self._has_states and trainer.is_global_zero:
            self._states = StateGradients(pl_module)
            self._states.__enter__()

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute gradients through time, before the parameters change."""
        states, self._states = self._states, None
        if states is None or self._current is None:
            return
        states.__exit__()
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        scale = 1.0 if scaler is None else 1 / scaler.get_scale()
        if pl_module.automatic_optimization:
            scale *= trainer.accumulate_grad_batches  # by which Lightning divided the loss
        norms = states.norms(scale)
        self._current.through_time = {name: values.numpy() for name, values in norms.items()}

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Compute the norms by layer, and log."""
        record, self._current = self._current, None
        if record is None:
            return
        record.norms = {name: norm.item() for name, norm in gradient_norms(pl_module).items()}
        metrics = {f"grad_norm/{name}": norm for name, norm in record.norms.items()}
        for name, values in record.through_time.items():
            metrics[f"state_grad_norm/{name}/first"] = float(values[0])
            metrics[f"state_grad_norm/{name}/last"] = float(values[-1])
        # Directly, for `log` passes on to the loggers only every `log_every_n_steps`.
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=trainer.fit_loop.epoch_loop._batches_that_stepped)
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in metrics.items()})

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End recording where there was no backward pass."""
        self._stop()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the files."""
        self._write(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """End recording, and write the files."""
        self._stop()
        self._write(trainer)

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw the gradients through time: norm against time step, one line per monitored step.

        Args:
            path: a file to write, such as ``"gradients.png"``; None writes none.

        Returns:
            The matplotlib figure.

        Raises:
            RuntimeError: nothing was recorded.
        """
        records = [record for record in self.records if record.through_time]
        if not records:
            raise RuntimeError(
                "GradientMonitor has no gradients through time to plot: it needs a fit of a module with "
                "recurrent layers of seqlight.nn (RNN, LSTM, GRU), and through_time=True"
            )
        figure = gradients_through_time(
            [record.step for record in records],
            [record.through_time for record in records],
            title="Gradient of the loss with respect to the state",
        )
        if path is not None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with staged([Path(path)]) as (temporary,):
                figure.savefig(temporary)
        return figure

    def _stop(self) -> None:
        states, self._states = self._states, None
        if states is not None:
            states.__exit__()

    def _write(self, trainer: Trainer) -> None:
        if self.dirpath is None or not trainer.is_global_zero or not self.records:
            return
        rows: list[Sequence[Any]] = [["step", "epoch", "layer", "norm"]]
        for record in self.records:
            rows += ([record.step, record.epoch, *item] for item in record.norms.items())
        write_rows(rows, self.dirpath / NORMS_FILE)
        if not any(record.through_time for record in self.records):
            return
        rows = [["step", "epoch", "state", "time_step", "norm"]]
        for record in self.records:
            for name, values in record.through_time.items():
                steps = enumerate(values.tolist(), start=1)
                rows += ([record.step, record.epoch, name, *step] for step in steps)
        write_rows(rows, self.dirpath / THROUGH_TIME_FILE)
        self.plot(self.dirpath / PLOT_FILE)


def write_rows(rows: Sequence[Sequence[Any]], path: Path) -> None:
    """Write rows as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    write_whole(path, text.getvalue().encode())


def _is_compiled(module: nn.Module) -> bool:
    return module._compiled_call_impl is not None or hasattr(module, "_orig_mod")
