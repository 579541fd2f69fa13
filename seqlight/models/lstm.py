"""The LSTM forecaster."""

from typing import Any

from torch import nn

from seqlight.nn import LSTM

from .checks import check_integer, check_number
from .forecaster import Forecaster
from .network import SequenceNetwork


class LSTMForecaster(Forecaster):
    """An LSTM, with or without peephole connections, and a linear output layer.

    Args:
        hidden_size: units of each layer.
        num_layers: stacked layers.
        dropout: probability of dropping each output of each layer in training.
        peephole: whether the gates see the cell state (Gers and Schmidhuber 2000), see
            :class:`seqlight.nn.LSTM`.
        kwargs: the arguments of :class:`Forecaster`.

    """

    def __init__(
        self,
        *,
        hidden_size: int = 64,
        num_layers: int = 1,
        dropout: float = 0.0,
        peephole: bool = False,
        **kwargs: Any,
    ) -> None:
        check_integer("hidden_size", hidden_size, 1)
        check_integer("num_layers", num_layers, 1)
        check_number("dropout", dropout, 0.0, below=1.0)
        super().__init__(**kwargs)

    def build_network(self) -> nn.Module:
        """Return the LSTM with its output layer."""
        hidden_size, num_layers = self.hparams["hidden_size"], self.hparams["num_layers"]
        dropout = self.hparams["dropout"]
        core = LSTM(
            self.input_size,
            hidden_size,
            num_layers,
            dropout=dropout if num_layers > 1 else 0.0,
            peephole=self.hparams["peephole"],
        )
        head = nn.Linear(hidden_size, self.output_size)
        return SequenceNetwork(core, head, dropout=dropout, last_only=self.strategy.sequence_to_vector)
