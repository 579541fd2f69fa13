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
        return GRU(self.core_input_size, self.hparams["hidden_size"], num_layers, dropout=dropout)
