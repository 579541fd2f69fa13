"""The GRU layer, in torch.nn.GRU's variant."""

from typing import Any, Self

from torch import nn

from seqlight.nn.hidden_state import HiddenStateRecurrent
from seqlight.nn.torch_conversion import check_convertible, check_plain, copy_parameters, shared_arguments
from seqlight.ops import gru
from seqlight.ops.gru import native_gru


class GRU(HiddenStateRecurrent):
    r"""Gated recurrent unit over [B, T, C], fused on the CPU.

    For each layer and time step, with :math:`\sigma` the logistic function:

    .. math::
        r_t &= \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr}) \\
        z_t &= \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz}) \\
        n_t &= \tanh(W_{in} x_t + b_{in} + r_t \odot (W_{hn} h_{t-1} + b_{hn})) \\
        h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}

    the equations of torch.nn.GRU: the reset gate r multiplies the recurrent product after its bias. In Cho et
    al., "Learning phrase representations using RNN encoder-decoder" (2014), it multiplies the state before
    the product.

    With ``layer_norm=True`` both products are normalised before their biases are added, as by Ba et al.,
    "Layer normalization" (2016): LN subtracts the mean and divides by
    :math:`\sqrt{\text{variance} + 10^{-5}}`, both taken over the features of one row and time step, those of
    r and z together,

    .. math::
        (W_{ir} x_t, W_{iz} x_t) &\to (\gamma_0, \gamma_1) \odot LN(W_{ir} x_t, W_{iz} x_t) \\
        W_{in} x_t &\to \gamma_2 \odot LN(W_{in} x_t)

    and so the recurrent products with :math:`\gamma_3, \gamma_4, \gamma_5`.

    ``output, h = layer(x, state=None, lengths=None)``: output [B, T, directions * H]; the state h
    [num_layers * directions, B, H]. Input and output are always batch first, unlike torch.nn.GRU's default.
    Running in chunks with the state handed on equals running whole. See :meth:`forward` and :meth:`step`.

    Parameters, named, ordered and drawn as in torch.nn.GRU, gates stacked r, z, n; per layer k, with
    ``_reverse`` appended for the second direction:

    - ``weight_ih_l{k}`` [3*H, C] (above the first layer [3*H, directions * H]), ``weight_hh_l{k}`` [3*H, H]
    - ``bias_ih_l{k}``, ``bias_hh_l{k}`` [3*H], unless ``bias=False``
    - ``weight_layer_norm_l{k}`` [6, H], the gains :math:`\gamma`, 1 at first, if ``layer_norm=True``

    Without layer norm, state dicts are exchangeable with torch.nn.GRU.

    Args:
        input_size: number of input features C.
        hidden_size: number of hidden units H of each direction.
        num_layers: layers stacked, each taking the whole output sequence of the one below.
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
        ValueError: a size below 1, a probability out of range, or ``batch_first=False``.
        TypeError: a probability that is no number, or `bias` or `batch_first` that is no bool.

    Example:
        >>> layer = seqlight.nn.GRU(3, 20, num_layers=2)
        >>> output, h = layer(torch.randn(32, 50, 3))
        >>> output.shape, h.shape
        (torch.Size([32, 50, 20]), torch.Size([2, 32, 20]))
    """

    gate_count = 3
    layer_norm_rows = (6, 0)
    op = staticmethod(gru)
    native_cell = native_gru

    def op_options(self) -> dict[str, Any]:
        """Give the layer's options by the names of the op's arguments."""
        return {"zoneout": self._zoneouts[0]}

    @classmethod
    def from_torch(cls, module: nn.GRU) -> Self:
        """Build a GRU that computes what `module` does, with copies of its parameters.

        Device, dtype, training mode and which parameters are trained are taken over. Where `module` was made
        with torch.nn.GRU's default ``batch_first=False``, the weights are the same, but the new layer takes
        [B, T, C].

        Raises:
            TypeError: `module` is not a torch.nn.GRU.
        """
        check_convertible("GRU", module, nn.GRU)
        layer = cls(**shared_arguments(module, next(module.parameters())))
        copy_parameters(module, layer)
        return layer

    def to_torch(self) -> nn.GRU:
        """Build a torch.nn.GRU (``batch_first=True``) that computes what this layer does, with copied
        parameters.

        Raises:
            ValueError: the layer has an option that torch.nn.GRU does not know.
        """
        check_plain(self, nn.GRU, ("layer_norm", "recurrent_dropout", "zoneout"))
        module = nn.GRU(**shared_arguments(self, next(self.parameters())), batch_first=True)
        copy_parameters(self, module)
        return module
