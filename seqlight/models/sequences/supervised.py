"""What the models that are no forecasters share: an output, its target, their loss and metrics."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn
from torchmetrics import MetricCollection

from seqlight.metrics import MeanOverCells
from seqlight.models.lightning.checkpoint import constructor_arguments
from seqlight.models.lightning.checks import check_batch, plain_value
from seqlight.models.lightning.finite import check_prediction
from seqlight.models.lightning.module import SeqlightModule
from seqlight.models.lightning.renamed import rename_arguments

Batch = Mapping[str, Tensor]


class SupervisedModule(SeqlightModule, ABC):
    """A network whose output is compared with a target of the batch.

    A subclass says which entry of the batch the target is (``target_key``), what the network makes of the
    others (:meth:`output`), and what is lost (:meth:`loss`) and measured (:meth:`build_metrics`,
    :meth:`update_metrics`).

    **Logged**: ``train_loss``, ``val_loss`` and ``test_loss``, means over the known cells of the target, and
    the metrics with the prefixes ``val_`` and ``test_``.

    Args:
        optimizer: ``"adam"``, ``"adamw"``, ``"nadam"``, ``"rmsprop"`` or ``"sgd"``.
        lr: learning rate, the highest one of a schedule.
        weight_decay: the optimiser's weight decay.
        lr_schedule: None, ``"cosine"`` (down to 0) or ``"one_cycle"``, over the whole training.

    Raises:
        TypeError: an argument, or one of a subclass, is no plain value of the right kind.
        ValueError: a negative rate, or an unknown name.

    """

    target_key: str
    """The entry of a batch that holds the target."""
    input_key: str
    """The entry of a batch that the output is made from."""

    def __init__(
        self,
        *,
        optimizer: str = "adam",
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        lr_schedule: str | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self._constructor_arguments = constructor_arguments(inspect.currentframe())
        rename_arguments(type(self), self.renamed_arguments, self.hparams)
        for name, value in self.hparams.items():
            self.hparams[name] = plain_value(name, value)
        self._check_optimization(optimizer, lr, weight_decay, lr_schedule)
        self.network = self.build_network()
        self.val_metrics, self.test_metrics = self.build_metrics(), self.build_metrics()
        self.val_mean_loss, self.test_mean_loss = MeanOverCells(), MeanOverCells()

    @abstractmethod
    def build_network(self) -> nn.Module:
        """Return the network; called once, while the model is made. The hook for subclasses."""

    @abstractmethod
    def build_metrics(self) -> MetricCollection:
        """Return the metrics of one part of the data, by their names without prefix."""

    @abstractmethod
    def output(self, batch: Batch) -> Tensor:
        """Return what the network makes of a batch."""

    @abstractmethod
    def target(self, batch: Batch, output: Tensor) -> Tensor:
        """Return the target of a batch, checked against the output."""

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss summed over the known cells of the target, and their count."""

    @abstractmethod
    def update_metrics(self, metrics: MetricCollection, output: Tensor, target: Tensor) -> None:
        """Add a batch to the metrics."""

    def prediction(self, output: Tensor) -> dict[str, Tensor]:
        """Return what ``Trainer.predict`` gives for an output."""
        return {"prediction": output}

    def setup(self, stage: str) -> None:
        """Fit nothing; a subclass with a transform fits that."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the training loss, a mean over the known cells of all processes."""
        output, target = self._output_and_target(batch)
        loss = self.mean_over_processes(*self.loss(output, target))
        self.log(
            "train_loss",
            loss,
            on_step=False,
            on_epoch=True,
            prog_bar=True,
            batch_size=len(output),
            sync_dist=True,
        )
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Update ``val_loss`` and the validation metrics."""
        self._evaluation_step(batch, "val", self.val_mean_loss, self.val_metrics)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Update ``test_loss`` and the test metrics."""
        self._evaluation_step(batch, "test", self.test_mean_loss, self.test_metrics)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Return the predictions, and ``series_index`` and ``start`` [B] where the batch has them."""
        check_batch(batch, [self.input_key])
        made = self.prediction(self.output(batch))
        check_prediction(made, batch)
        return made | {name: batch[name] for name in ("series_index", "start") if name in batch}

    def _output_and_target(self, batch: Batch) -> tuple[Tensor, Tensor]:
        check_batch(batch, [self.input_key, self.target_key])
        output = self.output(batch)
        return output, self.target(batch, output)

    def _evaluation_step(
        self, batch: Batch, stage: str, mean_loss: MeanOverCells, metrics: MetricCollection
    ) -> None:
        output, target = self._output_and_target(batch)
        mean_loss.update(*self.loss(output, target))
        size = len(output)
        self.log(f"{stage}_loss", mean_loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=size)
        self.update_metrics(metrics, output, target)
        for name, metric in metrics.items(keep_base=True):
            self.log(f"{stage}_{name}", metric, on_step=False, on_epoch=True, batch_size=size)
