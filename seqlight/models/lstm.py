"""The LSTM forecaster."""

from typing import Any

from torch import nn

from seqlight.nn import LSTM

from .checks import check_number
from .recurrent import RecurrentForecaster


class LSTMForecaster(RecurrentForecaster):
    """An LSTM, with or without peephole connections, and a linear output layer.

    Args:
        peephole: whether the gates see the cell state (Gers and Schmidhuber 2000), see
            :class:`seqlight.nn.LSTM`.
        forget_bias: value that the forget gates' biases start with (Jozefowicz et al. 2015 advise 1); None
            draws them as all others.
        kwargs: the arguments of :class:`RecurrentForecaster` (``hidden_size``, ``num_layers``, ``dropout``,
            ``recurrent_init``) and :class:`Forecaster`.

    """

    def __init__(self, *, peephole: bool = False, forget_bias: float | None = None, **kwargs: Any) -> None:
        if forget_bias is not None:
            check_number("forget_bias", forget_bias, float("-inf"))
        super().__init__(**kwargs)

    def build_core(self, *, num_layers: int, dropout: float) -> nn.Module:
        """Return the LSTM."""
        names = ("peephole", "recurrent_init", "forget_bias")
        options = {name: self.hparams[name] for name in names}
        return LSTM(self.input_size, self.hparams["hidden_size"], num_layers, dropout=dropout, **options)
