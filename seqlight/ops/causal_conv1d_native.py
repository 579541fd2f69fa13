"""The native causal convolution ops joined for autograd, torch.func and tracing;
:func:`seqlight.ops.causal_conv1d` calls them. Why it is done so: :mod:`seqlight.ops.recurrent_native`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from seqlight import _extension
from seqlight.ops import causal_conv1d_reference as reference
from seqlight.ops.shapes import register_shapes
from seqlight.ops.vmap import register_vmap_loop

if _extension.available:
    _forward_op = torch.ops.seqlight.causal_conv1d_forward.default
    _backward_op = torch.ops.seqlight.causal_conv1d_backward.default

_ACTIVATIONS: tuple[str | None, ...] = (None, "relu", "gate")  # by the ops' number
_RELU, _GATE = 1, 2


def causal_conv1d_native(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    dilation: int,
    groups: int,
    state: Tensor | None,
    activation: str | None,
) -> tuple[Tensor, Tensor]:
    """Run checked arguments of one dtype, float32 or float64, natively, with gradients where wanted."""
    if forward_ad._current_level >= 0:
        # Only reverse mode is native. The ops would drop tangents in silence.
        return reference.causal_conv1d(
            x, weight, bias, dilation=dilation, groups=groups, state=state, activation=activation
        )
    # torch.jit.trace cannot save a Function, so what it traces has no backward pass.
    wants_gradient = (
        torch.is_grad_enabled()
        and not torch.jit.is_tracing()
        and (
            weight.requires_grad
            or x.requires_grad
            or (bias is not None and bias.requires_grad)
            or (state is not None and state.requires_grad)
        )
    )
    arguments = (x, state, weight, bias, dilation, groups, _ACTIVATIONS.index(activation))
    # An exported program has no backward pass, so it need not keep anything for one.
    if not wants_gradient or torch.compiler.is_exporting():
        output, new_state, _ = _forward_op(*arguments, False)
    elif torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        output, new_state, _ = _TransformableConv.apply(*arguments)
    else:
        output, new_state, _ = _Conv.apply(*arguments)
    if wants_gradient and not x.requires_grad and (state is None or not state.requires_grad):
        # A Function's outputs all want gradients if one input does. The state would drag this call's graph
        # into the next chunk for nothing.
        new_state = new_state.detach()
    return output, new_state


class _TransformableConv(torch.autograd.Function):
    """``causal_conv1d_forward``, differentiated by its backward op, as torch.func and tracing need it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        return _forward_op(*arguments, True)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, state, weight, bias, ctx.dilation, ctx.groups, ctx.activation = inputs
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(output[2])
        # What the activation's derivative is computed from; the empty tensor where there is none.
        activated = output[0] if ctx.activation == _RELU else output[2]
        ctx.save_for_backward(x, state, weight, bias, activated)

    @staticmethod
    def backward(
        ctx: Any, grad_output: Tensor | None, grad_new_state: Tensor | None, _grad_saved: None
    ) -> tuple[Tensor | None, ...]:
        if grad_output is None and grad_new_state is None:
            return (None,) * 7
        x, state, weight, bias, activated = ctx.saved_tensors
        need_input, need_state, need_weight, need_bias = need = ctx.needs_input_grad[:4]
        rest = (ctx.dilation, ctx.groups, ctx.activation, activated, *need)
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            # The gradients may be differentiated again: create_graph=True, torch.func.
            if grad_output is None:
                channels = weight.shape[0] // 2 if ctx.activation == _GATE else weight.shape[0]
                grad_output = x.new_zeros(*x.shape[:2], channels)
            if grad_new_state is None:
                length = (weight.shape[2] - 1) * ctx.dilation
                grad_new_state = x.new_zeros(x.shape[0], length, x.shape[2])
            computed = _ConvBackward.apply(grad_output, grad_new_state, x, state, weight, bias, *rest)
        else:
            computed = _backward_op(grad_output, grad_new_state, x, state, weight, *rest)
        grad_x, grad_state, grad_weight, grad_bias = computed
        return (
            grad_x if need_input else None,
            grad_state if need_state else None,
            grad_weight if need_weight else None,
            grad_bias if need_bias else None,
            None,
            None,
            None,
        )


class _Conv(_TransformableConv):
    """The same without torch.func, which costs every call 5 microseconds more (torch binds its arguments)."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        result = _forward_op(*arguments, True)
        _TransformableConv.setup_context(ctx, arguments, result)
        return result

    # torch takes a Function with a setup_context of its own for one in the other form.
    setup_context = torch.autograd.Function.setup_context


class _ConvBackward(torch.autograd.Function):
    """``causal_conv1d_backward``, differentiated by the reference.

    Arguments: the gradients of output and new_state; x, state, weight, bias; dilation, groups, activation,
    activated and which gradients are needed. What was activated follows from the tensors, so that its share
    in a derivative is counted there.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, ...]:
        return _backward_op(*arguments[:5], *arguments[6:])  # all but the bias

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.dilation, ctx.groups, ctx.activation = inputs[6:9]
        ctx.save_for_backward(*inputs[:6])

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        arguments = ctx.saved_tensors
        present = [place for place, argument in enumerate(arguments) if argument is not None]

        def gradients(*values: Tensor) -> tuple[Tensor, ...]:
            """Give the gradients of x ... bias, from those of the outputs and the tensors."""
            grads, tensors = values[:2], values[2:]

            def forward(*tensors: Tensor) -> tuple[Tensor, Tensor]:
                every: list[Any] = [None] * 4
                for place, tensor in zip(present[2:], tensors, strict=True):
                    every[place - 2] = tensor
                x, state, weight, bias = every
                return reference.causal_conv1d(
                    x,
                    weight,
                    bias,
                    dilation=ctx.dilation,
                    groups=ctx.groups,
                    state=state,
                    activation=_ACTIVATIONS[ctx.activation],
                )

            return torch.func.vjp(forward, *tensors)[1](grads)

        first, pull_back = torch.func.vjp(gradients, *(arguments[place] for place in present))[:2]
        of_place = dict(zip((2, 3, 4, 5), cotangents, strict=True))
        wanted = []
        for place, gradient in zip(present[2:], first, strict=True):
            cotangent = of_place[place]
            computed = cotangent is not None and cotangent.shape == gradient.shape  # else [0]: not asked for
            wanted.append(cotangent if computed else torch.zeros_like(gradient))
        result: list[Tensor | None] = [None] * 14
        for place, value in zip(present, pull_back(tuple(wanted)), strict=True):
            result[place] = value
        return tuple(result)


def _forward_shapes(
    x: Tensor,
    state: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    dilation: int,
    groups: int,
    activation: int,
    save_for_backward: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Give the shapes of what ``causal_conv1d_forward`` returns, for tracing."""
    batch_size, steps, in_channels = x.shape
    channels, _, kernel_size = weight.shape
    gated = activation == _GATE
    return (
        x.new_empty(batch_size, steps, channels // 2 if gated else channels),
        x.new_empty(batch_size, (kernel_size - 1) * dilation, in_channels),
        x.new_empty((batch_size, steps, channels) if gated and save_for_backward else (0,)),
    )


def _backward_shapes(
    grad_output: Tensor | None,
    grad_new_state: Tensor | None,
    x: Tensor,
    state: Tensor | None,
    weight: Tensor,
    dilation: int,
    groups: int,
    activation: int,
    activated: Tensor,
    need_input_grad: bool,
    need_state_grad: bool,
    need_weight_grad: bool,
    need_bias_grad: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give the shapes of what ``causal_conv1d_backward`` returns, for tracing."""
    length = (weight.shape[2] - 1) * dilation
    return (
        x.new_empty(x.shape if need_input_grad else (0,)),
        x.new_empty((x.shape[0], length, x.shape[2]) if need_state_grad else (0,)),
        x.new_empty(weight.shape if need_weight_grad else (0,)),
        x.new_empty(weight.shape[:1] if need_bias_grad else (0,)),
    )


if _extension.available:
    register_shapes("causal_conv1d_forward", _forward_shapes)
    register_shapes("causal_conv1d_backward", _backward_shapes)
    register_vmap_loop("seqlight::causal_conv1d_forward", _forward_op)
    register_vmap_loop("seqlight::causal_conv1d_backward", _backward_op)
