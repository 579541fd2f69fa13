"""The simple recurrent layer, tanh or ReLU."""

from typing import Any, Literal, Self

import torch
from torch import nn

from seqlight.nn.hidden_state import HiddenStateRecurrent
from seqlight.nn.initialization import RecurrentInit
from seqlight.nn.torch_conversion import check_convertible, check_plain, copy_parameters, shared_arguments
from seqlight.ops import rnn
from seqlight.ops.rnn import check_nonlinearity, native_rnn


class RNN(HiddenStateRecurrent):
    r"""Simple recurrent layer (Elman 1990) over [B, T, C], fused on the CPU.

    For each layer and time step, with :math:`\phi` tanh or :math:`\max(\cdot, 0)`:

    .. math::
        h_t = \phi(W_i x_t + b_i + W_h h_{t-1} + b_h)

    the equation of torch.nn.RNN. With ``layer_norm=True`` the sum is normalised before the activation:

    .. math::
        h_t = \phi(\gamma \odot LN(W_i x_t + b_i + W_h h_{t-1} + b_h) + \beta)

    where LN subtracts the mean and divides by :math:`\sqrt{\text{variance} + 10^{-5}}`, both taken over the
    features of one row and time step; Ba et al., "Layer normalization" (2016).

    ``output, h = layer(x, state=None, lengths=None)``: output [B, T, directions * H]; the state h
    [num_layers * directions, B, H]. Input and output are always batch first, unlike torch.nn.RNN's default.
    Running in chunks with the state handed on equals running whole. See :meth:`forward` and :meth:`step`.

    Parameters, named, ordered and drawn as in torch.nn.RNN; per layer k, with ``_reverse`` appended for the
    second direction:

    - ``weight_ih_l{k}`` [H, C] (above the first layer [H, directions * H]), ``weight_hh_l{k}`` [H, H]
    - ``bias_ih_l{k}``, ``bias_hh_l{k}`` [H], unless ``bias=False``
    - ``weight_layer_norm_l{k}`` [2, H], gain :math:`\gamma` and bias :math:`\beta`, 1 and 0 at first, if
      ``layer_norm=True``

    Without layer norm, state dicts are exchangeable with torch.nn.RNN.

    Args:
        input_size: number of input features C.
        hidden_size: number of hidden units H of each direction.
        num_layers: layers stacked, each taking the whole output sequence of the one below.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        bias: whether the cells have biases.
        batch_first: True, the only layout there is; it may be given as to torch.nn, whose default is False.
        dropout: probability of dropping an element of a layer's output before the next layer, in training.
        bidirectional: whether a second cell per layer runs from the end to the beginning; outputs are
            concatenated.
        layer_norm: whether the cells normalise over the features at every time step, see above.
        recurrent_dropout: probability p, 0 <= p < 1, of dropping a hidden unit where it enters the recurrent
            product, in training (Gal and Ghahramani, "A theoretically grounded application of dropout in
            recurrent neural networks", 2016). Each call draws one mask for all its time steps, for each layer
            and direction; the rest is scaled by 1/(1-p).
        zoneout: probability p, 0 <= p < 1, of a unit keeping its previous state at a time step (Krueger et
            al., "Zoneout: Regularizing RNNs by randomly preserving hidden activations", 2017): drawn for each
            unit and step in training, the expectation in evaluation.
        recurrent_init: how ``weight_hh`` is drawn: ``"uniform"`` as in torch.nn, or ``"orthogonal"``, see
            :func:`seqlight.nn.init_recurrent_`.
        device: of the parameters.
        dtype: of the parameters. float16 and bfloat16 are computed in float32 and answered in their own
            dtype.

    Raises:
        ValueError: a size below 1, a probability out of range, an unknown nonlinearity, or
            ``batch_first=False``.
        TypeError: a probability that is no number, or `bias` or `batch_first` that is no bool.

    Example:
        >>> layer = seqlight.nn.RNN(3, 20, num_layers=2, nonlinearity="relu")
        >>> output, h = layer(torch.randn(32, 50, 3))
        >>> output.shape, h.shape
        (torch.Size([32, 50, 20]), torch.Size([2, 32, 20]))
    """

    gate_count = 1
    layer_norm_rows = (1, 1)
    op = staticmethod(rnn)
    native_cell = native_rnn

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        recurrent_init: RecurrentInit = "uniform",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_nonlinearity("RNN", nonlinearity)
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
        self.nonlinearity = nonlinearity

    def op_options(self) -> dict[str, Any]:
        """Give the layer's options by the names of the op's arguments."""
        return {"nonlinearity": self.nonlinearity, "zoneout": self._zoneouts[0]}

    def op_flags(self, reverse: bool) -> tuple[float, ...]:
        """Give the options in the order in which the native ops take them."""
        return (*self._zoneouts, self.nonlinearity == "relu", reverse)

    @classmethod
    def from_torch(cls, module: nn.RNN) -> Self:
        """Build an RNN that computes what `module` does, with copies of its parameters.

        Device, dtype, training mode and which parameters are trained are taken over. Where `module` was made
        with torch.nn.RNN's default ``batch_first=False``, the weights are the same, but the new layer takes
        [B, T, C].

        Raises:
            TypeError: `module` is not a torch.nn.RNN.
        """
        check_convertible("RNN", module, nn.RNN)
        arguments = shared_arguments(module, next(module.parameters()))
        layer = cls(**arguments, nonlinearity=module.nonlinearity)
        copy_parameters(module, layer)
        return layer

    def to_torch(self) -> nn.RNN:
        """Build a torch.nn.RNN (``batch_first=True``) that computes what this layer does, with copied
        parameters.

        Raises:
            ValueError: the layer has an option that torch.nn.RNN does not know.
        """
        check_plain(self, nn.RNN, ("layer_norm", "recurrent_dropout", "zoneout"))
        arguments = shared_arguments(self, next(self.parameters()))
        module = nn.RNN(**arguments, nonlinearity=self.nonlinearity, batch_first=True)
        copy_parameters(self, module)
        return module

    def extra_repr(self) -> str:
        """List the sizes, and what differs from the defaults."""
        return super().extra_repr() + (", nonlinearity=relu" if self.nonlinearity == "relu" else "")
