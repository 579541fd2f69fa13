"""The LSTM forecaster."""

from typing import Any

from torch import nn

from seqlight.nn import LSTM

from .recurrent import RecurrentForecaster


class LSTMForecaster(RecurrentForecaster):
    """An LSTM, with or without peephole connections, and a linear output layer.

    Args:
        peephole: whether the gates see the cell state (Gers and Schmidhuber 2000), see
            :class:`seqlight.nn.LSTM`.
        kwargs: the arguments of :class:`RecurrentForecaster` (``hidden_size``, ``num_layers``, ``dropout``,
            ``batch_norm``, ``recurrent_output``) and :class:`Forecaster`.

    """

    def __init__(self, *, peephole: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def build_core(self, input_size: int, hidden_size: int, *, num_layers: int, dropout: float) -> nn.Module:
        """Return the LSTM."""
        return LSTM(input_size, hidden_size, num_layers, dropout=dropout, peephole=self.hparams["peephole"])
