"""The native ops of a recurrent cell joined for autograd, torch.func and tracing.

``torch.ops.seqlight.<cell>_forward`` and ``<cell>_backward`` know nothing of autograd. They are joined here
by an autograd.Function, entered only when a gradient is wanted: registering a formula with the op costs every
call, also those that want no gradient, several microseconds. Second derivatives are the reference's.

The ops of all cells follow one pattern, in which only the counts differ::

    <cell>_forward(x, *states, weight_ih, weight_hh, bias_ih, bias_hh, *extras, *constants, *flags, packed,
                   save_for_backward) -> (output, *final_states, saved)
    <cell>_backward(grad_output, *grad_final_states, x, *states, weight_ih, weight_hh, bias_ih, bias_hh,
                    *extras, output, saved, need_input_grad, need_weight_grad, *constants, *flags)
                    -> (grad_x, *grad_states, grad_weight_ih, grad_weight_hh, *grad_biases, *grad_extras)
    <cell>_pack(weight_ih, weight_hh, bias_ih, bias_hh, *extras but the last, general) -> packed
    <cell>_step(x, *states, packed, *flags but zoneout and reverse) -> (output, *final_states)

The last of the extras is the layer norm's. The constants, which have no gradients, are hidden_mask,
zoneout_seed and lengths. The flags begin with the probabilities of zoneout, one for each state. What stands
from the constants on has defaults and is left out where it is not needed: each argument that is passed costs
a quarter to half a microsecond. Constants and flags together are called options here: all of them, or ().

x is [B, T, I], or [B, I] for a single step, and the output of the same form. States are [B, H], or [1, B, H]
as layers have them, and so are the final ones: a view costs as much as all the work of a step.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from seqlight import _extension
from seqlight.ops.recurrent_autograd import CONSTANT_COUNT, Constants, cells, joined
from seqlight.ops.shapes import register_shapes
from seqlight.ops.vmap import register_vmap_loop


class NativeCell:
    """The native ops of one cell, to be called with gradients where wanted.

    Making one registers the ops' shape functions and their vmap rule with torch, so there is one per cell.

    Args:
        name: the cell's name in the ops, ``"lstm"``.
        state_count: how many tensors make up the state.
        extra_count: how many optional weights stand behind the biases.
        saved_counts: how many values per hidden unit and step the CPU kernels keep for backward, saved
            [T, B, count * H]: by the plain cell, with a hidden mask or zoneout, and with layer norm.
        moment_count: how many numbers of each row and step they keep behind those with layer norm.
        cuda_saved_count: how many per hidden unit and step the CUDA kernels keep, whatever the options.
        separate_bias_gradients: whether the two biases have different gradients (and backward returns both).
        reference: ``reference(tensors, constants, *flags)``, the equations in plain PyTorch, on the tensors
            from x to the extras.
    """

    def __init__(
        self,
        name: str,
        *,
        state_count: int,
        extra_count: int,
        saved_counts: tuple[int, int, int],
        moment_count: int,
        cuda_saved_count: int,
        separate_bias_gradients: bool,
        reference: Callable[..., tuple[Tensor, ...]],
    ) -> None:
        self.name = name
        self.state_count = state_count
        self.saved_counts = saved_counts
        self.moment_count = moment_count
        self.cuda_saved_count = cuda_saved_count
        self.bias_gradient_count = 2 if separate_bias_gradients else 1
        self._reference = reference
        #: Where the biases stand among the tensors from x to the extras, and how many tensors those are.
        self.bias_place = 3 + state_count
        self.tensor_count = 5 + state_count + extra_count
        #: Where among the backward op's results the gradients of those tensors stand.
        of_bias_hh = self.bias_place + self.bias_gradient_count - 1
        after = range(of_bias_hh + 1, of_bias_hh + 1 + extra_count)
        self.gradient_places = (*range(self.bias_place + 1), of_bias_hh, *after)
        cells[name] = self
        self.direct_function, self.function = joined(name)
        if _extension.available:
            self.forward_op = getattr(torch.ops.seqlight, f"{name}_forward").default
            self.backward_op = getattr(torch.ops.seqlight, f"{name}_backward").default
            self.pack_op = getattr(torch.ops.seqlight, f"{name}_pack").default
            self.step_op = getattr(torch.ops.seqlight, f"{name}_step").default
            register_shapes(f"{name}_forward", self._forward_shapes)
            register_shapes(f"{name}_backward", self._backward_shapes)
            register_shapes(f"{name}_step", self._step_shapes)
            register_vmap_loop(f"seqlight::{name}_forward", self.forward_op)
            register_vmap_loop(f"seqlight::{name}_backward", self.backward_op)
            register_vmap_loop(f"seqlight::{name}_step", self.step_op)

    def __call__(
        self,
        tensors: Sequence[Tensor | None],
        constants: Constants,
        *flags: float,
        packed: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Run checked arguments of one dtype, float32 or float64; give output and final states.

        `packed` is what :meth:`pack` made of these weights; with None every call packs them anew.
        """
        if forward_ad._current_level >= 0:
            # Only reverse mode is native. The ops would drop tangents in silence.
            return self.reference(tensors, constants, *flags)
        wants_gradient = False
        # torch.jit.trace cannot save a Function, so what it traces has no backward pass.
        if torch.is_grad_enabled() and not torch.jit.is_tracing():
            for tensor in tensors:
                if tensor is not None and tensor.requires_grad:
                    wants_gradient = True
                    break
        mask, seed, lengths = constants
        plain = mask is None and seed is None and lengths is None and not any(flags)
        options = () if plain else (*constants, *flags)
        # An exported program has no backward pass, so it need not keep anything for one.
        if not wants_gradient or torch.compiler.is_exporting():
            if packed is None:
                results = self.forward_op(*tensors, *options)
            else:
                results = self.forward_op(*tensors, *options, packed=packed)
        elif torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
            results = self.function.apply(*tensors, *options, packed)
        else:
            direct: tuple[Tensor, ...] = self.direct_function.apply(*tensors, *options, packed)
            return direct
        return results[:-1]

    def reference(self, tensors: Sequence[Any], constants: Constants, *flags: float) -> tuple[Tensor, ...]:
        """Run the equations in plain PyTorch on what the forward op takes; give output and final states."""
        x, *others = tensors
        states, weights = others[: self.state_count], others[self.state_count :]
        single_step, of_layer = x.dim() == 2, states[0].dim() == 3
        if single_step:
            x = x.unsqueeze(1)
        if of_layer:
            states = [state.squeeze(0) for state in states]
        output, *finals = self._reference((x, *states, *weights), constants, *flags)
        if single_step:
            output = output.squeeze(1)
        if of_layer:
            finals = [final.unsqueeze(0) for final in finals]
        return output, *finals

    def pack(self, weights: Sequence[Tensor | None], *, general: bool) -> Tensor:
        """Pack the weights once for many calls.

        Args:
            weights: weight_ih, weight_hh, bias_ih, bias_hh and the extras, float32 or float64.
            general: whether those calls use layer norm, a hidden mask or zoneout.

        Returns:
            [N], for the eyes of the forward op alone, which takes it only in calls of the same `general`.
        """
        packed: Tensor = self.pack_op(*weights[:-1], general)
        return packed

    def step(
        self, x: Tensor, states: Sequence[Tensor], packed: Tensor, *flags: float
    ) -> tuple[Tensor, ...] | None:
        """Run one step without gradients, with weights packed for calls that are not `general`.

        The flags are those of the forward op. None where tangents have to be carried on.
        """
        if forward_ad._current_level >= 0:
            return None
        results: tuple[Tensor, ...] = self.step_op(x, *states, packed, *flags[self.state_count : -1])
        return results

    def saved_size(self, device: torch.device, hidden_size: int, *, noisy: bool, layer_norm: bool) -> int:
        """Give how many numbers are kept for backward, of each row and step.

        Args:
            device: of the tensors.
            hidden_size: H.
            noisy: whether there is a hidden mask or zoneout.
            layer_norm: whether there is layer normalisation.
        """
        if device.type == "cuda":
            return self.cuda_saved_count * hidden_size
        if layer_norm:
            return self.saved_counts[2] * hidden_size + self.moment_count
        return self.saved_counts[1 if noisy else 0] * hidden_size

    def _forward_shapes(self, *given: Any) -> tuple[Tensor, ...]:
        """Give the shapes of what the forward op returns, for tracing."""
        parameters = self.forward_op._schema.arguments
        arguments = (*given, *(parameter.default_value for parameter in parameters[len(given) :]))
        x, *states = arguments[: 1 + self.state_count]
        weight_layer_norm, hidden_mask = arguments[self.tensor_count - 1 : self.tensor_count + 1]
        zoneouts = arguments[self.tensor_count + CONSTANT_COUNT :][: self.state_count]
        save_for_backward = arguments[-1]
        noisy = hidden_mask is not None or any(zoneouts)
        batch_size, hidden_size = x.shape[0], states[0].shape[-1]
        steps = 1 if x.dim() == 2 else x.shape[1]
        layer_norm = weight_layer_norm is not None
        saved_size = self.saved_size(x.device, hidden_size, noisy=noisy, layer_norm=layer_norm)
        saved_shape = (steps, batch_size, saved_size) if save_for_backward else (0,)
        return (
            x.new_empty((*x.shape[:-1], hidden_size)),
            *(x.new_empty(state.shape) for state in states),
            x.new_empty(saved_shape),
        )

    def _step_shapes(self, x: Tensor, *others: Any) -> tuple[Tensor, ...]:
        """Give the shapes of what the step op returns, for tracing."""
        states = others[: self.state_count]
        output = x.new_empty((x.shape[0], states[0].shape[-1]))
        return output, *(x.new_empty(state.shape) for state in states)

    def _backward_shapes(self, *arguments: Any) -> tuple[Tensor, ...]:
        """Give the shapes of what the backward op returns, for tracing."""
        first = 1 + self.state_count
        x, *others = arguments[first : first + self.tensor_count]
        states, weights = others[: self.state_count], others[self.state_count :]
        need_input_grad, need_weight_grad = arguments[first + self.tensor_count + 2 :][:2]

        def of_weight(shape: Sequence[int]) -> Tensor:
            return x.new_empty(shape if need_weight_grad else (0,))

        return (
            x.new_empty(x.shape if need_input_grad else (0,)),
            *(x.new_empty(state.shape) for state in states),
            *(of_weight(weight.shape) for weight in weights[:2]),
            *(of_weight(weights[0].shape[:1]) for _ in range(self.bias_gradient_count)),
            *(of_weight((0,) if extra is None else extra.shape) for extra in weights[4:]),
        )
