"""The LSTM layer, with or without peephole connections."""

from typing import Any, Self

import torch
from torch import Tensor, nn

from seqlight.nn.initialization import RecurrentInit, check_initialization, init_recurrent_
from seqlight.nn.recurrent import Recurrent
from seqlight.nn.torch_conversion import check_convertible, copy_parameters, shared_arguments
from seqlight.ops import lstm


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

    ``output, (h, c) = layer(x, state=None, lengths=None)``: output [B, T, directions * H]; h and c
    [num_layers * directions, B, H]. Input and output are always batch first, unlike torch.nn.LSTM's default.
    Running in chunks with the state handed on equals running whole. See :meth:`forward` and :meth:`step`.

    Parameters, named, ordered and drawn as in torch.nn.LSTM, gates stacked i, f, g, o; per layer k, with
    ``_reverse`` appended for the second direction:

    - ``weight_ih_l{k}`` [4*H, C] (above the first layer [4*H, directions * H]), ``weight_hh_l{k}`` [4*H, H]
    - ``bias_ih_l{k}``, ``bias_hh_l{k}`` [4*H], unless ``bias=False``
    - ``weight_peephole_l{k}`` [3, H] for the gates i, f, o, if ``peephole=True``

    Without peepholes, state dicts are exchangeable with torch.nn.LSTM.

    Args:
        input_size: number of input features C.
        hidden_size: number of hidden units H of each direction.
        num_layers: layers stacked, each taking the whole output sequence of the one below.
        bias: whether the cells have biases.
        dropout: probability of dropping an element of a layer's output before the next layer, in training.
        bidirectional: whether a second cell per layer runs from the end to the beginning; outputs are
            concatenated.
        recurrent_init: how ``weight_hh`` is drawn: ``"uniform"`` as in torch.nn, or ``"orthogonal"``, see
            :func:`seqlight.nn.init_recurrent_`.
        peephole: whether the gates see the cell state.
        forget_bias: value that the forget gates' two biases add up to at the beginning; 1 lets gradients
            through (Jozefowicz et al. 2015). None draws them as all others.
        device: of the parameters.
        dtype: of the parameters. float16 and bfloat16 are computed in float32 and answered in their own
            dtype.

    Raises:
        ValueError: a size below 1, or a dropout outside 0..1.

    Example:
        >>> layer = seqlight.nn.LSTM(3, 20, num_layers=2, peephole=True)
        >>> output, (h, c) = layer(torch.randn(32, 50, 3))
        >>> output.shape, h.shape
        (torch.Size([32, 50, 20]), torch.Size([2, 32, 20]))
    """

    gate_count = 4
    state_count = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        recurrent_init: RecurrentInit = "uniform",
        peephole: bool = False,
        forget_bias: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_initialization("LSTM", recurrent_init, forget_bias, bias=bias)
        self.peephole = peephole
        self.forget_bias = forget_bias
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias=bias,
            dropout=dropout,
            bidirectional=bidirectional,
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

    def run_layer(
        self,
        x: Tensor,
        states: tuple[Tensor, ...],
        parameters: dict[str, Any],
        lengths: Tensor | None,
        reverse: bool,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run one layer in one direction by :func:`seqlight.ops.lstm`."""
        output, h_n, c_n = lstm(x, *states, **parameters, lengths=lengths, reverse=reverse)
        return output, (h_n, c_n)

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
            ValueError: the layer has peepholes, which torch.nn.LSTM does not know.
        """
        if self.peephole:
            raise ValueError(
                "LSTM.to_torch: torch.nn.LSTM has no peephole connections; the layer expected with none"
            )
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
