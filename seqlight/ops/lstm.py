r"""LSTM with optional peephole connections: one layer, one direction, over a whole sequence."""

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
    tensors: Sequence[Any],
    constants: Constants,
    zoneout_h: float = 0.0,
    zoneout_c: float = 0.0,
    reverse: bool = False,
) -> tuple[Tensor, ...]:
    hidden_mask, zoneout_seed, lengths = constants
    return reference.lstm(
        *tensors,
        hidden_mask=hidden_mask,
        zoneout_h=zoneout_h,
        zoneout_c=zoneout_c,
        zoneout_seed=zoneout_seed,
        lengths=lengths,
        reverse=reverse,
    )


native_lstm = NativeCell(
    "lstm",
    state_count=2,
    extra_count=2,  # peepholes and layer norm
    # The gates i, f, g, o and the cell state; with layer norm the normalised products instead of the gates.
    saved_counts=(5, 5, 9),
    moment_count=4,
    cuda_saved_count=5,  # products are computed again
    separate_bias_gradients=False,
    reference=_reference,
)

_NAMES = ("h0", "c0", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_peephole", "weight_layer_norm")


def lstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    weight_peephole: Tensor | None = None,
    weight_layer_norm: Tensor | None = None,
    *,
    hidden_mask: Tensor | None = None,
    zoneout_h: float = 0.0,
    zoneout_c: float = 0.0,
    zoneout_seed: Tensor | None = None,
    lengths: Tensor | None = None,
    reverse: bool = False,
    packed: Tensor | None = None,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Run one LSTM layer in one direction over a batch of sequences.

    For each time step t, with :math:`\sigma` the logistic function and :math:`\odot` the elementwise product:

    .. math::
        i_t &= \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi} + p_i \odot c_{t-1}) \\
        f_t &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf} + p_f \odot c_{t-1}) \\
        g_t &= \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        o_t &= \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho} + p_o \odot c_t) \\
        h_t &= o_t \odot \tanh(c_t)

    These are torch.nn.LSTM's equations and gate order (i, f, g, o) with the peephole terms :math:`p` of Gers
    and Schmidhuber, "Recurrent nets that time and count" (2000): the input and forget gates see the cell
    state before the step, the output gate the one after it.

    With `weight_layer_norm` the two products and the cell state are normalised as by Ba et al., "Layer
    normalization" (2016); :math:`\gamma_0 ... \gamma_8` and :math:`\beta_9` are its rows, and LN subtracts
    the mean and divides by :math:`\sqrt{\text{variance} + 10^{-5}}`, both taken over the features of one row
    and time step:

    .. math::
        W_i x_t &\to (\gamma_0, \gamma_1, \gamma_2, \gamma_3) \odot LN(W_i x_t) \\
        W_h h_{t-1} &\to (\gamma_4, \gamma_5, \gamma_6, \gamma_7) \odot LN(W_h h_{t-1}) \\
        h_t &= o_t \odot \tanh(\gamma_8 \odot LN(c_t) + \beta_9)

    each product over the 4*H numbers of its four gates together. Biases and peephole terms are added after
    the normalisation, so the two biases are the paper's :math:`\beta` of the two products; the output gate's
    peephole sees :math:`c_t` as it is.

    Args:
        x: inputs [B, T, I]; T at least 1, B may be 0. Any strides.
        h0: hidden state before the first step [B, H].
        c0: cell state before the first step [B, H].
        weight_ih: input weights [4*H, I], gates stacked i, f, g, o.
        weight_hh: recurrent weights [4*H, H].
        bias_ih: bias [4*H], or None.
        bias_hh: second bias [4*H], added to the first; None for none. Two, because torch.nn.LSTM has two.
        weight_peephole: peephole weights [3, H] of the gates i, f, o; None for an LSTM without.
        weight_layer_norm: gains and bias of layer normalisation [10, H]; None for an LSTM without.
        hidden_mask: [B, H], multiplies the hidden state where it enters the recurrent product, at every time
            step; elsewhere the state is seen as it is. With elements 0 or 1/(1-p) it is the recurrent dropout
            of Gal and Ghahramani, "A theoretically grounded application of dropout in recurrent neural
            networks" (2016). Any floating-point dtype; no gradient is computed for it. None for none.
        zoneout_h: probability p of keeping a unit's previous hidden state (Krueger et al., "Zoneout:
            Regularizing RNNs by randomly preserving hidden activations", 2017), 0 <= p < 1.
        zoneout_c: the same for the cell state. The hidden state, and the output gate's peephole, are computed
            from the cell state before its zoneout, as in the paper.
        zoneout_seed: int64 [1]. With it, each unit of each step keeps its state where a random word, drawn by
            :mod:`seqlight.ops.philox` from this seed, the unit, the time step and the row, says so; the same
            seed gives the same result. None gives the expectation, for evaluation:
            :math:`h_t = \tilde h_t + p (h_{t-1} - \tilde h_t)`, with :math:`\tilde h_t` the cell's own state,
            and so for c.
        lengths: int64 [B], how many steps of each row count, 0..T. Outputs past the end are zero, and the
            final states are those at each row's own end (the initial ones where the length is 0). None: all
            T.
        reverse: run each row from its own last step to its first. Outputs stay in the order of x.
        packed: the weights as the kernel lays them out, made by :meth:`seqlight.nn.Recurrent.packed`, which
            saves laying them out at each call; None elsewhere. The reference has no use for it.
        backend: ``"auto"``, ``"native"`` or ``"reference"``; see :mod:`seqlight.ops.backend`.

    Returns:
        ``(output, h_n, c_n)``: hidden states [B, T, H], and the last hidden and cell states [B, H].

    dtypes: float32 and float64 are computed as such. float16 and bfloat16 are computed in float32 and come
    back in their own dtype. Under ``torch.autocast`` inputs of any of these but float64 may be mixed, are
    computed in float32, and come back in autocast's dtype, as from torch.nn.LSTM.

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
    states = {"h0": h0, "c0": c0}
    hidden_size = check_recurrent_shapes("lstm", 4, x, states, weight_ih, weight_hh, bias_ih, bias_hh)
    if weight_peephole is not None:
        check_shape("lstm", "weight_peephole", weight_peephole, "[3, H]", (3, hidden_size))
    if weight_layer_norm is not None:
        check_shape("lstm", "weight_layer_norm", weight_layer_norm, "[10, H]", (10, hidden_size))
    if hidden_mask is not None or zoneout_h or zoneout_c or zoneout_seed is not None:
        zoneouts = {"zoneout_h": zoneout_h, "zoneout_c": zoneout_c}
        check_recurrent_noise("lstm", x, hidden_size, hidden_mask, zoneouts, zoneout_seed)
    output, h_n, c_n = run_recurrent(
        "lstm",
        native_lstm,
        _NAMES,
        (x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole, weight_layer_norm),
        (hidden_mask, zoneout_seed, lengths),
        zoneout_h,
        zoneout_c,
        reverse,
        packed=packed,
        backend=backend,
    )
    return output, h_n, c_n
