"""Sequence-to-vector: one class for a sequence."""

from typing import Any, Literal

from torch import Tensor
from torch.nn.functional import cross_entropy
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from seqlight.models.lightning.checks import check_integer, check_shape, choose
from seqlight.models.sequences.labelled import LabelledSequenceModule
from seqlight.models.sequences.supervised import Batch

UNKNOWN = -100
"""The label of what has none: it counts neither in the loss nor in the accuracy."""


class ClassifyingModule(LabelledSequenceModule):
    """Cross entropy and accuracy over classes 0 to ``num_classes - 1``, whatever is given one.

    Labels are int64; -100 is an unknown one, which is left out.

    Args:
        num_classes: number of classes.
        kwargs: the arguments of :class:`~seqlight.models.labelled.LabelledSequenceModule`.

    """

    def __init__(self, *, num_classes: int = 2, **kwargs: Any) -> None:
        check_integer("num_classes", num_classes, 2)
        super().__init__(**kwargs)

    @property
    def output_size(self) -> int:
        """The number of classes."""
        return int(self.hparams["num_classes"])

    def build_metrics(self) -> MetricCollection:
        """Return the accuracy: the share of known labels that were hit."""
        accuracy = MulticlassAccuracy(self.output_size, average="micro", ignore_index=UNKNOWN)
        return MetricCollection({"accuracy": accuracy})

    def target(self, batch: Batch, output: Tensor) -> Tensor:
        """Return the labels, of the shape of ``output`` without its last dimension."""
        label = batch["label"]
        letters = ("B", "T")[: output.ndim - 1]
        check_shape("label", label, dict(zip(letters, output.shape, strict=False)))
        if label.is_floating_point():
            raise ValueError(f"label: expected whole numbers (int64), the classes, got {label.dtype}")
        return label.long()

    def loss(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cross entropy summed over the known labels, and their count."""
        total = cross_entropy(output.flatten(0, -2), target.flatten(), reduction="sum", ignore_index=UNKNOWN)
        return total, (target != UNKNOWN).sum().to(output.dtype)

    def update_metrics(self, metrics: MetricCollection, output: Tensor, target: Tensor) -> None:
        """Add a batch to the accuracy."""
        metrics.update(output.flatten(0, -2), target.flatten())

    def prediction(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``label``, the likeliest class, and the ``probability`` of every class (last dimension)."""
        return {"label": output.argmax(-1), "probability": output.softmax(-1)}


class SequenceClassifier(ClassifyingModule):
    """One class for a whole sequence: a core of any kind, pooling over time, a linear layer, cross entropy.

    ``model(past_target [B, T, C], lengths=None)`` gives logits [B, num_classes]. Batches hold ``past_target``
    [B, T, C], ``label`` [B] (int64 classes; -100 for an unknown one) and, where sequences differ in length,
    ``lengths`` [B]. Logged beside the losses: ``val_accuracy`` and ``test_accuracy``.

    Args:
        pooling: ``"last"`` (the output that has seen the whole sequence) or ``"mean"`` over its steps.
        kwargs: ``num_classes`` and the arguments of :class:`~seqlight.models.labelled.LabelledSequenceModule`
            (``input_size``, ``core``, ``hidden_size``, ``core_options``, ``dropout``, ``transform``) and
            :class:`~seqlight.models.supervised.SupervisedModule` (``optimizer``, ``lr``, ...).

    """

    def __init__(self, *, pooling: Literal["last", "mean"] = "last", **kwargs: Any) -> None:
        choose("pooling", pooling, {"last": None, "mean": None})
        super().__init__(**kwargs)


class StepClassifier(ClassifyingModule):
    """One class for every step of a sequence (sequence labelling): a core of any kind and a linear layer.

    ``model(past_target [B, T, C], lengths=None)`` gives logits [B, T, num_classes]. Batches hold
    ``past_target`` [B, T, C], ``label`` [B, T] (int64 classes; -100 for an unknown one, and past a row's end)
    and, where sequences differ in length, ``lengths`` [B]. The output at a step depends on the steps up to it
    alone, unless the core is bidirectional.

    Args:
        kwargs: ``num_classes`` and the arguments of :class:`~seqlight.models.labelled.LabelledSequenceModule`
            (``input_size``, ``core``, ``hidden_size``, ``core_options``, ``dropout``, ``transform``) and
            :class:`~seqlight.models.supervised.SupervisedModule` (``optimizer``, ``lr``, ...).

    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
