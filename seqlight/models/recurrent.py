"""What the forecasters of a recurrent layer share."""

from typing import Any, Literal

from torch import nn

from .checks import check_integer, check_number
from .forecaster import Forecaster
from .network import SequenceNetwork


class RecurrentForecaster(Forecaster):
    """Base of the forecasters made of recurrent layers and a linear output layer.

    A subclass returns the layers from :meth:`build_core`.

    Args:
        hidden_size: units of each layer.
        num_layers: stacked layers.
        dropout: probability of dropping each output of each layer in training.
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
        recurrent_init: Literal["uniform", "orthogonal"] = "uniform",
        **kwargs: Any,
    ) -> None:
        check_integer("hidden_size", hidden_size, 1)
        check_integer("num_layers", num_layers, 1)
        check_number("dropout", dropout, 0.0, below=1.0)
        super().__init__(**kwargs)

    def build_core(self, *, num_layers: int, dropout: float) -> nn.Module:
        """Return the recurrent layers, from ``input_size`` to ``hidden_size``.

        Args:
            num_layers: stacked layers.
            dropout: probability of dropping each output of each layer but the last, in training.

        """
        raise NotImplementedError(f"{type(self).__name__} has no layers: override build_core")

    def build_network(self) -> nn.Module:
        """Return the recurrent layers with their output layer."""
        num_layers, dropout = self.hparams["num_layers"], self.hparams["dropout"]
        core = self.build_core(num_layers=num_layers, dropout=dropout if num_layers > 1 else 0.0)
        head = nn.Linear(self.hparams["hidden_size"], self.output_size)
        return SequenceNetwork(core, head, dropout=dropout, last_only=self.strategy.sequence_to_vector)
