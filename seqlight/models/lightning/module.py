"""What all LightningModules of seqlight share: plain hyperparameters, optimisers by name, checkpoints."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning import LightningModule
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from seqlight.models.lightning.checkpoint import (
    CHECKPOINT_FORMAT,
    CHECKPOINT_KEY,
    class_reference,
    names_of_module,
    plain_names,
)
from seqlight.models.lightning.checks import check_number, choose
from seqlight.models.lightning.evaluation_mode import evaluation_mode
from seqlight.models.lightning.finite import FiniteTraining, check_weights
from seqlight.models.lightning.loader_positions import restore_loader_positions
from seqlight.models.lightning.mixed_lightning import RefusesPytorchLightning
from seqlight.models.lightning.optimization import LR_SCHEDULES, OPTIMIZERS, build_optimizer, build_schedule
from seqlight.models.lightning.random_state import random_state, set_random_state
from seqlight.models.lightning.renamed import rename_arguments


class SeqlightModule(RefusesPytorchLightning, LightningModule):
    """Base of the LightningModules whose hyperparameters are plain values.

    The ``__init__`` of a subclass calls ``save_hyperparameters``, keeps
    ``constructor_arguments(inspect.currentframe())`` as ``_constructor_arguments``, and takes ``optimizer``,
    ``lr``, ``weight_decay`` and ``lr_schedule`` through :meth:`_check_optimization`.
    """

    renamed_arguments: ClassVar[Mapping[str, str]] = {}
    """Names that arguments of the constructor had in the version before, and those they have now."""

    trained_until: dict[str, int] | None = None
    """By series, the time of the last target of training as an integer of the time axis, where it was trained
    on all that was known; kept in checkpoints. It refuses to be judged on earlier targets."""

    _constructor_arguments: frozenset[str]
    _resumed_random_state: dict[str, Tensor] | None = None

    def _check_optimization(
        self, optimizer: str, lr: float, weight_decay: float, lr_schedule: str | None
    ) -> None:
        """Check what :meth:`configure_optimizers` will use.

        Raises:
            TypeError: a rate is no number.
            ValueError: a negative rate, or an unknown name.

        """
        self.optimizer_class = choose("optimizer", optimizer, OPTIMIZERS)
        check_number("lr", lr, 0.0)
        check_number("weight_decay", weight_decay, 0.0)
        if lr_schedule is not None:
            choose("lr_schedule", lr_schedule, LR_SCHEDULES)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimiser and the schedule that the hyperparameters name."""
        lr = self.hparams["lr"]  # read now: the learning-rate finder changes it
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimizer = build_optimizer(self.optimizer_class, trained, lr, self.hparams.get("weight_decay", 0.0))
        schedule = self.hparams.get("lr_schedule")
        if schedule is None:
            return optimizer
        scheduler = build_schedule(schedule, optimizer, lr, self.trainer.estimated_stepping_batches)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_callbacks(self) -> list[Callback]:
        """Return the callback that ends a training whose loss or weights are no longer finite."""
        return [FiniteTraining()]

    def to_onnx(  # type: ignore[override]
        self,
        file_path: str | Path,
        input_sample: Mapping[str, Any] | None = None,
        *,
        outputs: Sequence[str] | None = None,
    ) -> None:
        """Write :meth:`forward` to an ONNX file, transform and decoding included: raw values in and out.

        See :func:`seqlight.onnx.export`, whose arguments these are under Lightning's names. The model is put
        into evaluation mode for it.

        Args:
            file_path: of the file.
            input_sample: keyword arguments of :meth:`forward`; None for :meth:`example_inputs`.
            outputs: names of the outputs; None for ``output``.

        """
        from seqlight.onnx import export

        with evaluation_mode(self):
            export(self, file_path, input_sample, outputs=outputs)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the classes of model and data, and the random states; name parameters as without compiling.

        Raises:
            NonFiniteError: weights are not finite.

        """
        super().on_save_checkpoint(checkpoint)
        check_weights(self)
        checkpoint["state_dict"] = plain_names(checkpoint["state_dict"])
        checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY] = self._arguments_to_save()
        states: list[dict[str, Tensor] | None] = [None] * self.trainer.world_size
        if self._is_distributed:
            torch.distributed.all_gather_object(states, random_state(self.device))
        else:
            states = [random_state(self.device)]
        checkpoint[CHECKPOINT_KEY] = {
            "class": class_reference(type(self)),
            "format": CHECKPOINT_FORMAT,
            "random_states": states,
        }
        data = getattr(self.trainer, "datamodule", None)
        if data is not None:
            checkpoint[CHECKPOINT_KEY]["data_module"] = class_reference(type(data))
        if self.trained_until is not None:
            checkpoint[CHECKPOINT_KEY]["trained_until"] = dict(self.trained_until)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Name parameters as this network has them; go on with the random numbers of a resumed fit."""
        super().on_load_checkpoint(checkpoint)
        checkpoint["state_dict"] = names_of_module(self, checkpoint["state_dict"])
        self.trained_until = checkpoint.get(CHECKPOINT_KEY, {}).get("trained_until")
        trainer = self._trainer
        if trainer is None or trainer.state.fn != "fit" or trainer.ckpt_path is None:
            return
        states = checkpoint.get(CHECKPOINT_KEY, {}).get("random_states", [])
        if len(states) == trainer.world_size:
            self._resumed_random_state = states[trainer.global_rank]
            # Now and not later: the loaders draw random numbers too, and may be set up right after this.
            set_random_state(self._resumed_random_state, self.device)

    def on_train_start(self) -> None:
        """Let the loaders of a resumed fit go on where they were."""
        super().on_train_start()
        restore_loader_positions(self.trainer)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Set the random state again where a resumed fit goes on in the middle of an epoch.

        Lightning has made the loader's iterator since, which the uninterrupted run did before the epoch.
        """
        if self._resumed_random_state is not None and batch_idx > 0:
            set_random_state(self._resumed_random_state, self.device)
        self._resumed_random_state = None

    def on_train_epoch_end(self) -> None:
        """Set the random state again where a resumed fit only closes the epoch that was saved.

        Lightning then makes the loader's iterator, which draws random numbers, a second time.
        """
        if self._resumed_random_state is not None:
            set_random_state(self._resumed_random_state, self.device)

    def mean_over_processes(self, total: Tensor, count: Tensor) -> Tensor:
        """Return a loss summed over cells divided by their count: the mean over all processes' cells.

        DDP averages the gradients of the processes. Dividing each process's sum by the mean count, rather
        than by its own, makes that average the gradient of the mean over all cells.
        """
        mean_count = self.trainer.strategy.reduce(count, reduce_op="mean") if self._is_distributed else count
        return total / mean_count.clamp(min=1.0)

    @classmethod
    def arguments_of_0_1(cls, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments, out of a checkpoint of version 0.1, that make the same model now."""
        made = dict(arguments)
        rename_arguments(cls, cls.renamed_arguments, made)
        return made

    def _arguments_to_save(self) -> dict[str, Any]:
        """Return the hyperparameters that the class is to be made with when it is loaded."""
        initial = self.hparams_initial
        return {
            name: value
            for name, value in self.hparams.items()
            if name in self._constructor_arguments
            or name.startswith("_")  # the CLI's own
            or value != initial.get(name)  # changed since, as the learning-rate finder does
        }

    @property
    def _resumes_fit(self) -> bool:
        trainer = self._trainer
        return trainer is not None and trainer.state.fn == "fit" and trainer.ckpt_path is not None

    @property
    def _is_distributed(self) -> bool:
        return self.trainer.world_size > 1
