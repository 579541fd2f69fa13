r"""GRU in torch.nn.GRU's variant: one layer, one direction, over a whole sequence."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from seqlight.ops import reference
from seqlight.ops.backend import Backend
from seqlight.ops.checks import check_recurrent_noise, check_recurrent_shapes, check_shape
from seqlight.ops.recurrent import run_recurrent
from seqlight.ops.recurrent_autograd import Constants
from seqlight.ops.recurrent_native import NativeCell


def _reference(
    tensors: Sequence[Any], constants: Constants, zoneout: float = 0.0, reverse: bool = False
) -> tuple[Tensor, ...]:
    hidden_mask, zoneout_seed, lengths = constants
    return reference.gru(
        *tensors,
        hidden_mask=hidden_mask,
        zoneout=zoneout,
        zoneout_seed=zoneout_seed,
        lengths=lengths,
        reverse=reverse,
    )


native_gru = NativeCell(
    "gru",
    state_count=1,
    extra_count=1,  # layer norm
    # The gates r, z, n, the new gate's recurrent sum, and the hidden state; with layer norm the normalised
    # products, and the hidden state.
    saved_counts=(5, 5, 7),
    moment_count=4,
    cuda_saved_count=4,  # the state stands in the output, products are computed again
    separate_bias_gradients=True,  # the reset gate multiplies one of the new gate's biases
    reference=_reference,
)

_NAMES = ("h0", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_layer_norm")


def gru(
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    weight_layer_norm: Tensor | None = None,
    *,
    hidden_mask: Tensor | None = None,
    zoneout: float = 0.0,
    zoneout_seed: Tensor | None = None,
    lengths: Tensor | None = None,
    reverse: bool = False,
    packed: Tensor | None = None,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor]:
    r"""Run one GRU layer in one direction over a batch of sequences.

    For each time step t, with :math:`\sigma` the logistic function and :math:`\odot` the elementwise product:

    .. math::
        r_t &= \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr}) \\
        z_t &= \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz}) \\
        n_t &= \tanh(W_{in} x_t + b_{in} + r_t \odot (W_{hn} h_{t-1} + b_{hn})) \\
        h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}

    These are torch.nn.GRU's equations and gate order (reset, update, new). The reset gate multiplies the
    recurrent product after its bias; in Cho et al., "Learning phrase representations using RNN
    encoder-decoder" (2014), it multiplies the state before the product.

    With `weight_layer_norm` the products are normalised as by Ba et al., "Layer normalization" (2016), before
    their biases are added; :math:`\gamma` are its rows, and LN subtracts the mean and divides by
    :math:`\sqrt{\text{variance} + 10^{-5}}`, both taken over the features of one row and time step:

    .. math::
        (W_{ir} x_t, W_{iz} x_t) &\to (\gamma_0, \gamma_1) \odot LN(W_{ir} x_t, W_{iz} x_t) \\
        W_{in} x_t &\to \gamma_2 \odot LN(W_{in} x_t)

    and the recurrent products likewise with :math:`\gamma_3, \gamma_4` and :math:`\gamma_5`: the two gates
    together over 2*H numbers, the new gate's product over H.

    Args:
        x: inputs [B, T, I]; T at least 1, B may be 0. Any strides.
        h0: hidden state before the first step [B, H].
        weight_ih: input weights [3*H, I], gates stacked r, z, n.
        weight_hh: recurrent weights [3*H, H].
        bias_ih: bias of the input product [3*H], or None.
        bias_hh: bias of the recurrent product [3*H], or None.
        weight_layer_norm: gains of layer normalisation [6, H]; None for a GRU without.
        hidden_mask: [B, H], multiplies the hidden state where it enters the recurrent product, at every time
            step; elsewhere the state is seen as it is. With elements 0 or 1/(1-p) it is the recurrent dropout
            of Gal and Ghahramani, "A theoretically grounded application of dropout in recurrent neural
            networks" (2016). Any floating-point dtype; no gradient is computed for it. None for none.
        zoneout: probability p of keeping a unit's previous state (Krueger et al., "Zoneout: Regularizing RNNs
            by randomly preserving hidden activations", 2017), 0 <= p < 1.
        zoneout_seed: int64 [1]. With it, each unit of each step keeps its state where a random word, drawn by
            :mod:`seqlight.ops.philox` from this seed, the unit, the time step and the row, says so; the same
            seed gives the same result. None gives the expectation, for evaluation:
            :math:`h_t = \tilde h_t + p (h_{t-1} - \tilde h_t)`, with :math:`\tilde h_t` the cell's own state.
        lengths: int64 [B], how many steps of each row count, 0..T. Outputs past the end are zero, and the
            final state is that at each row's own end (the initial one where the length is 0). None: all T.
        reverse: run each row from its own last step to its first. Outputs stay in the order of x.
        packed: the weights as the kernel lays them out, made by :meth:`seqlight.nn.Recurrent.packed`, which
            saves laying them out at each call; None elsewhere. The reference has no use for it.
        backend: ``"auto"``, ``"native"`` or ``"reference"``; see :mod:`seqlight.ops.backend`.

    Returns:
        ``(output, h_n)``: hidden states [B, T, H], and the last one [B, H].

    dtypes: float32 and float64 are computed as such. float16 and bfloat16 are computed in float32 and come
    back in their own dtype. Under ``torch.autocast`` inputs of any of these but float64 may be mixed, are
    computed in float32, and come back in autocast's dtype, as from torch.nn.GRU.

    Gradients: first derivatives run natively where the forward pass does. Second and higher ones, and
    forward-mode differentiation, are computed by the reference; under ``torch.compile`` only first
    derivatives exist. ``torch.vmap`` runs one call per sample. A program from ``torch.export`` is for
    inference.

    Raises:
        ValueError: a shape, device, length, probability or backend name is wrong, or hidden_mask wants a
            gradient; the message names the argument.
        TypeError: an argument is not a tensor or of the wrong dtype.
        RuntimeError: ``backend="native"`` cannot run here; the message says why.
    """
    hidden_size = check_recurrent_shapes("gru", 3, x, {"h0": h0}, weight_ih, weight_hh, bias_ih, bias_hh)
    if weight_layer_norm is not None:
        check_shape("gru", "weight_layer_norm", weight_layer_norm, "[6, H]", (6, hidden_size))
    if hidden_mask is not None or zoneout or zoneout_seed is not None:
        check_recurrent_noise("gru", x, hidden_size, hidden_mask, {"zoneout": zoneout}, zoneout_seed)
    output, h_n = run_recurrent(
        "gru",
        native_gru,
        _NAMES,
        (x, h0, weight_ih, weight_hh, bias_ih, bias_hh, weight_layer_norm),
        (hidden_mask, zoneout_seed, lengths),
        zoneout,
        reverse,
        packed=packed,
        backend=backend,
    )
    return output, h_n
