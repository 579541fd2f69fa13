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
            ``recurrent_init``) and :class:`Forecaster`.

    """

    def __init__(self, *, nonlinearity: Literal["tanh", "relu"] = "tanh", **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def build_core(self, *, num_layers: int, dropout: float) -> nn.Module:
        """Return the simple recurrent layers."""
        options = {name: self.hparams[name] for name in ("nonlinearity", "recurrent_init")}
        return RNN(self.input_size, self.hparams["hidden_size"], num_layers, dropout=dropout, **options)
