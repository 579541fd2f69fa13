"""torch's recurrent layers on the kernels while a Trainer runs."""

import warnings
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn

from seqlight.nn.fused_layer import BorrowedLayer, change_class, is_fused
from seqlight.nn.fusion import sort_layers


class FusedLayers(Callback):
    """Runs every torch.nn.LSTM, GRU and RNN of a LightningModule on seqlight's kernels while a Trainer runs.

    It does what :func:`seqlight.nn.fuse` does when fitting, validating, testing or predicting starts, and
    takes it back at the end and when there is an error. Checkpoints are torch's own, those written in between
    too: the keys of state_dict are the same, and copies and pickles made in between, of hyperparameters that
    are modules or by other callbacks, hold no fused layer. Layers that were fused before remain so.

    Example:
        >>> trainer = Trainer(callbacks=[seqlight.callbacks.FusedLayers()])

    In a configuration file of Lightning's command line::

        trainer:
          callbacks:
            - class_path: seqlight.callbacks.FusedLayers

    Warns:
        UserWarning: there is no recurrent layer, or one remains torch's, and why; once.
    """

    def __init__(self) -> None:
        self._layers: list[nn.RNNBase] = []
        self._said: str | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Fuse the recurrent layers."""
        self._fuse(pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Fuse the recurrent layers."""
        self._fuse(pl_module)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Fuse the recurrent layers."""
        self._fuse(pl_module)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Fuse the recurrent layers."""
        self._fuse(pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Take the fusion back."""
        self._unfuse()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the fusion back."""
        self._unfuse()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the layers out of copies and pickles: they are those of one run."""
        return {**self.__dict__, "_layers": []}

    def _fuse(self, model: nn.Module) -> None:
        candidates, kept = sort_layers(model)
        if kept is not None and kept != self._said:
            self._said = kept
            warnings.warn(f"FusedLayers: {kept}", stacklevel=2)
        for layer in candidates:
            change_class(layer, BorrowedLayer)
            self._layers.append(layer)

    def _unfuse(self) -> None:
        for layer in self._layers:
            if is_fused(layer):  # unless somebody has called unfuse
                change_class(layer, None)
        self._layers.clear()
