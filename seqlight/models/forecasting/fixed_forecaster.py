"""What ``Trainer.fit`` leaves as it is: baselines and ensembles."""

from typing import Any

import torch
from torch import nn

from seqlight.metrics import MeanOverCells, forecast_metrics
from seqlight.models.forecasting.window_forecaster import WindowForecaster
from seqlight.models.forecasting.window_values import Batch


class FixedForecaster(WindowForecaster):
    """A forecaster that there is nothing to train of.

    It is used with ``Trainer.validate``, ``test`` and ``predict``. ``Trainer.fit`` works too: it logs the
    errors on the training part, validates once and stops after one epoch. Lightning's ModelCheckpoint waits
    for a step of an optimiser, and so writes nothing; ``trainer.save_checkpoint`` does.

    Args:
        kwargs: the arguments of :class:`~seqlight.models.WindowForecaster`.

    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.automatic_optimization = False
        self.train_metrics = forecast_metrics()
        self.train_mean_loss = MeanOverCells()
        self.register_load_state_dict_pre_hook(_drop_transform)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the forecast's loss as ``train_loss``."""
        self._evaluation_step(batch, "train")

    def on_train_epoch_end(self) -> None:
        """Stop: another epoch would be the same."""
        self.trainer.should_stop = True

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return no optimiser."""
        return []


def _drop_transform(module: nn.Module, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
    """Leave out what checkpoints hold of a time when baselines had a transform, which did nothing."""
    state_dict.pop(f"{prefix}transform.fitted", None)
