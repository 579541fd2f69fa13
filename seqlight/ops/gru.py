r"""GRU in torch.nn.GRU's variant: one layer, one direction, over a whole sequence."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from seqlight.ops import reference
from seqlight.ops.backend import Backend
from seqlight.ops.checks import check_recurrent_shapes
from seqlight.ops.recurrent import run_recurrent
from seqlight.ops.recurrent_native import NativeCell


def _reference(tensors: Sequence[Any], lengths: Tensor | None, reverse: bool) -> tuple[Tensor, ...]:
    return reference.gru(*tensors, lengths=lengths, reverse=reverse)


native_gru = NativeCell(
    "gru",
    state_count=1,
    extra_count=0,
    saved_count=5,  # the gates r, z, n, the new gate's recurrent sum, and the hidden state
    separate_bias_gradients=True,  # the reset gate multiplies one of the new gate's biases
    reference=_reference,
)

_NAMES = ("h0", "weight_ih", "weight_hh", "bias_ih", "bias_hh")


def gru(
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    reverse: bool = False,
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

    Args:
        x: inputs [B, T, I]; T at least 1, B may be 0. Any strides.
        h0: hidden state before the first step [B, H].
        weight_ih: input weights [3*H, I], gates stacked r, z, n.
        weight_hh: recurrent weights [3*H, H].
        bias_ih: bias of the input product [3*H], or None.
        bias_hh: bias of the recurrent product [3*H], or None.
        lengths: int64 [B], how many steps of each row count, 0..T. Outputs past the end are zero, and the
            final state is that at each row's own end (the initial one where the length is 0). None: all T.
        reverse: run each row from its own last step to its first. Outputs stay in the order of x.
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
        ValueError: a shape, device, length or backend name is wrong; the message names the argument.
        TypeError: an argument is not a tensor or of the wrong dtype.
        RuntimeError: ``backend="native"`` cannot run here; the message says why.
    """
    check_recurrent_shapes("gru", 3, x, {"h0": h0}, weight_ih, weight_hh, bias_ih, bias_hh)
    tensors = (x, h0, weight_ih, weight_hh, bias_ih, bias_hh)
    output, h_n = run_recurrent("gru", native_gru, _NAMES, tensors, lengths, reverse, backend=backend)
    return output, h_n
