"""The forecaster of the simple recurrent layer."""

from typing import Any, Literal

from torch import nn

from seqlight.models.forecasting.recurrent import RecurrentForecaster
from seqlight.nn import RNN


class RNNForecaster(RecurrentForecaster):
    """A simple recurrent layer, tanh or ReLU, see :class:`seqlight.nn.RNN`, and a linear output layer.

    Args:
        nonlinearity: ``"tanh"`` or ``"relu"``.
        layer_norm: whether the cells normalise over the features at every time step.
        recurrent_dropout: probability of dropping a hidden unit from the recurrent product in training, by
            one mask for all steps of a sequence (Gal and Ghahramani 2016).
        zoneout: probability of a unit keeping its previous state at a time step (Krueger et al. 2017).
        kwargs: the arguments of :class:`RecurrentForecaster` (``hidden_size``, ``num_layers``, ``dropout``,
            ``batch_norm``, ``recurrent_output``, ``recurrent_init``)
            and :class:`Forecaster`.

    """

    def __init__(
        self,
        *,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)

    def build_core(self, input_size: int, hidden_size: int, *, num_layers: int, dropout: float) -> nn.Module:
        """Return the simple recurrent layers."""
        return RNN(
            input_size,
            hidden_size,
            num_layers,
            nonlinearity=self.hparams["nonlinearity"],
            dropout=dropout,
            layer_norm=self.hparams["layer_norm"],
            recurrent_dropout=self.hparams["recurrent_dropout"],
            zoneout=self.hparams["zoneout"],
            recurrent_init=self.hparams["recurrent_init"],
        )
