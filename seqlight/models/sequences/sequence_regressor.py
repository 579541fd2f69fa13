"""Sequence-to-vector: numbers for a sequence."""

from typing import Any, Literal

from torch import Tensor
from torchmetrics import MetricCollection

from seqlight.metrics import MaskedMeanAbsoluteError, MaskedMeanSquaredError
from seqlight.models.lightning.checks import check_integer, check_shape, choose
from seqlight.models.lightning.losses import LOSSES
from seqlight.models.sequences.labelled import LabelledSequenceModule
from seqlight.models.sequences.supervised import Batch
from seqlight.strategies import masked_loss


class SequenceRegressor(LabelledSequenceModule):
    """Numbers for a whole sequence: a core of any kind, pooling over time, a linear layer.

    ``model(past_target [B, T, C], lengths=None)`` gives [B, label_size]. Batches hold ``past_target``
    [B, T, C], ``label`` [B, label_size] (floats, NaN where unknown) and, where sequences differ in length,
    ``lengths`` [B]. Labels are learned as they are: bring them to a scale of about 1. Logged beside the
    losses: ``val_mae``, ``val_rmse`` and their ``test_`` twins.

    Args:
        label_size: numbers of a label.
        pooling: ``"last"`` (the output that has seen the whole sequence) or ``"mean"`` over its steps.
        loss: ``"mse"``, ``"mae"`` or ``"huber"``.
        kwargs: the arguments of :class:`~seqlight.models.labelled.LabelledSequenceModule` (``input_size``,
            ``core``, ``hidden_size``, ``core_options``, ``dropout``, ``transform``) and
            :class:`~seqlight.models.supervised.SupervisedModule` (``optimizer``, ``lr``, ...).

    """

    def __init__(
        self,
        *,
        label_size: int = 1,
        pooling: Literal["last", "mean"] = "last",
        loss: str = "mse",
        **kwargs: Any,
    ) -> None:
        check_integer("label_size", label_size, 1)
        choose("pooling", pooling, {"last": None, "mean": None})
        choose("loss", loss, LOSSES)
        super().__init__(**kwargs)
        self.pointwise_loss = LOSSES[loss]

    @property
    def output_size(self) -> int:
        """The numbers of a label."""
        return int(self.hparams["label_size"])

    def build_metrics(self) -> MetricCollection:
        """Return MAE and RMSE over the known numbers."""
        return regression_metrics()

    def target(self, batch: Batch, output: Tensor) -> Tensor:
        """Return the labels ``[B, label_size]``."""
        check_shape("label", batch["label"], {"B": len(output), "label_size": self.output_size})
        return batch["label"].to(output.dtype)

    def loss(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss summed over the known numbers, and their count."""
        return masked_loss(self.pointwise_loss, output, target)

    def update_metrics(self, metrics: MetricCollection, output: Tensor, target: Tensor) -> None:
        """Add a batch to the metrics."""
        metrics.update(output, target, ~target.isnan())


def regression_metrics() -> MetricCollection:
    """Return MAE and RMSE, updated with ``update(preds, target, mask)``."""
    return MetricCollection(
        {"mae": MaskedMeanAbsoluteError(), "rmse": MaskedMeanSquaredError(squared=False)},
        compute_groups=False,
    )
