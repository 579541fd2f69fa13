"""The native WaveNet layer ops joined for autograd, torch.func and tracing.

:func:`seqlight.ops.wavenet_layer` calls them. Why it is done so: :mod:`seqlight.ops.recurrent_native`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from seqlight import _extension
from seqlight.ops import wavenet_layer_reference as reference
from seqlight.ops.shapes import register_shapes
from seqlight.ops.vmap import register_vmap_loop

if _extension.available:
    _forward_op = torch.ops.seqlight.wavenet_layer_forward.default
    _backward_op = torch.ops.seqlight.wavenet_layer_backward.default

# The ops' tensors: h, state, skip, conv_weight, conv_bias, project_weight, project_bias, condition,
# condition_weight, static_term. The backward op does without those that no derivative depends on.
_TENSORS = 10
_H, _STATE, _SKIP, _CONDITION, _CONDITION_WEIGHT, _STATIC = 0, 1, 2, 7, 8, 9
_WEIGHTS = slice(3, 7)
_IN_BACKWARD = (0, 1, 3, 5, 7, 8)


def wavenet_layer_native(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Run checked arguments of one dtype, float32 or float64, natively, with gradients where wanted."""
    if forward_ad._current_level >= 0:
        # Only reverse mode is native. The ops would drop tangents in silence.
        return reference.wavenet_layer(*arguments)
    tensors, residual = arguments[:_TENSORS], arguments[-1]
    # torch.jit.trace cannot save a Function, so what it traces has no backward pass.
    wants_gradient = (
        torch.is_grad_enabled()
        and not torch.jit.is_tracing()
        and any(tensor is not None and tensor.requires_grad for tensor in tensors)
    )
    # An exported program has no backward pass, so it need not keep anything for one.
    if not wants_gradient or torch.compiler.is_exporting():
        h_next, skip, new_state, _ = _forward_op(*arguments, False)
    elif torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        h_next, skip, new_state, _ = _TransformableLayer.apply(*arguments)
    else:
        h_next, skip, new_state, _ = _Layer.apply(*arguments)
    if wants_gradient and not any(
        tensors[place] is not None and tensors[place].requires_grad for place in (_H, _STATE)
    ):
        # A Function's outputs all want gradients if one input does. The state would drag this call's graph
        # into the next chunk for nothing.
        new_state = new_state.detach()
    return h_next if residual else tensors[_H], skip, new_state


class _TransformableLayer(torch.autograd.Function):
    """``wavenet_layer_forward``, differentiated by its backward op, as torch.func and tracing need it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return _forward_op(*arguments, True)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.dilation, ctx.residual = inputs[_TENSORS:]
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(output[3], *(() if ctx.residual else output[:1]))
        ctx.save_for_backward(*inputs[:_TENSORS], output[3])

    @staticmethod
    def backward(
        ctx: Any, grad_h: Tensor | None, grad_skip: Tensor | None, grad_state: Tensor | None, _saved: None
    ) -> tuple[Tensor | None, ...]:
        nothing: tuple[Tensor | None, ...] = (None,) * (_TENSORS + 2)
        if not ctx.residual:
            grad_h = None
        if grad_h is None and grad_skip is None and grad_state is None:
            return nothing
        *tensors, activated = ctx.saved_tensors
        need = ctx.needs_input_grad[:_TENSORS]
        needs = (
            need[_H],
            need[_STATE],
            any(need[_WEIGHTS]),
            *(need[place] for place in (_CONDITION, _CONDITION_WEIGHT, _STATIC)),
        )
        rest = (ctx.dilation, ctx.residual, activated, *needs)
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            # The gradients may be differentiated again: create_graph=True, torch.func.
            h, weight = tensors[_H], tensors[5]
            if grad_h is None and ctx.residual:
                grad_h = torch.zeros_like(h)
            if grad_skip is None:
                skip_size = weight.shape[0] - (h.shape[2] if ctx.residual else 0)
                grad_skip = h.new_zeros(*h.shape[:2], skip_size)
            if grad_state is None:
                length = (tensors[3].shape[2] - 1) * ctx.dilation
                grad_state = h.new_zeros(h.shape[0], length, h.shape[2])
            computed = _LayerBackward.apply(grad_h, grad_skip, grad_state, *tensors, *rest)
        else:
            computed = _backward_op(
                grad_h, grad_skip, grad_state, *(tensors[place] for place in _IN_BACKWARD), *rest
            )
        grads = list(nothing)
        grads[_SKIP] = grad_skip
        for place, grad in zip(_COMPUTED, computed, strict=True):
            grads[place] = grad
        return tuple(grad if place < _TENSORS and need[place] else None for place, grad in enumerate(grads))


# Whose gradients the backward op returns: all but skip, which gets that of its sum.
_COMPUTED = (0, 1, 3, 4, 5, 6, 7, 8, 9)


class _Layer(_TransformableLayer):
    """The same without torch.func, which costs every call 5 microseconds more (torch binds its arguments)."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        result = _forward_op(*arguments, True)
        _TransformableLayer.setup_context(ctx, arguments, result)
        return result

    # torch takes a Function with a setup_context of its own for one in the other form.
    setup_context = torch.autograd.Function.setup_context


class _LayerBackward(torch.autograd.Function):
    """``wavenet_layer_backward``, differentiated by the reference.

    Arguments: the gradients of the three results (of h' None without residual); the ten tensors; dilation,
    residual, activated and which gradients are needed. What was activated follows from the tensors, so that
    its share in a derivative is counted there.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, ...]:
        grads, tensors, rest = arguments[:3], arguments[3 : 3 + _TENSORS], arguments[3 + _TENSORS :]
        return _backward_op(*grads, *(tensors[place] for place in _IN_BACKWARD), *rest)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.dilation, ctx.residual = inputs[3 + _TENSORS : 5 + _TENSORS]
        ctx.save_for_backward(*inputs[: 3 + _TENSORS])

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        arguments = ctx.saved_tensors
        present = [place for place, argument in enumerate(arguments) if argument is not None]
        count = sum(place < 3 for place in present)  # of gradients

        def gradients(*values: Tensor) -> tuple[Tensor, ...]:
            """Give the gradients of the tensors, from those of the results and the tensors."""

            def forward(*tensors: Tensor) -> tuple[Tensor, ...]:
                every: list[Any] = [None] * _TENSORS
                for place, tensor in zip(present[count:], tensors, strict=True):
                    every[place - 3] = tensor
                every += [ctx.dilation, ctx.residual]
                results = reference.wavenet_layer(*every)
                return results if ctx.residual else results[1:]

            return torch.func.vjp(forward, *values[count:])[1](values[:count])

        first, pull_back = torch.func.vjp(gradients, *(arguments[place] for place in present))[:2]
        of_place = {3 + place: grad for place, grad in zip(_COMPUTED, cotangents, strict=True)}
        wanted = []
        for place, gradient in zip(present[count:], first, strict=True):
            cotangent = of_place.get(place)
            computed = cotangent is not None and cotangent.shape == gradient.shape  # else [0]: not asked for
            wanted.append(cotangent if computed else torch.zeros_like(gradient))
        result: list[Tensor | None] = [None] * (3 + _TENSORS + 9)
        for place, value in zip(present, pull_back(tuple(wanted)), strict=True):
            result[place] = value
        return tuple(result)


def _forward_shapes(*arguments: Any) -> tuple[Tensor, ...]:
    """Give the shapes of what ``wavenet_layer_forward`` returns, for tracing."""
    h, _, _, conv_weight, _, project_weight = arguments[:6]
    dilation, residual, save_for_backward = arguments[_TENSORS:]
    batch_size, steps, channels = h.shape
    skip_size = project_weight.shape[0] - (channels if residual else 0)
    return (
        h.new_empty(h.shape if residual else (0,)),
        h.new_empty(batch_size, steps, skip_size),
        h.new_empty(batch_size, (conv_weight.shape[2] - 1) * dilation, channels),
        h.new_empty((batch_size, steps, 2 * channels) if save_for_backward else (0,)),
    )


def _backward_shapes(*arguments: Any) -> tuple[Tensor, ...]:
    """Give the shapes of what ``wavenet_layer_backward`` returns, for tracing."""
    h, _, conv_weight, project_weight, condition, condition_weight, dilation = arguments[3:10]
    need_h, need_state, need_weights, need_condition, need_condition_weight, need_static = arguments[12:]
    batch_size, _, channels = h.shape
    length = (conv_weight.shape[2] - 1) * dilation
    return (
        h.new_empty(h.shape if need_h else (0,)),
        h.new_empty((batch_size, length, channels) if need_state else (0,)),
        h.new_empty(conv_weight.shape if need_weights else (0,)),
        h.new_empty((2 * channels,) if need_weights else (0,)),
        h.new_empty(project_weight.shape if need_weights else (0,)),
        h.new_empty(project_weight.shape[:1] if need_weights else (0,)),
        h.new_empty(condition.shape if need_condition else (0,)),
        h.new_empty(condition_weight.shape if need_condition_weight else (0,)),
        h.new_empty((batch_size, 2 * channels) if need_static else (0,)),
    )


if _extension.available:
    register_shapes("wavenet_layer_forward", _forward_shapes)
    register_shapes("wavenet_layer_backward", _backward_shapes)
    register_vmap_loop("seqlight::wavenet_layer_forward", _forward_op)
    register_vmap_loop("seqlight::wavenet_layer_backward", _backward_op)
