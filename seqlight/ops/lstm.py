r"""LSTM with optional peephole connections: one layer, one direction, over a whole sequence."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from seqlight.ops import reference
from seqlight.ops.backend import Backend
from seqlight.ops.checks import check_recurrent_shapes, check_shape
from seqlight.ops.recurrent import run_recurrent
from seqlight.ops.recurrent_native import NativeCell


def _reference(tensors: Sequence[Any], lengths: Tensor | None, reverse: bool) -> tuple[Tensor, ...]:
    return reference.lstm(*tensors, lengths=lengths, reverse=reverse)


native_lstm = NativeCell(
    "lstm",
    state_count=2,
    extra_count=1,
    saved_count=5,  # the gates i, f, g, o and the cell state
    separate_bias_gradients=False,
    reference=_reference,
)

_NAMES = ("h0", "c0", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_peephole")


def lstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    weight_peephole: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    reverse: bool = False,
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

    Args:
        x: inputs [B, T, I]; T at least 1, B may be 0. Any strides.
        h0: hidden state before the first step [B, H].
        c0: cell state before the first step [B, H].
        weight_ih: input weights [4*H, I], gates stacked i, f, g, o.
        weight_hh: recurrent weights [4*H, H].
        bias_ih: bias [4*H], or None.
        bias_hh: second bias [4*H], added to the first; None for none. Two, because torch.nn.LSTM has two.
        weight_peephole: peephole weights [3, H] of the gates i, f, o; None for an LSTM without.
        lengths: int64 [B], how many steps of each row count, 0..T. Outputs past the end are zero, and the
            final states are those at each row's own end (the initial ones where the length is 0). None: all
            T.
        reverse: run each row from its own last step to its first. Outputs stay in the order of x.
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
        ValueError: a shape, device, length or backend name is wrong; the message names the argument.
        TypeError: an argument is not a tensor or of the wrong dtype.
        RuntimeError: ``backend="native"`` cannot run here; the message says why.
    """
    states = {"h0": h0, "c0": c0}
    hidden_size = check_recurrent_shapes("lstm", 4, x, states, weight_ih, weight_hh, bias_ih, bias_hh)
    if weight_peephole is not None:
        check_shape("lstm", "weight_peephole", weight_peephole, "[3, H]", (3, hidden_size))
    tensors = (x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole)
    output, h_n, c_n = run_recurrent("lstm", native_lstm, _NAMES, tensors, lengths, reverse, backend=backend)
    return output, h_n, c_n
