"""The recurrent imputer."""

from typing import Any, Literal

from torch import nn

from seqlight.models.imputation.imputer import Imputer
from seqlight.models.imputation.recurrent_imputation import RecurrentImputation
from seqlight.models.lightning.checks import check_integer, check_number, choose
from seqlight.nn import GRU, LSTM, RNN

CELLS = {"lstm": LSTM, "gru": GRU, "rnn": RNN}


class RNNImputer(Imputer):
    r"""Fills gaps from both sides by two recurrences over the whole sequence, on the fused cells.

    In each direction (below: forward in time), with :math:`m_t` the mask of what is observed,
    :math:`\delta_t` the time since each channel was last observed *before* row t, :math:`x'_t` that last
    value, and :math:`c_t` the covariates:

    .. math::
        \gamma_t &= \exp(-\max(0, w \odot \delta_t + b)), \qquad
        \Gamma_t = \exp(-\max(0, W \delta_t + B)) \\
        \tilde x_t &= m_t \odot x_t + (1 - m_t) \odot \gamma_t \odot x'_t \\
        h_t &= \mathrm{cell}([\tilde x_t, m_t, \log(1 + \delta_t), c_t], h_{t-1}) \\
        \hat x_t &= \gamma_t \odot x'_t
            + f([\Gamma_t \odot h_{t-1}, \gamma_t \odot x'_t, \log(1 + \delta_t), c_t])

    with f a layer of ReLUs and a linear layer. :math:`\hat x_t` is read from the state *before* row t and so
    never sees :math:`x_t`. The directions are joined by learned weights,

    .. math::
        \omega_t &= \sigma(a \odot \log(\delta'_t / \delta_t) + g(\text{both directions' features})) \\
        \bar x_t &= \omega_t \odot \hat x_t + (1 - \omega_t) \odot \hat x'_t

    (primes: backward in time), and the other channels of the row correct the result by what was unexpected in
    them, :math:`\bar x_t + V (m_t \odot (x_t - \bar x_t))` with a zero diagonal of V. Before training f, g
    and V are 0, a is 1 and the decays are almost 1: the imputer starts as linear interpolation and learns
    what is better.

    What is BRITS's (Cao et al. 2018, "BRITS: Bidirectional Recurrent Imputation for Time Series"): the two
    directions with a loss on their consistency, estimates of every cell that do not see it, the decay
    :math:`\Gamma` of the state by the time gap, the regression on the other channels. What differs, and
    why: BRITS decays the state inside the recurrence and feeds its own estimate back in place of a missing
    value, one step after the other. Here the recurrence is one fused call over all steps; so its input in a
    gap is the last value decaying towards the mean (:math:`\tilde x`, of GRU-D: Che et al. 2018, "Recurrent
    Neural Networks for Multivariate Time Series with Missing Values"), the time since is an input from
    which the cell learns to forget, and :math:`\Gamma` acts where the state is read. BRITS takes the mean
    of the directions; weights let the nearer end of a gap count for more.

    Args:
        cell: ``"lstm"``, ``"gru"`` or ``"rnn"``, a layer of :mod:`seqlight.nn` for each direction.
        hidden_size: units of each layer and direction.
        num_layers: stacked layers of each direction. (Layers of one direction are stacked, and not a
            bidirectional layer, whose second layer would see :math:`x_t` from the other side.)
        dropout: probability of dropping each output of each layer in training.
        kwargs: the arguments of :class:`Imputer`.

    """

    def __init__(
        self,
        *,
        cell: Literal["lstm", "gru", "rnn"] = "gru",
        hidden_size: int = 64,
        num_layers: int = 1,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        choose("cell", cell, CELLS)
        check_integer("hidden_size", hidden_size, 1)
        check_integer("num_layers", num_layers, 1)
        check_number("dropout", dropout, 0.0, below=1.0)
        super().__init__(**kwargs)

    def build_network(self) -> nn.Module:
        """Return the two recurrences and what joins them."""
        hidden_size, num_layers = self.hparams["hidden_size"], self.hparams["num_layers"]
        dropout = self.hparams["dropout"]
        layer = CELLS[self.hparams["cell"]]

        def build_cell(input_size: int) -> nn.Module:
            return layer(input_size, hidden_size, num_layers, dropout=dropout if num_layers > 1 else 0.0)

        return RecurrentImputation(
            build_cell,
            hidden_size,
            target_size=self.target_size,
            covariate_size=self.covariate_size,
            dropout=dropout,
        )
