r"""Simple recurrent layer (Elman network), tanh or ReLU: one layer, one direction, over a whole sequence."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

from torch import Tensor

from seqlight.ops import reference
from seqlight.ops.backend import Backend
from seqlight.ops.checks import check_recurrent_shapes
from seqlight.ops.recurrent import run_recurrent
from seqlight.ops.recurrent_native import NativeCell

Nonlinearity = Literal["tanh", "relu"]


def _reference(
    tensors: Sequence[Any], lengths: Tensor | None, relu: bool, reverse: bool
) -> tuple[Tensor, ...]:
    nonlinearity: Nonlinearity = "relu" if relu else "tanh"
    return reference.rnn(*tensors, nonlinearity=nonlinearity, lengths=lengths, reverse=reverse)


native_rnn = NativeCell(
    "rnn",
    state_count=1,
    extra_count=0,
    saved_count=1,  # the hidden state
    separate_bias_gradients=False,
    reference=_reference,
)

_NAMES = ("h0", "weight_ih", "weight_hh", "bias_ih", "bias_hh")


def rnn(
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    *,
    nonlinearity: Nonlinearity = "tanh",
    lengths: Tensor | None = None,
    reverse: bool = False,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor]:
    r"""Run one simple recurrent layer in one direction over a batch of sequences.

    For each time step t, with :math:`\phi` tanh or :math:`\max(\cdot, 0)`:

    .. math::
        h_t = \phi(W_i x_t + b_i + W_h h_{t-1} + b_h)

    the equation of torch.nn.RNN; Elman, "Finding structure in time" (1990).

    Args:
        x: inputs [B, T, I]; T at least 1, B may be 0. Any strides.
        h0: hidden state before the first step [B, H].
        weight_ih: input weights [H, I].
        weight_hh: recurrent weights [H, H].
        bias_ih: bias [H], or None.
        bias_hh: second bias [H], added to the first; None for none. Two, because torch.nn.RNN has two.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        lengths: int64 [B], how many steps of each row count, 0..T. Outputs past the end are zero, and the
            final state is that at each row's own end (the initial one where the length is 0). None: all T.
        reverse: run each row from its own last step to its first. Outputs stay in the order of x.
        backend: ``"auto"``, ``"native"`` or ``"reference"``; see :mod:`seqlight.ops.backend`.

    Returns:
        ``(output, h_n)``: hidden states [B, T, H], and the last one [B, H].

    dtypes: float32 and float64 are computed as such. float16 and bfloat16 are computed in float32 and come
    back in their own dtype. Under ``torch.autocast`` inputs of any of these but float64 may be mixed, are
    computed in float32, and come back in autocast's dtype, as from torch.nn.RNN.

    Gradients: first derivatives run natively where the forward pass does. Second and higher ones, and
    forward-mode differentiation, are computed by the reference; under ``torch.compile`` only first
    derivatives exist. ``torch.vmap`` runs one call per sample. A program from ``torch.export`` is for
    inference.

    Raises:
        ValueError: a shape, device, length, nonlinearity or backend name is wrong; the message names the
            argument.
        TypeError: an argument is not a tensor or of the wrong dtype.
        RuntimeError: ``backend="native"`` cannot run here; the message says why.
    """
    check_nonlinearity("rnn", nonlinearity)
    check_recurrent_shapes("rnn", 1, x, {"h0": h0}, weight_ih, weight_hh, bias_ih, bias_hh)
    tensors = (x, h0, weight_ih, weight_hh, bias_ih, bias_hh)
    relu = nonlinearity == "relu"
    output, h_n = run_recurrent("rnn", native_rnn, _NAMES, tensors, lengths, relu, reverse, backend=backend)
    return output, h_n


def check_nonlinearity(op: str, nonlinearity: object) -> None:
    """Raise ValueError unless it is ``"tanh"`` or ``"relu"``."""
    if nonlinearity not in get_args(Nonlinearity):
        raise ValueError(f"{op}: nonlinearity expected 'tanh' or 'relu', got {nonlinearity!r}")
