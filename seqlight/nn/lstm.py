"""The LSTM layer, with or without peephole connections."""

from typing import Any, Self

import torch
from torch import Tensor, nn

from seqlight.nn.initialization import RecurrentInit, check_initialization, init_recurrent_
from seqlight.nn.recurrent import Recurrent
from seqlight.nn.torch_conversion import check_convertible, check_plain, copy_parameters, shared_arguments
from seqlight.ops import lstm
from seqlight.ops.lstm import native_lstm


class LSTM(Recurrent[tuple[Tensor, Tensor]]):
    r"""Long short-term memory over [B, T, C], optionally with peephole connections, fused on the CPU.

    For each layer and time step, with :math:`\sigma` the logistic function:

    .. math::
        i_t &= \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi} + p_i \odot c_{t-1}) \\
        f_t &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf} + p_f \odot c_{t-1}) \\
        g_t &= \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        o_t &= \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho} + p_o \odot c_t) \\
        h_t &= o_t \odot \tanh(c_t)

    the equations of torch.nn.LSTM plus the peephole terms p of Gers and Schmidhuber, "Recurrent nets that
    time and count" (2000), absent with ``peephole=False``.

    With ``layer_norm=True`` the two products and the cell state are normalised, as by Ba et al., "Layer
    normalization" (2016): LN subtracts the mean and divides by :math:`\sqrt{\text{variance} + 10^{-5}}`, both
    taken over the features of one row and time step, those of a product over its four gates together:

    .. math::
        W_i x_t &\to (\gamma_0, \gamma_1, \gamma_2, \gamma_3) \odot LN(W_i x_t) \\
        W_h h_{t-1} &\to (\gamma_4, \gamma_5, \gamma_6, \gamma_7) \odot LN(W_h h_{t-1}) \\
        h_t &= o_t \odot \tanh(\gamma_8 \odot LN(c_t) + \beta_9)

    Biases and peephole terms are added after the normalisation; the output gate's peephole sees :math:`c_t`
    as it is. Under zoneout h is computed from the cell state before its zoneout, as in the paper.

    ``output, (h, c) = layer(x, state=None, lengths=None)``: output [B, T, directions * H]; h and c
    [num_layers * directions, B, H]. Input and output are always batch first, unlike torch.nn.LSTM's default.
    Running in chunks with the state handed on equals running whole. See :meth:`forward` and :meth:`step`.

    Parameters, named, ordered and drawn as in torch.nn.LSTM, gates stacked i, f, g, o; per layer k, with
    ``_reverse`` appended for the second direction:

    - ``weight_ih_l{k}`` [4*H, C] (above the first layer [4*H, directions * H]), ``weight_hh_l{k}`` [4*H, H]
    - ``bias_ih_l{k}``, ``bias_hh_l{k}`` [4*H], unless ``bias=False``
    - ``weight_peephole_l{k}`` [3, H] for the gates i, f, o, if ``peephole=True``
    - ``weight_layer_norm_l{k}`` [10, H], the gains :math:`\gamma` and the bias :math:`\beta_9`, 1 and 0 at
      first, if ``layer_norm=True``

    Without peepholes and layer norm, state dicts are exchangeable with torch.nn.LSTM.

    Args:
        input_size: number of input features C.
        hidden_size: number of hidden units H of each direction.
        num_layers: layers stacked, each taking the whole output sequence of the one below.
        bias: whether the cells have biases.
        batch_first: True, the only layout there is; it may be given as to torch.nn, whose default is False.
        dropout: probability of dropping an element of a layer's output before the next layer, in training.
        bidirectional: whether a second cell per layer runs from the end to the beginning; outputs are
            concatenated.
        proj_size: 0; there is no cell with a projection.
        recurrent_init: how ``weight_hh`` is drawn: ``"uniform"`` as in torch.nn, or ``"orthogonal"``, see
            :func:`seqlight.nn.init_recurrent_`.
        peephole: whether the gates see the cell state.
        layer_norm: whether the cells normalise over the features at every time step, see above.
        recurrent_dropout: probability p, 0 <= p < 1, of dropping a hidden unit where it enters the recurrent
            product, in training (Gal and Ghahramani, "A theoretically grounded application of dropout in
            recurrent neural networks", 2016). Each call draws one mask for all its time steps, for each layer
            and direction; the rest is scaled by 1/(1-p).
        zoneout: probability p, 0 <= p < 1, of a unit keeping its previous state at a time step (Krueger et
            al., "Zoneout: Regularizing RNNs by randomly preserving hidden activations", 2017): drawn for each
            unit and step in training, the expectation in evaluation. One number for the hidden and the cell
            state, or a pair ``(p_h, p_c)``.
        forget_bias: value that the forget gates' two biases add up to at the beginning; 1 lets gradients
            through (Jozefowicz et al. 2015). None draws them as all others.
        device: of the parameters.
        dtype: of the parameters. float16 and bfloat16 are computed in float32 and answered in their own
            dtype.

    Raises:
        ValueError: a size below 1, a probability out of range, ``batch_first=False``, or a ``proj_size``.
        TypeError: a probability that is no number, or `bias` or `batch_first` that is no bool.

    Example:
        >>> layer = seqlight.nn.LSTM(3, 20, num_layers=2, peephole=True)
        >>> output, (h, c) = layer(torch.randn(32, 50, 3))
        >>> output.shape, h.shape
        (torch.Size([32, 50, 20]), torch.Size([2, 32, 20]))
    """

    gate_count = 4
    state_count = 2
    layer_norm_rows = (9, 1)
    op = staticmethod(lstm)
    native_cell = native_lstm
    weight_names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_peephole", "weight_layer_norm")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        recurrent_init: RecurrentInit = "uniform",
        peephole: bool = False,
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
        forget_bias: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if proj_size != 0:
            raise ValueError(
                f"LSTM: proj_size expected 0, got {proj_size!r}: there is no cell with a projection; "
                "leave it out and put torch.nn.Linear(hidden_size, size) behind the layer, or use "
                "torch.nn.LSTM"
            )
        check_initialization("LSTM", recurrent_init, forget_bias, bias=bias)
        self.peephole = peephole
        self.forget_bias = forget_bias
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            layer_norm=layer_norm,
            recurrent_dropout=recurrent_dropout,
            zoneout=zoneout,
            recurrent_init=recurrent_init,
            device=device,
            dtype=dtype,
        )

    def parameter_shapes(self, layer_input_size: int) -> dict[str, tuple[int, ...]]:
        """Name the parameters of one layer and direction, in torch.nn.LSTM's order, with their shapes."""
        shapes = super().parameter_shapes(layer_input_size)
        if self.peephole:
            shapes["weight_peephole"] = (3, self.hidden_size)
        return shapes

    def reset_parameters(self) -> None:
        """Draw all parameters anew, and set the forget gates' biases if the layer was asked to."""
        super().reset_parameters()
        init_recurrent_(self, forget_bias=self.forget_bias)

    def op_options(self) -> dict[str, Any]:
        """Give the layer's options by the names of the op's arguments."""
        zoneout_h, zoneout_c = self._zoneouts
        return {"zoneout_h": zoneout_h, "zoneout_c": zoneout_c}

    def split_state(self, state: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Take ``(h, c)`` apart."""
        if not isinstance(state, tuple | list) or len(state) != 2:
            raise TypeError(f"LSTM: state expected a tuple (h, c) of two tensors, got {_describe(state)}")
        h, c = state
        if not isinstance(h, Tensor) or not isinstance(c, Tensor):
            raise TypeError(f"LSTM: state expected a tuple (h, c) of two tensors, got {_describe(state)}")
        return {"h": h, "c": c}

    def join_state(self, states: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Put ``(h, c)`` together."""
        h, c = states
        return h, c

    @classmethod
    def from_torch(cls, module: nn.LSTM) -> Self:
        """Build an LSTM without peepholes that computes what `module` does, with copies of its parameters.

        Device, dtype, training mode and which parameters are trained are taken over. Where `module` was made
        with torch.nn.LSTM's default ``batch_first=False``, the weights are the same, but the new layer takes
        [B, T, C].

        Raises:
            TypeError: `module` is not a torch.nn.LSTM.
            ValueError: `module` has ``proj_size``, which seqlight has no cell for.
        """
        check_convertible("LSTM", module, nn.LSTM)
        layer = cls(**shared_arguments(module, next(module.parameters())))
        copy_parameters(module, layer)
        return layer

    def to_torch(self) -> nn.LSTM:
        """Build a torch.nn.LSTM (``batch_first=True``) that computes what this layer does, with copied
        parameters.

        Raises:
            ValueError: the layer has an option that torch.nn.LSTM does not know.
        """
        check_plain(self, nn.LSTM, ("peephole", "layer_norm", "recurrent_dropout", "zoneout"))
        module = nn.LSTM(**shared_arguments(self, next(self.parameters())), batch_first=True)
        copy_parameters(self, module)
        return module

    def extra_repr(self) -> str:
        """List the sizes, and what differs from the defaults."""
        forget_bias = "" if self.forget_bias is None else f", forget_bias={self.forget_bias}"
        return super().extra_repr() + (", peephole=True" if self.peephole else "") + forget_bias


def _describe(state: object) -> str:
    if isinstance(state, tuple | list):
        return f"{type(state).__name__} of {', '.join(type(part).__name__ for part in state) or 'nothing'}"
    return type(state).__name__
