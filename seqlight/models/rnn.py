"""The forecaster of the simple recurrent layer."""

from typing import Any, Literal

from torch import nn

from seqlight.nn import RNN

from .recurrent import RecurrentForecaster


class RNNForecaster(RecurrentForecaster):
    """A simple recurrent layer, tanh or ReLU, see :class:`seqlight.nn.RNN`, and a linear output layer.

    Args:
        nonlinearity: ``"tanh"`` or ``"relu"``.
        kwargs: the arguments of :class:`RecurrentForecaster` (``hidden_size``, ``num_layers``, ``dropout``,
            ``batch_norm``, ``recurrent_output``) and :class:`Forecaster`.

    """

    def __init__(self, *, nonlinearity: Literal["tanh", "relu"] = "tanh", **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def build_core(self, input_size: int, hidden_size: int, *, num_layers: int, dropout: float) -> nn.Module:
        """Return the simple recurrent layers."""
        nonlinearity = self.hparams["nonlinearity"]
        return RNN(input_size, hidden_size, num_layers, nonlinearity=nonlinearity, dropout=dropout)
