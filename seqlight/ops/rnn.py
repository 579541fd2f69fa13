r"""Simple recurrent layer (Elman network), tanh or ReLU: one layer, one direction, over a whole sequence."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

from torch import Tensor

from seqlight.ops import reference
from seqlight.ops.backend import Backend
from seqlight.ops.checks import check_recurrent_noise, check_recurrent_shapes, check_shape
from seqlight.ops.recurrent import run_recurrent
from seqlight.ops.recurrent_autograd import Constants
from seqlight.ops.recurrent_native import NativeCell

Nonlinearity = Literal["tanh", "relu"]


def _reference(
    tensors: Sequence[Any],
    constants: Constants,
    zoneout: float = 0.0,
    relu: bool = False,
    reverse: bool = False,
) -> tuple[Tensor, ...]:
    hidden_mask, zoneout_seed, lengths = constants
    return reference.rnn(
        *tensors,
        nonlinearity="relu" if relu else "tanh",
        hidden_mask=hidden_mask,
        zoneout=zoneout,
        zoneout_seed=zoneout_seed,
        lengths=lengths,
        reverse=reverse,
    )


native_rnn = NativeCell(
    "rnn",
    state_count=1,
    extra_count=1,  # layer norm
    # The hidden state, and what the cell itself made of it or, with layer norm, its normalised sum.
    saved_counts=(1, 2, 2),
    moment_count=1,
    cuda_saved_count=1,  # what the cell made of its sum, with layer norm the sum itself
    separate_bias_gradients=False,
    reference=_reference,
)

_NAMES = ("h0", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_layer_norm")


def rnn(
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    weight_layer_norm: Tensor | None = None,
    *,
    nonlinearity: Nonlinearity = "tanh",
    hidden_mask: Tensor | None = None,
    zoneout: float = 0.0,
    zoneout_seed: Tensor | None = None,
    lengths: Tensor | None = None,
    reverse: bool = False,
    packed: Tensor | None = None,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor]:
    r"""Run one simple recurrent layer in one direction over a batch of sequences.

    For each time step t, with :math:`\phi` tanh or :math:`\max(\cdot, 0)`:

    .. math::
        h_t = \phi(W_i x_t + b_i + W_h h_{t-1} + b_h)

    the equation of torch.nn.RNN; Elman, "Finding structure in time" (1990). With `weight_layer_norm` the sum
    is normalised before the activation, at every time step:

    .. math::
        h_t = \phi(\gamma \odot LN(W_i x_t + b_i + W_h h_{t-1} + b_h) + \beta)

    where LN subtracts the mean and divides by :math:`\sqrt{\text{variance} + 10^{-5}}`, both taken over the H
    features of one row and time step; Ba et al., "Layer normalization" (2016).

    Args:
        x: inputs [B, T, I]; T at least 1, B may be 0. Any strides.
        h0: hidden state before the first step [B, H].
        weight_ih: input weights [H, I].
        weight_hh: recurrent weights [H, H].
        bias_ih: bias [H], or None.
        bias_hh: second bias [H], added to the first; None for none. Two, because torch.nn.RNN has two.
        weight_layer_norm: gain and bias of layer normalisation [2, H]; None for a layer without.
        nonlinearity: ``"tanh"`` or ``"relu"``.
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
    computed in float32, and come back in autocast's dtype, as from torch.nn.RNN.

    Gradients: first derivatives run natively where the forward pass does. Second and higher ones, and
    forward-mode differentiation, are computed by the reference; under ``torch.compile`` only first
    derivatives exist. ``torch.vmap`` runs one call per sample. A program from ``torch.export`` is for
    inference.

    Raises:
        ValueError: a shape, device, length, probability, nonlinearity or backend name is wrong, or
            hidden_mask wants a gradient; the message names the argument.
        TypeError: an argument is not a tensor or of the wrong dtype.
        RuntimeError: ``backend="native"`` cannot run here; the message says why.
    """
    check_nonlinearity("rnn", nonlinearity)
    hidden_size = check_recurrent_shapes("rnn", 1, x, {"h0": h0}, weight_ih, weight_hh, bias_ih, bias_hh)
    if weight_layer_norm is not None:
        check_shape("rnn", "weight_layer_norm", weight_layer_norm, "[2, H]", (2, hidden_size))
    if hidden_mask is not None or zoneout or zoneout_seed is not None:
        check_recurrent_noise("rnn", x, hidden_size, hidden_mask, {"zoneout": zoneout}, zoneout_seed)
    output, h_n = run_recurrent(
        "rnn",
        native_rnn,
        _NAMES,
        (x, h0, weight_ih, weight_hh, bias_ih, bias_hh, weight_layer_norm),
        (hidden_mask, zoneout_seed, lengths),
        zoneout,
        nonlinearity == "relu",
        reverse,
        packed=packed,
        backend=backend,
    )
    return output, h_n


def check_nonlinearity(op: str, nonlinearity: object) -> None:
    """Raise ValueError unless it is ``"tanh"`` or ``"relu"``."""
    if nonlinearity not in get_args(Nonlinearity):
        raise ValueError(f"{op}: nonlinearity expected 'tanh' or 'relu', got {nonlinearity!r}")
