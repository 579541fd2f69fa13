"""The GRU forecaster."""

from torch import nn

from seqlight.nn import GRU

from .recurrent import RecurrentForecaster


class GRUForecaster(RecurrentForecaster):
    """A GRU in torch.nn.GRU's variant, see :class:`seqlight.nn.GRU`, and a linear output layer.

    Args:
        kwargs: the arguments of :class:`RecurrentForecaster` (``hidden_size``, ``num_layers``, ``dropout``,
            ``batch_norm``, ``recurrent_output``) and :class:`Forecaster`.

    """

    def build_core(self, input_size: int, hidden_size: int, *, num_layers: int, dropout: float) -> nn.Module:
        """Return the GRU."""
        return GRU(input_size, hidden_size, num_layers, dropout=dropout)
