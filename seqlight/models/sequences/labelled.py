"""What the models that label sequences share: a core of any kind, pooling, lengths, a transform."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from seqlight.models.lightning.checks import check_integer, check_number, check_shape, choose
from seqlight.models.lightning.training_values import values_of_trainer
from seqlight.models.sequences.cores import CORES, build_core, output_channels
from seqlight.models.sequences.supervised import Batch, SupervisedModule
from seqlight.nn import Recurrent
from seqlight.transforms import build_transform

Pooling = Literal["last", "mean", "none"]
POOLINGS: dict[str, Pooling] = {"last": "last", "mean": "mean", "none": "none"}


class PooledNetwork(nn.Module):
    """A sequence layer, what is kept of its output, dropout, and a linear layer.

    Args:
        core: ``core(x [B, T, I]) -> (output [B, T, F], state)``.
        head: the layer on ``[..., F]``.
        pooling: ``"last"`` keeps the output at each row's last step (of a backward layer, at its first one:
            the step that has seen the whole row), ``"mean"`` the mean over each row's steps, ``"none"`` all.
        dropout: probability of dropping each element of what is kept, in training.

    """

    def __init__(self, core: nn.Module, head: nn.Module, *, pooling: Pooling, dropout: float = 0.0) -> None:
        super().__init__()
        self.core = core
        self.dropout = nn.Dropout(dropout)
        self.head = head
        self.pooling = pooling

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return ``[B, O]``, or ``[B, T, O]`` without pooling.

        Args:
            x: ``[B, T, I]``, zero past each row's end.
            lengths: int64 ``[B]``, steps of each row; None for all. The outputs of a causal layer up to a
                row's end are those of the row alone, so only recurrent layers are told.

        """
        if lengths is not None and isinstance(self.core, Recurrent):
            output, _ = self.core(x, None, lengths)
        else:
            output, _ = self.core(x)
        return self.head(self.dropout(self._pooled(output, lengths)))

    def _pooled(self, output: Tensor, lengths: Tensor | None) -> Tensor:
        if self.pooling == "none":
            return output
        if self.pooling == "mean":
            if lengths is None:
                return output.mean(1)
            known = torch.arange(output.shape[1], device=output.device) < lengths.unsqueeze(1)
            return output.masked_fill(~known.unsqueeze(2), 0.0).sum(1) / lengths.unsqueeze(1).to(output.dtype)
        if lengths is None:
            last = output[:, -1]
        else:
            last = output[torch.arange(output.shape[0], device=output.device), lengths - 1]
        if getattr(self.core, "num_directions", 1) == 1:
            return last
        forward_size = output.shape[2] // 2
        return torch.cat([last[:, :forward_size], output[:, 0, forward_size:]], dim=1)


class LabelledSequenceModule(SupervisedModule):
    """Base of the models from a sequence to a label, one for the sequence or one for each of its steps.

    **Batches** are dicts with ``past_target`` [B, T, C], the sequence in original units (missing cells are
    NaN), ``label``, and where sequences differ in length ``lengths`` [B], int64, at least 1: the steps of
    each row that count. ``seqlight.data.SyntheticDataModule`` has such batches.

    Args:
        input_size: channels C of the sequence.
        core: ``"lstm"``, ``"gru"``, ``"rnn"``, ``"tcn"`` or ``"wavenet"``, a layer of :mod:`seqlight.nn`.
        hidden_size: units of the core, or channels of its convolutions.
        core_options: further arguments of the core, such as ``{"num_layers": 2, "bidirectional": True}``, or
            ``{"num_blocks": 8, "kernel_size": 8}`` for a TCN.
        dropout: probability of dropping each input of the output layer in training.
        transform: what is done to the sequence first: ``"standard"`` (each channel by the training part's
            mean and deviation), ``"instance"`` (by each sequence's own), ``"none"``, or another one, see
            :func:`seqlight.transforms.build_transform`.
        kwargs: the arguments of :class:`~seqlight.models.supervised.SupervisedModule`: ``optimizer``, ``lr``,
            ``weight_decay``, ``lr_schedule``.

    """

    target_key = "label"
    input_key = "past_target"

    def __init__(
        self,
        *,
        input_size: int = 1,
        core: str = "lstm",
        hidden_size: int = 64,
        core_options: dict[str, Any] | None = None,
        dropout: float = 0.0,
        transform: str = "standard",
        **kwargs: Any,
    ) -> None:
        check_integer("input_size", input_size, 1)
        choose("core", core, CORES)
        check_integer("hidden_size", hidden_size, 1)
        check_number("dropout", dropout, 0.0, below=1.0)
        made = build_transform(transform, input_size)
        super().__init__(**kwargs)
        self.transform = made

    @property
    def output_size(self) -> int:
        """Number of output channels."""
        raise NotImplementedError(f"{type(self).__name__} has no outputs: override output_size")

    @property
    def pooling(self) -> Pooling:
        """What is kept of the core's output."""
        return choose("pooling", self.hparams.get("pooling", "none"), POOLINGS)

    def build_core(self) -> nn.Module:
        """Return the layer from ``[B, T, input_size]`` to ``[B, T, features]``. A hook for subclasses."""
        names = ("core", "input_size", "hidden_size", "core_options")
        return build_core(*(self.hparams[name] for name in names))

    def build_network(self) -> nn.Module:
        """Return the core with its pooling and output layer; ``network(x, lengths)``."""
        core = self.build_core()
        head = nn.Linear(output_channels(core, self.hparams["hidden_size"]), self.output_size)
        return PooledNetwork(core, head, pooling=self.pooling, dropout=self.hparams["dropout"])

    def setup(self, stage: str) -> None:
        """Fit the transform on the training part, unless it was fitted before or loaded."""
        if stage == "fit" and not self.transform.fitted:
            found = values_of_trainer(self.trainer, as_windows=self.transform.fits_on_windows)
            if found is not None:
                self.transform.fit(*found)

    def forward(self, past_target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the outputs for sequences in original units.

        Args:
            past_target: ``[B, T, C]``; missing cells are NaN.
            lengths: int64 ``[B]``, steps of each row that count; None for all.

        Raises:
            ValueError: a tensor has the wrong shape, or a length lies outside 1..T.

        """
        check_shape("past_target", past_target, {"B": None, "T": None, "C": self.hparams["input_size"]})
        x = past_target.to(torch.promote_types(past_target.dtype, torch.float32))
        if lengths is not None:
            check_shape("lengths", lengths, {"B": x.shape[0]})
            if not torch.compiler.is_compiling() and len(x) and not self._lie_within(lengths, x.shape[1]):
                raise ValueError(
                    f"lengths: expected 1 to T = {x.shape[1]} steps, got {lengths.min()} to {lengths.max()}"
                )
            known = torch.arange(x.shape[1], device=x.device) < lengths.unsqueeze(1)
            x = x.masked_fill(~known.unsqueeze(2), torch.nan)
        x, _ = self.transform.transform(x)
        dtype = next((parameter.dtype for parameter in self.network.parameters()), x.dtype)
        return self.network(x.nan_to_num(0.0).to(dtype), lengths).to(x.dtype)

    def output(self, batch: Batch) -> Tensor:
        """Return :meth:`forward` of a batch."""
        return self(batch["past_target"], batch.get("lengths"))

    def example_inputs(self, batch_size: int = 1, steps: int = 10) -> dict[str, Tensor]:
        """Return keyword arguments of :meth:`forward` with the right shapes, for export and tests."""
        return {"past_target": torch.zeros(batch_size, steps, self.hparams["input_size"])}

    @staticmethod
    def _lie_within(lengths: Tensor, steps: int) -> bool:
        return bool((lengths >= 1).all()) and bool((lengths <= steps).all())
