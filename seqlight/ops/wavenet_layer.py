r"""One layer of the gated WaveNet: dilated convolution, gate, residual and skip in one operation."""

from typing import Any

import torch
from torch import Tensor

from seqlight.ops import wavenet_layer_reference as reference
from seqlight.ops.backend import Backend, use_native
from seqlight.ops.checks import check_alike, check_shape, check_tensor
from seqlight.ops.precision import precision_of
from seqlight.ops.wavenet_layer_native import wavenet_layer_native


def wavenet_layer(
    h: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    project_weight: Tensor,
    project_bias: Tensor,
    *,
    dilation: int = 1,
    state: Tensor | None = None,
    skip: Tensor | None = None,
    condition: Tensor | None = None,
    condition_weight: Tensor | None = None,
    static_term: Tensor | None = None,
    residual: bool = True,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Run one layer of the gated WaveNet (van den Oord et al. 2016, figure 4).

    .. math::
        \begin{pmatrix} a \\ b \end{pmatrix} &= W * h + \beta + V c + s, \qquad z = \tanh(a) \odot \sigma(b)
        \\ h' &= h + W_r z + \beta_r, \qquad q' = q + W_s z + \beta_s

    with the dilated causal convolution :math:`*` of :func:`seqlight.ops.causal_conv1d`, the sum q of the
    skip connections so far, a local condition c and the term s of a global one. The kernels run block by
    block, so that nothing between h and its results goes through memory.

    Args:
        h: input [B, T, C]; B and T may be 0. Any strides.
        conv_weight: [2*C, C, K], the filter's half (tanh) first.
        conv_bias: [2*C].
        project_weight: the residual's and the skip's 1x1 convolutions, [C + S, C], the residual's
            first; [S, C] without `residual`.
        project_bias: [C + S], or [S] without `residual`.
        dilation: distance between the taps in time steps.
        state: [B, (K-1)*dilation, C], the inputs before h, the oldest first; None for zeros.
        skip: q, [B, T, S]; None for zeros.
        condition: c, [B, T, D], or None.
        condition_weight: V, [2*C, D]; wanted with `condition`.
        static_term: s, [B, 2*C], or None.
        residual: whether h' is wanted; the last layer of a net needs none.
        backend: ``"auto"``, ``"native"`` or ``"reference"``; see :mod:`seqlight.ops.backend`.

    Returns:
        ``(h', q', new_state)``: [B, T, C] (h itself without `residual`), [B, T, S] and the last
        (K-1)*dilation rows of state and h [B, (K-1)*dilation, C].

    dtypes and gradients: as :func:`seqlight.ops.causal_conv1d`.

    Raises:
        ValueError: a shape, device, dilation or backend name is wrong; the message names the argument.
        TypeError: an argument is not a tensor or of the wrong dtype.
        RuntimeError: ``backend="native"`` cannot run here; the message says why.
    """
    op = "wavenet_layer"
    tensors: tuple[Any, ...] = (
        h,
        state,
        skip,
        conv_weight,
        conv_bias,
        project_weight,
        project_bias,
        condition,
        condition_weight,
        static_term,
    )
    arguments: tuple[Any, ...] = (*tensors, dilation, residual)
    _check_arguments(op, *arguments)
    precision = precision_of(op, h)
    check_alike(op, h, zip(_NAMES, tensors[1:], strict=True), mixed=precision.autocast)
    run_natively = use_native(op, backend, h.device, precision.compute)

    if precision.autocast or precision.compute != precision.result:
        converted = (None if tensor is None else tensor.to(precision.compute) for tensor in tensors)
        arguments = (*converted, dilation, residual)
    if run_natively:
        results = wavenet_layer_native(*arguments)
    elif precision.autocast:
        with torch.autocast(h.device.type, enabled=False):
            results = reference.wavenet_layer(*arguments)
    else:
        results = reference.wavenet_layer(*arguments)
    if precision.compute != precision.result:
        h_next, skip_sum, new_state = results
        return h_next.to(precision.result), skip_sum.to(precision.result), new_state.to(precision.result)
    return results


_NAMES = (
    "state",
    "skip",
    "conv_weight",
    "conv_bias",
    "project_weight",
    "project_bias",
    "condition",
    "condition_weight",
    "static_term",
)


def _check_arguments(
    op: str,
    h: Tensor,
    state: Tensor | None,
    skip: Tensor | None,
    conv_weight: Tensor,
    conv_bias: Tensor,
    project_weight: Tensor,
    project_bias: Tensor,
    condition: Tensor | None,
    condition_weight: Tensor | None,
    static_term: Tensor | None,
    dilation: int,
    residual: bool,
) -> None:
    """Raise on a wrong shape or number."""
    if dilation < 1:
        raise ValueError(f"{op}: dilation expected at least 1, got {dilation}")
    check_tensor(op, "h", h)
    check_tensor(op, "conv_weight", conv_weight)
    shape = conv_weight.shape
    if conv_weight.dim() != 3 or 0 in shape or shape[0] != 2 * shape[1]:
        raise ValueError(f"{op}: conv_weight expected [2*C, C, K] with C and K at least 1, got {list(shape)}")
    channels, kernel_size = shape[1:]
    if h.dim() != 3 or h.shape[2] != channels:
        raise ValueError(
            f"{op}: h expected [B, T, C] with C = {channels} as in conv_weight, got {list(h.shape)}"
        )
    batch_size, steps, _ = h.shape
    check_shape(op, "conv_bias", conv_bias, "[2*C]", (2 * channels,))
    check_tensor(op, "project_weight", project_weight)
    least = channels if residual else 0
    rows = project_weight.shape[0] if project_weight.dim() == 2 else 0
    if rows <= least or project_weight.shape[1] != channels:
        meaning = "[C + S, C]" if residual else "[S, C]"
        raise ValueError(
            f"{op}: project_weight expected {meaning} with C = {channels} and S at least 1, "
            f"got {list(project_weight.shape)}"
        )
    check_shape(op, "project_bias", project_bias, "[rows of project_weight]", (rows,))
    if state is not None:
        sizes = (batch_size, (kernel_size - 1) * dilation, channels)
        check_shape(op, "state", state, "[B, (K-1)*dilation, C]", sizes)
    if skip is not None:
        check_shape(op, "skip", skip, "[B, T, S]", (batch_size, steps, rows - least))
    if (condition is None) != (condition_weight is None):
        raise ValueError(f"{op}: condition and condition_weight expected both or neither")
    if condition is not None and condition_weight is not None:
        check_tensor(op, "condition", condition)
        check_tensor(op, "condition_weight", condition_weight)
        if condition.dim() != 3 or condition.shape[2] == 0:
            raise ValueError(
                f"{op}: condition expected [B, T, D] with D at least 1, got {list(condition.shape)}"
            )
        size = condition.shape[2]
        check_shape(op, "condition", condition, "[B, T, D]", (batch_size, steps, size))
        check_shape(op, "condition_weight", condition_weight, "[2*C, D]", (2 * channels, size))
    if static_term is not None:
        check_shape(op, "static_term", static_term, "[B, 2*C]", (batch_size, 2 * channels))
