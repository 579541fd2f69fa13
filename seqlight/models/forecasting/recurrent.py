"""What the forecasters of a recurrent layer share."""

from itertools import pairwise
from typing import Any, Literal

from torch import nn

from seqlight.models.forecasting.forecaster import Forecaster
from seqlight.models.forecasting.network import SequenceNetwork
from seqlight.models.lightning.checks import check_integer, check_number
from seqlight.nn import RecurrentStack, SequenceBatchNorm


class RecurrentForecaster(Forecaster):
    """Base of the forecasters made of recurrent layers and an output layer.

    A subclass returns the layers from :meth:`build_core`.

    Args:
        hidden_size: units of each layer.
        num_layers: stacked layers.
        dropout: probability of dropping each output of each layer in training.
        batch_norm: normalise the output of each recurrent layer over batch and time before the next layer,
            the output layer included. See :class:`seqlight.nn.SequenceBatchNorm` for why it is awkward here.
        recurrent_output: make the output layer recurrent too, a layer of the same kind with one unit per
            output, rather than linear. All it can say lies where its activation does (-1 to 1 for tanh), and
            its state is its output: the linear layer is the better choice, this one is for comparison.
        recurrent_init: how the recurrent weights are drawn: ``"uniform"`` as in torch.nn, or
            ``"orthogonal"``, which keeps the norm of states and gradients (Saxe et al. 2014), see
            :func:`seqlight.nn.init_recurrent_`.
        kwargs: the arguments of :class:`Forecaster`.

    """

    def __init__(
        self,
        *,
        hidden_size: int = 64,
        num_layers: int = 1,
        dropout: float = 0.0,
        batch_norm: bool = False,
        recurrent_output: bool = False,
        recurrent_init: Literal["uniform", "orthogonal"] = "uniform",
        **kwargs: Any,
    ) -> None:
        check_integer("hidden_size", hidden_size, 1)
        check_integer("num_layers", num_layers, 1)
        check_number("dropout", dropout, 0.0, below=1.0)
        super().__init__(**kwargs)

    @property
    def core_input_size(self) -> int:
        """Channels that the recurrent layers are given: ``input_size``, where nothing stands in front."""
        return self.input_size

    def build_core(self, input_size: int, hidden_size: int, *, num_layers: int, dropout: float) -> nn.Module:
        """Return recurrent layers. The hook for subclasses.

        Args:
            input_size: channels of their input.
            hidden_size: units of each.
            num_layers: stacked layers.
            dropout: probability of dropping each output of each layer but the last, in training.

        """
        raise NotImplementedError(f"{type(self).__name__} has no layers: override build_core")

    def build_network(self) -> nn.Module:
        """Return the recurrent layers with their output layer."""
        hidden_size, num_layers = self.hparams["hidden_size"], self.hparams["num_layers"]
        dropout, batch_norm = self.hparams["dropout"], self.hparams["batch_norm"]
        sizes = [self.core_input_size] + [hidden_size] * num_layers
        head: nn.Module = nn.Linear(hidden_size, self.output_size)
        if self.hparams["recurrent_output"]:
            sizes.append(self.output_size)
            head = nn.Identity()
        elif batch_norm:
            head = nn.Sequential(SequenceBatchNorm(hidden_size), head)
        core: nn.Module
        if len(sizes) > 2 and (batch_norm or self.hparams["recurrent_output"]):
            layers = [
                self.build_core(below, size, num_layers=1, dropout=0.0) for below, size in pairwise(sizes)
            ]
            core = RecurrentStack(layers, batch_norm=batch_norm, dropout=dropout)  # type: ignore[arg-type]
        else:
            core = self.build_core(
                self.core_input_size,
                hidden_size,
                num_layers=num_layers,
                dropout=dropout if num_layers > 1 else 0.0,
            )
        last_only = self.strategy.sequence_to_vector
        # The dropout in front of a recurrent output layer is the stack's.
        dropout = 0.0 if self.hparams["recurrent_output"] else dropout
        return SequenceNetwork(core, head, dropout=dropout, last_only=last_only)
