"""What the forecasters of a recurrent layer share."""

from typing import Any

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
        kwargs: the arguments of :class:`Forecaster`.

    """

    def __init__(
        self, *, hidden_size: int = 64, num_layers: int = 1, dropout: float = 0.0, **kwargs: Any
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
        dropout = self.hparams["dropout"]
        core = self.build_core(
            self.core_input_size,
            hidden_size,
            num_layers=num_layers,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        head = nn.Linear(hidden_size, self.output_size)
        return SequenceNetwork(core, head, dropout=dropout, last_only=self.strategy.sequence_to_vector)
