"""The native LSTM ops joined for autograd, torch.func and tracing; :func:`seqlight.ops.lstm` calls them.

``torch.ops.seqlight.lstm_forward`` and ``lstm_backward`` know nothing of autograd. They are joined here by an
autograd.Function, entered only when a gradient is wanted: registering a formula with the op costs every call,
also those that want no gradient, several microseconds. Second derivatives are the reference's.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from seqlight import _extension
from seqlight.ops import reference
from seqlight.ops.vmap import register_vmap_loop

if _extension.available:
    _forward_op = torch.ops.seqlight.lstm_forward.default
    _backward_op = torch.ops.seqlight.lstm_backward.default


def lstm_native(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    weight_peephole: Tensor | None,
    *,
    lengths: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run checked arguments of one dtype, float32 or float64, natively, with gradients where wanted."""
    if forward_ad._current_level >= 0:
        # Only reverse mode is native. The ops would drop tangents in silence.
        tensors = (x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole)
        return reference.lstm(*tensors, lengths=lengths, reverse=reverse)

    wants_gradient = torch.is_grad_enabled() and (
        weight_ih.requires_grad
        or weight_hh.requires_grad
        or x.requires_grad
        or h0.requires_grad
        or c0.requires_grad
        or (bias_ih is not None and bias_ih.requires_grad)
        or (bias_hh is not None and bias_hh.requires_grad)
        or (weight_peephole is not None and weight_peephole.requires_grad)
    )
    arguments = (x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole, lengths, reverse)
    # An exported program has no backward pass, so it need not keep anything for one.
    if not wants_gradient or torch.compiler.is_exporting():
        output, h_n, c_n, _ = _forward_op(*arguments, False)
    elif torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        output, h_n, c_n, _ = _TransformableLSTM.apply(*arguments)
    else:
        output, h_n, c_n, _ = _LSTM.apply(*arguments)
    return output, h_n, c_n


class _TransformableLSTM(torch.autograd.Function):
    """``lstm_forward``, differentiated by ``lstm_backward``, in the form that torch.func and tracing need."""

    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return _forward_op(*arguments, True)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.reverse = inputs[9]
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(output[3])
        ctx.save_for_backward(*inputs[:9], output[0], output[3])

    @staticmethod
    def backward(
        ctx: Any,
        grad_output: Tensor | None,
        grad_h_n: Tensor | None,
        grad_c_n: Tensor | None,
        _grad_saved: None,
    ) -> tuple[Tensor | None, ...]:
        if grad_output is None and grad_h_n is None and grad_c_n is None:
            return (None,) * 10
        x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_peephole, lengths, output, saved = (
            ctx.saved_tensors
        )
        need = ctx.needs_input_grad
        need_weight_grad = need[3] or need[4] or need[5] or need[6] or need[7]
        rest = (lengths, ctx.reverse, output, saved, need[0], need_weight_grad)
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            # The gradients may be differentiated again: create_graph=True, torch.func.
            computed = _LSTMBackward.apply(
                torch.zeros_like(output) if grad_output is None else grad_output,
                torch.zeros_like(h0) if grad_h_n is None else grad_h_n,
                torch.zeros_like(c0) if grad_c_n is None else grad_c_n,
                x,
                h0,
                c0,
                weight_ih,
                weight_hh,
                bias_ih,
                bias_hh,
                weight_peephole,
                *rest,
            )
        else:
            computed = _backward_op(
                grad_output, grad_h_n, grad_c_n, x, h0, c0, weight_ih, weight_hh, weight_peephole, *rest
            )
        grad_x, grad_h0, grad_c0, grad_weight_ih, grad_weight_hh, grad_bias, grad_weight_peephole = computed
        return (
            grad_x if need[0] else None,
            grad_h0 if need[1] else None,
            grad_c0 if need[2] else None,
            grad_weight_ih if need[3] else None,
            grad_weight_hh if need[4] else None,
            grad_bias if need[5] else None,
            grad_bias if need[6] else None,
            grad_weight_peephole if need[7] else None,
            None,
            None,
        )


class _LSTM(_TransformableLSTM):
    """The same without torch.func, which costs every call 5 microseconds more (torch binds its arguments)."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        result = _forward_op(*arguments, True)
        _TransformableLSTM.setup_context(ctx, arguments, result)
        return result

    # torch takes a Function with a setup_context of its own for one in the other form.
    setup_context = torch.autograd.Function.setup_context


class _LSTMBackward(torch.autograd.Function):
    """``lstm_backward``, differentiated by the reference.

    Arguments: the gradients of output, h_n and c_n; the eight tensors from x to weight_peephole; lengths,
    reverse, output, saved, need_input_grad, need_weight_grad. Output and saved follow from the tensors, so
    that their share in a derivative is counted there.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, ...]:
        return _backward_op(*arguments[:8], *arguments[10:])  # all but the biases

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.reverse = inputs[12]
        ctx.save_for_backward(*inputs[:12])

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        *arguments, lengths = ctx.saved_tensors
        present = [place for place, argument in enumerate(arguments) if argument is not None]

        def gradients(*values: Tensor) -> tuple[Tensor, ...]:
            """Give the gradients of x ... weight_peephole, from those of the outputs and the tensors."""
            grads, tensors = values[:3], values[3:]

            def forward(*tensors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
                every: list[Any] = [None] * 8
                for place, tensor in zip(present[3:], tensors, strict=True):
                    every[place - 3] = tensor
                return reference.lstm(*every, lengths=lengths, reverse=ctx.reverse)

            return torch.func.vjp(forward, *tensors)[1](grads)

        first, pull_back = torch.func.vjp(gradients, *(arguments[place] for place in present))[:2]
        # The op returns one gradient for both biases, whose cotangent must count once.
        of_place = dict(zip((3, 4, 5, 6, 7, 8 if 8 in present else 9, 10), cotangents, strict=True))
        wanted = []
        for place, gradient in zip(present[3:], first, strict=True):
            cotangent = of_place.get(place)
            computed = cotangent is not None and cotangent.shape == gradient.shape  # else [0]: not asked for
            wanted.append(cotangent if computed else torch.zeros_like(gradient))
        result: list[Tensor | None] = [None] * 17
        for place, value in zip(present, pull_back(tuple(wanted)), strict=True):
            result[place] = value
        return tuple(result)


def _forward_shapes(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    weight_peephole: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
    save_for_backward: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give the shapes of what ``lstm_forward`` returns, for tracing."""
    batch_size, steps, hidden_size = x.shape[0], x.shape[1], h0.shape[1]
    return (
        x.new_empty(batch_size, steps, hidden_size),
        x.new_empty(batch_size, hidden_size),
        x.new_empty(batch_size, hidden_size),
        x.new_empty((steps, batch_size, 5, hidden_size) if save_for_backward else (0,)),
    )


def _backward_shapes(
    grad_output: Tensor | None,
    grad_h_n: Tensor | None,
    grad_c_n: Tensor | None,
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    weight_peephole: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
    output: Tensor,
    saved: Tensor,
    need_input_grad: bool,
    need_weight_grad: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Give the shapes of what ``lstm_backward`` returns, for tracing."""
    need_peephole_grad = need_weight_grad and weight_peephole is not None
    return (
        x.new_empty(x.shape if need_input_grad else (0,)),
        x.new_empty(h0.shape),
        x.new_empty(c0.shape),
        x.new_empty(weight_ih.shape if need_weight_grad else (0,)),
        x.new_empty(weight_hh.shape if need_weight_grad else (0,)),
        x.new_empty(weight_ih.shape[:1] if need_weight_grad else (0,)),
        x.new_empty((3, h0.shape[1]) if need_peephole_grad else (0,)),
    )


if _extension.available:
    torch.library.register_fake("seqlight::lstm_forward", _forward_shapes)
    torch.library.register_fake("seqlight::lstm_backward", _backward_shapes)
    register_vmap_loop("seqlight::lstm_forward", _forward_op)
    register_vmap_loop("seqlight::lstm_backward", _backward_op)
