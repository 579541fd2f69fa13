"""What makes the native ops of recurrent cells differentiable: autograd.Functions, and second derivatives.

The pattern of the ops is told in :mod:`seqlight.ops.recurrent_native`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd import Function

if TYPE_CHECKING:
    from seqlight.ops.recurrent_native import NativeCell

#: hidden_mask, zoneout_seed and lengths, the tensors without gradients; None where one is absent.
Constants = tuple[Tensor | None, Tensor | None, Tensor | None]
CONSTANT_COUNT = 3
NO_CONSTANTS: Constants = (None, None, None)

# By name, for torch.compile cannot trace a Function whose methods hold the cell itself.
cells: dict[str, "NativeCell"] = {}


def joined(name: str) -> tuple[type[Function], type[Function]]:
    """Make the autograd.Functions of a cell: for plain calls, and in the form of torch.func and tracing."""

    class DifferentiableBackward(Function):
        """The backward op, differentiated by the reference.

        Arguments: the gradients of output and final states; the tensors from x to the extras; output, saved,
        need_input_grad, need_weight_grad; the options. Output and saved follow from the tensors, so that
        their share in a derivative is counted there.
        """

        generate_vmap_rule = True

        @staticmethod
        def forward(*arguments: Any) -> tuple[Tensor, ...]:
            return cells[name].backward_op(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
            cell = cells[name]
            tensors = 1 + cell.state_count + cell.tensor_count
            options = tensors + 4
            ctx.flags = inputs[options + CONSTANT_COUNT :]
            ctx.save_for_backward(*inputs[:tensors], *inputs[options : options + CONSTANT_COUNT])

        @staticmethod
        def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
            cell = cells[name]
            tensors = 1 + cell.state_count + cell.tensor_count
            given, constants = ctx.saved_tensors[:tensors], ctx.saved_tensors[tensors:] or NO_CONSTANTS
            derivatives = _second_derivatives(cell, given, constants, ctx.flags, cotangents)
            return *derivatives, *[None] * (len(ctx.needs_input_grad) - tensors)

    def keep(ctx: Any, inputs: tuple[Any, ...], results: tuple[Tensor, ...]) -> None:
        """Keep for backward what the forward op was given, its output and what it has saved."""
        constants = cells[name].tensor_count
        flags = constants + CONSTANT_COUNT
        ctx.flags = inputs[flags:-1]
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(
            *inputs[:constants], results[0], results[-1], *inputs[constants:-1][:CONSTANT_COUNT]
        )

    class Recurrence(Function):
        """The forward op, differentiated by the backward op.

        Arguments: the tensors from x to the extras, the options, packed.
        """

        generate_vmap_rule = True

        @staticmethod
        def forward(*arguments: Any) -> tuple[Tensor, ...]:
            *others, packed = arguments
            return cells[name].forward_op(*others, packed=packed, save_for_backward=True)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
            ctx.mark_non_differentiable(output[-1])
            keep(ctx, inputs, output)

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            cell = cells[name]
            need = ctx.needs_input_grad
            grads = grads[: 1 + cell.state_count]
            # A loop, where a generator would cost small calls a microsecond.
            for grad in grads:
                if grad is not None:
                    break
            else:
                return (None,) * len(need)
            tensor_count = cell.tensor_count
            kept = ctx.saved_tensors
            tensors, (output, saved) = kept[:tensor_count], kept[tensor_count : tensor_count + 2]
            need_weight_grad = True in need[len(grads) : tensor_count]
            rest = (output, saved, need[0], need_weight_grad, *kept[tensor_count + 2 :], *ctx.flags)
            if torch.is_grad_enabled() and not torch.compiler.is_compiling():
                # The gradients may be differentiated again: create_graph=True, torch.func.
                of_results_shape = (output, *tensors[1 : len(grads)])
                present = (
                    torch.zeros_like(like) if grad is None else grad
                    for grad, like in zip(grads, of_results_shape, strict=True)
                )
                computed = DifferentiableBackward.apply(*present, *tensors, *rest)
            else:
                computed = cell.backward_op(*grads, *tensors, *rest)
            gradients = [
                computed[place] if needed else None
                for place, needed in zip(cell.gradient_places, need, strict=False)
            ]
            if cell.bias_gradient_count == 1:
                of_bias_ih, of_bias_hh = gradients[cell.bias_place : cell.bias_place + 2]
                if of_bias_ih is not None and of_bias_hh is not None:
                    # Equal, but the caller's to change one by one.
                    gradients[cell.bias_place + 1] = of_bias_hh.clone()
            return *gradients, *[None] * (len(need) - tensor_count)

    class DirectRecurrence(Recurrence):
        """Without torch.func, which costs every call 5 microseconds more (torch binds its arguments).

        Here what is saved need not be one of the results.
        """

        @staticmethod
        def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, ...]:
            results = Recurrence.forward(*arguments)
            keep(ctx, arguments, results)
            return results[:-1]

        # torch takes a Function with a setup_context of its own for one in the other form.
        setup_context = Function.setup_context

    return DirectRecurrence, Recurrence


def _second_derivatives(
    cell: "NativeCell",
    arguments: Sequence[Tensor | None],
    constants: Constants,
    flags: tuple[float, ...],
    cotangents: Sequence[Tensor | None],
) -> tuple[Tensor | None, ...]:
    """Pull the cotangents of the backward op's results back to the arguments of ``DifferentiableBackward``.

    `arguments` are those up to the tensors, and so are the results.
    """
    grad_count = 1 + cell.state_count
    present = [place for place, argument in enumerate(arguments) if argument is not None]

    def gradients(*values: Tensor) -> tuple[Tensor, ...]:
        """Give the gradients of the tensors that there are, from those of the results and the tensors."""

        def forward(*tensors: Tensor) -> tuple[Tensor, ...]:
            every: list[Tensor | None] = [None] * cell.tensor_count
            for place, tensor in zip(present[grad_count:], tensors, strict=True):
                every[place - grad_count] = tensor
            return cell.reference(every, constants, *flags)

        return torch.func.vjp(forward, *values[grad_count:])[1](values[:grad_count])

    first, pull_back = torch.func.vjp(gradients, *(arguments[place] for place in present))[:2]

    biases = grad_count + cell.bias_place
    bias_places = [biases, biases + 1]
    if cell.bias_gradient_count == 1:
        # The op returns one gradient for both biases, whose cotangent must count once.
        bias_places = [biases if biases in present else biases + 1]
    places = [*range(grad_count, biases), *bias_places, *range(biases + 2, grad_count + cell.tensor_count)]
    of_place = dict(zip(places, cotangents, strict=True))
    wanted = []
    for place, gradient in zip(present[grad_count:], first, strict=True):
        cotangent = of_place.get(place)
        if cotangent is None or cotangent.shape != gradient.shape:  # [0]: the op was not asked for it
            cotangent = torch.zeros_like(gradient)
        wanted.append(cotangent)
    result: list[Tensor | None] = [None] * len(arguments)
    for place, value in zip(present, pull_back(tuple(wanted)), strict=True):
        result[place] = value
    return tuple(result)
