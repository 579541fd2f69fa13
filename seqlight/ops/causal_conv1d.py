r"""Dilated causal convolution over time on [B, T, C], with a state for streaming and a fused activation."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from seqlight.ops import causal_conv1d_reference as reference
from seqlight.ops.backend import Backend, use_native
from seqlight.ops.causal_conv1d_native import causal_conv1d_native
from seqlight.ops.checks import check_alike, check_shape, check_tensor
from seqlight.ops.precision import precision_of

ConvActivation = Literal["relu", "gate"]


def causal_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    dilation: int = 1,
    groups: int = 1,
    state: Tensor | None = None,
    activation: ConvActivation | None = None,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor]:
    r"""Convolve sequences along time so that the output at t depends on inputs up to t only.

    .. math::
        z_{t,o} = b_o + \sum_{k=0}^{K-1} \sum_i w_{o,i,k} \; x_{t - (K-1-k) d,\, i}

    with dilation d, and the sum over i taken over the input channels of o's group: torch.nn.functional.conv1d
    on a sequence padded with (K-1)*d steps at its beginning. Those steps are the state: the last (K-1)*d
    inputs of the chunk before, or zeros. Running in chunks with the state handed on equals running whole.

    The activation is computed in the same pass: ``"relu"``, or ``"gate"``, the gated unit of WaveNet (van den
    Oord et al. 2016, equation 2), :math:`y = \tanh(a) \odot \sigma(b)` with a the first and b the second half
    of the channels of z.

    Args:
        x: inputs [B, T, C_in]; B and T may be 0. Any strides.
        weight: [C_out, C_in / groups, K], as in torch.nn.Conv1d.
        bias: [C_out], or None.
        dilation: distance d between the taps in time steps.
        groups: number of groups that input and output channels are divided into; channels see their own
            group only. ``groups = C_in = C_out`` is the depthwise convolution.
        state: [B, (K-1)*d, C_in], the inputs before x, the oldest first; None for zeros.
        activation: None, ``"relu"`` or ``"gate"``, which halves the channels.
        backend: ``"auto"``, ``"native"`` or ``"reference"``; see :mod:`seqlight.ops.backend`.

    Returns:
        ``(output, new_state)``: [B, T, C_out] (with the gate [B, T, C_out / 2]) and the last (K-1)*d inputs
        [B, (K-1)*d, C_in], memory of its own.

    dtypes: float32 and float64 are computed as such. float16 and bfloat16 are computed in float32 and come
    back in their own dtype. Under ``torch.autocast`` inputs of any of these but float64 may be mixed, are
    computed in float32, and come back in autocast's dtype.

    Gradients: first derivatives run natively where the forward pass does. Second and higher ones, and
    forward-mode differentiation, are computed by the reference; under ``torch.compile`` only first
    derivatives exist. ``torch.vmap`` runs one call per sample. A program from ``torch.export`` is for
    inference.

    Raises:
        ValueError: a shape, device, dilation, number of groups, activation or backend name is wrong; the
            message names the argument.
        TypeError: an argument is not a tensor or of the wrong dtype.
        RuntimeError: ``backend="native"`` cannot run here; the message says why.
    """
    _check_arguments(x, weight, bias, dilation, groups, state, activation)
    precision = precision_of("causal_conv1d", x)
    others = (("weight", weight), ("bias", bias), ("state", state))
    check_alike("causal_conv1d", x, others, mixed=precision.autocast)
    run_natively = use_native("causal_conv1d", backend, x.device, precision.compute)

    tensors: tuple[Any, ...] = (x, weight, bias, state)
    if precision.autocast or precision.compute != precision.result:
        tensors = tuple(None if tensor is None else tensor.to(precision.compute) for tensor in tensors)
    x, weight, bias, state = tensors
    if run_natively:
        output, new_state = causal_conv1d_native(x, weight, bias, dilation, groups, state, activation)
    else:
        options: dict[str, Any] = {"dilation": dilation, "groups": groups, "activation": activation}
        if precision.autocast:
            with torch.autocast(x.device.type, enabled=False):
                output, new_state = reference.causal_conv1d(x, weight, bias, state=state, **options)
        else:
            output, new_state = reference.causal_conv1d(x, weight, bias, state=state, **options)
    if precision.compute != precision.result:
        return output.to(precision.result), new_state.to(precision.result)
    return output, new_state


def _check_arguments(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    dilation: int,
    groups: int,
    state: Tensor | None,
    activation: str | None,
) -> None:
    """Raise on a wrong shape, number or name."""
    op = "causal_conv1d"
    for name, value in (("dilation", dilation), ("groups", groups)):
        if value < 1:
            raise ValueError(f"{op}: {name} expected at least 1, got {value}")
    if activation is not None and activation not in get_args(ConvActivation):
        raise ValueError(f"{op}: activation expected None, 'relu' or 'gate', got {activation!r}")
    check_tensor(op, "x", x)
    check_tensor(op, "weight", weight)
    if weight.dim() != 3 or 0 in weight.shape:
        raise ValueError(
            f"{op}: weight expected [C_out, C_in / groups, K] with every size at least 1, "
            f"got {list(weight.shape)}"
        )
    out_channels, in_per_group, kernel_size = weight.shape
    if out_channels % groups != 0:
        raise ValueError(
            f"{op}: weight expected [C_out, C_in / groups, K] with C_out divisible by groups = {groups}, "
            f"got C_out = {out_channels}"
        )
    if activation == "gate" and out_channels % 2 != 0:
        raise ValueError(
            f"{op}: weight expected an even C_out, two halves for activation='gate', "
            f"got C_out = {out_channels}"
        )
    in_channels = in_per_group * groups
    if x.dim() != 3 or x.shape[2] != in_channels:
        raise ValueError(
            f"{op}: x expected [B, T, C_in] with C_in = {in_channels} = weight.shape[1] * groups, "
            f"got {list(x.shape)}" + ("; for one sequence use x.unsqueeze(0)" if x.dim() == 2 else "")
        )
    if bias is not None:
        check_shape(op, "bias", bias, "[C_out]", (out_channels,))
    if state is not None:
        sizes = (x.shape[0], (kernel_size - 1) * dilation, in_channels)
        check_shape(op, "state", state, "[B, (K-1)*dilation, C_in]", sizes)
