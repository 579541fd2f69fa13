"""The GRU forecaster."""

from torch import nn

from seqlight.nn import GRU

from .recurrent import RecurrentForecaster


class GRUForecaster(RecurrentForecaster):
    """A GRU in torch.nn.GRU's variant, see :class:`seqlight.nn.GRU`, and a linear output layer.

    Args:
        kwargs: the arguments of :class:`RecurrentForecaster` (``hidden_size``, ``num_layers``, ``dropout``)
            and :class:`Forecaster`.

    """

    def build_core(self, *, num_layers: int, dropout: float) -> nn.Module:
        """Return the GRU."""
        hidden_size, recurrent_init = self.hparams["hidden_size"], self.hparams["recurrent_init"]
        return GRU(self.input_size, hidden_size, num_layers, dropout=dropout, recurrent_init=recurrent_init)
