"""The LSTM forecaster."""

from typing import Any

from torch import nn

from seqlight.models.forecasting.recurrent import RecurrentForecaster
from seqlight.models.lightning.checks import check_number
from seqlight.nn import LSTM


class LSTMForecaster(RecurrentForecaster):
    """An LSTM, with or without peephole connections, and a linear output layer.

    Args:
        peephole: whether the gates see the cell state (Gers and Schmidhuber 2000), see
            :class:`seqlight.nn.LSTM`.
        layer_norm: whether the cells normalise over the features at every time step.
        recurrent_dropout: probability of dropping a hidden unit from the recurrent product in training, by
            one mask for all steps of a sequence (Gal and Ghahramani 2016).
        zoneout: probability of a unit keeping its previous state at a time step (Krueger et al. 2017);
            one number, or a pair for the hidden and the cell state.
        forget_bias: value that the forget gates' biases start with (Jozefowicz et al. 2015 advise 1); None
            draws them as all others.
        kwargs: the arguments of :class:`RecurrentForecaster` (``hidden_size``, ``num_layers``, ``dropout``,
            ``batch_norm``, ``recurrent_output``, ``recurrent_init``) and :class:`Forecaster`.

    """

    def __init__(
        self,
        *,
        peephole: bool = False,
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
        forget_bias: float | None = None,
        **kwargs: Any,
    ) -> None:
        if forget_bias is not None:
            check_number("forget_bias", forget_bias, float("-inf"))
        super().__init__(**kwargs)

    def build_core(self, input_size: int, hidden_size: int, *, num_layers: int, dropout: float) -> nn.Module:
        """Return the LSTM."""
        names = ("peephole", "layer_norm", "recurrent_dropout", "zoneout", "recurrent_init", "forget_bias")
        options = {name: self.hparams[name] for name in names}
        return LSTM(input_size, hidden_size, num_layers, dropout=dropout, **options)
