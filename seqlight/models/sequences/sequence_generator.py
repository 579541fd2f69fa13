"""Vector-to-sequence: a sequence unrolled from a vector."""

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

from seqlight.models.lightning.checks import check_integer, check_number, check_shape, choose
from seqlight.models.lightning.losses import LOSSES
from seqlight.models.lightning.renamed import take_renamed, warn_renamed
from seqlight.models.sequences.cores import CORES, build_core, output_channels
from seqlight.models.sequences.sequence_regressor import regression_metrics
from seqlight.models.sequences.supervised import Batch, SupervisedModule
from seqlight.strategies import masked_loss


class UnrolledNetwork(nn.Module):
    """A sequence layer that is given one vector, at every step or at the first one only.

    Args:
        core: ``core(x [B, T, V]) -> (output [B, T, F], state)``.
        head: the layer on every step's output ``[B, T, F]``.
        feed: ``"repeat"`` gives the vector at every step, ``"first"`` at the first one, and zeros after it.
        dropout: probability of dropping each element of the core's output, in training.

    """

    def __init__(
        self, core: nn.Module, head: nn.Module, *, feed: Literal["repeat", "first"], dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.core = core
        self.dropout = nn.Dropout(dropout)
        self.head = head
        self.feed = feed

    def forward(self, vector: Tensor, steps: int) -> Tensor:
        """Return the sequence ``[B, steps, O]`` of a vector ``[B, V]``."""
        if self.feed == "repeat":
            x = vector.unsqueeze(1).expand(-1, steps, -1).contiguous()
        else:
            x = nn.functional.pad(vector.unsqueeze(1), (0, 0, 0, steps - 1))
        output, _ = self.core(x)
        return self.head(self.dropout(output))


class SequenceGenerator(SupervisedModule):
    """A sequence of any length unrolled from one vector, by a core of any kind and a linear layer.

    ``model(static_covariates [B, V], steps=None)`` gives [B, steps, C]. Batches hold ``static_covariates``
    [B, V], the vector, and ``future_target`` [B, H, C], the sequence (NaN where unknown). Both are taken as
    they are: bring them to a scale of about 1. Logged beside the losses: ``val_mae``, ``val_rmse`` and
    their ``test_`` twins.

    Beyond its receptive field the output of a convolutional core is constant.

    Args:
        static_covariate_size: numbers V of the vector.
        prediction_length: steps H of the sequence in training, and where :meth:`forward` is not told.
        target_size: channels C of the sequence.
        core: ``"lstm"``, ``"gru"``, ``"rnn"``, ``"tcn"`` or ``"wavenet"``, a layer of :mod:`seqlight.nn`.
        hidden_size: units of the core, or channels of its convolutions.
        core_options: further arguments of the core, such as ``{"num_layers": 2}``.
        feed: ``"repeat"``: the vector is the input of every step; ``"first"``: of the first step only.
        dropout: probability of dropping each input of the output layer in training.
        loss: ``"mse"``, ``"mae"`` or ``"huber"``.
        static_size: the old name of ``static_covariate_size``.
        kwargs: the arguments of :class:`~seqlight.models.supervised.SupervisedModule`: ``optimizer``, ``lr``,
            ``weight_decay``, ``lr_schedule``.

    """

    target_key = "future_target"
    renamed_arguments: ClassVar[dict[str, str]] = {"static_size": "static_covariate_size"}
    input_key = "static_covariates"

    def __init__(
        self,
        *,
        static_covariate_size: int | None = None,
        prediction_length: int,
        target_size: int = 1,
        core: str = "lstm",
        hidden_size: int = 64,
        core_options: dict[str, Any] | None = None,
        feed: Literal["repeat", "first"] = "repeat",
        dropout: float = 0.0,
        loss: str = "mse",
        static_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        vector = take_renamed("static_size", static_size, "static_covariate_size", static_covariate_size)
        sizes = {
            "static_covariate_size": vector,
            "prediction_length": prediction_length,
            "target_size": target_size,
            "hidden_size": hidden_size,
        }
        for name, size in sizes.items():
            check_integer(name, size, 1)
        choose("core", core, CORES)
        choose("feed", feed, {"repeat": None, "first": None})
        check_number("dropout", dropout, 0.0, below=1.0)
        choose("loss", loss, LOSSES)
        super().__init__(**kwargs)
        self.pointwise_loss = LOSSES[loss]
        self.target_size = target_size
        self.prediction_length = prediction_length

    def build_core(self) -> nn.Module:
        """Return the layer from ``[B, T, V]`` to ``[B, T, features]``. A hook for subclasses."""
        names = ("core", "static_covariate_size", "hidden_size", "core_options")
        return build_core(*(self.hparams[name] for name in names))

    def build_network(self) -> nn.Module:
        """Return the core with its output layer; ``network(vector, steps)``."""
        core = self.build_core()
        features = output_channels(core, self.hparams["hidden_size"])
        head = nn.Linear(features, self.hparams["target_size"])
        return UnrolledNetwork(core, head, feed=self.hparams["feed"], dropout=self.hparams["dropout"])

    def forward(
        self,
        static_covariates: Tensor | None = None,
        steps: int | None = None,
        *,
        static: Tensor | None = None,
    ) -> Tensor:
        """Return the sequences ``[B, steps, C]`` of vectors ``[B, V]``.

        Args:
            static_covariates: the vectors.
            steps: length of the sequences; None for ``prediction_length``.
            static: the old name of ``static_covariates``.

        Raises:
            ValueError: a wrong shape, or steps below 1.

        """
        if static is not None:
            warn_renamed("static", "static_covariates")
        vector = static if static_covariates is None else static_covariates
        if vector is None:
            raise ValueError("static_covariates: needed, the vectors [B, V]")
        check_shape("static_covariates", vector, {"B": None, "V": self.hparams["static_covariate_size"]})
        steps = self.prediction_length if steps is None else check_integer("steps", steps, 1)
        parameter = next(self.network.parameters())
        wide = torch.promote_types(vector.dtype, torch.float32)
        return self.network(vector.to(parameter.dtype), steps).to(wide)

    def output(self, batch: Batch) -> Tensor:
        """Return :meth:`forward` of a batch."""
        return self(batch["static_covariates"])

    def example_inputs(self, batch_size: int = 1) -> dict[str, Tensor]:
        """Return keyword arguments of :meth:`forward` with the right shapes, for export and tests."""
        return {"static_covariates": torch.zeros(batch_size, self.hparams["static_covariate_size"])}

    def build_metrics(self) -> MetricCollection:
        """Return MAE and RMSE over the known cells."""
        return regression_metrics()

    def target(self, batch: Batch, output: Tensor) -> Tensor:
        """Return the sequences ``[B, H, C]``."""
        axes = {"B": len(output), "H": self.prediction_length, "C": self.target_size}
        check_shape("future_target", batch["future_target"], axes)
        return batch["future_target"].to(output.dtype)

    def loss(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss summed over the known cells, and their count."""
        return masked_loss(self.pointwise_loss, output, target)

    def update_metrics(self, metrics: MetricCollection, output: Tensor, target: Tensor) -> None:
        """Add a batch to the metrics."""
        metrics.update(output, target, ~target.isnan())
