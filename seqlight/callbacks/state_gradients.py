"""The total gradient of a loss with respect to the state of recurrent layers at every time step."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from seqlight.nn import Recurrent

RunLayer = Callable[..., tuple[Tensor, tuple[Tensor, ...]]]


@dataclass
class _Call:
    """One run of one layer in one direction over T steps, and what backward said of its results."""

    name: str
    run_layer: RunLayer
    x: Tensor  # [B, T, I]
    states: tuple[Tensor, ...]  # [B, H] each
    arguments: dict[str, Any]  # of the op: weights, masks, lengths, reverse
    gradients: dict[int, Tensor] = field(
        default_factory=dict
    )  # 0: output [B, T, H], then final states [B, H]

    def keep(self, number: int, gradient: Tensor | None) -> None:
        """Keep the gradient of the output or of a final state, without changing it."""
        if gradient is not None:  # what the loss does not depend on
            self.gradients[number] = gradient


class StateGradients:
    """Records what the recurrent layers of a module did in a step, and what came back in backward.

    The loss depends on the state h_t by the layer's output at t, and by all states after it. Fused kernels
    keep the second part to themselves, and a hook on the output sees the first one alone. So the layers run
    as ever, while their inputs and, by hooks, the gradients g_t of their outputs and final states are
    kept; afterwards each recurrence is run again, one step at a time, and the total gradient

        d loss / d h_t = g_t + (d h_(t+1) / d h_t)^T d loss / d h_(t+1)

    is read off at every step. An LSTM's state is the pair of h_t and c_t, of which each is taken with the
    other one held: what c_t does by h_t of the same step is in the gradient of h_t. What lies above a layer
    is in g_t already. Dropout of the recurrent product is the step's own; zoneout keeps other units than in
    the step, as many. The step itself computes what it would have computed without, to the last bit, and
    nothing draws a random number.

    Use it as a context around forward and backward passes, and :meth:`norms` before the parameters change.

    Args:
        module: any module with layers of :mod:`seqlight.nn` that are :class:`~seqlight.nn.Recurrent`.
    """

    def __init__(self, module: nn.Module) -> None:
        self._layers = recurrent_layers(module)
        self._calls: list[_Call] = []

    def __enter__(self) -> "StateGradients":
        """Begin to record."""
        for name, layer in self._layers.items():
            layer.run_layer = self._recorded(name, layer)  # type: ignore[method-assign]
        return self

    def __exit__(self, *exception: object) -> None:
        """End recording."""
        for layer in self._layers.values():
            layer.__dict__.pop("run_layer", None)

    def norms(self, scale: float = 1.0) -> dict[str, Tensor]:
        """Compute the norm of the gradient over batch and units, at every time step.

        Args:
            scale: factor on all gradients, for a loss that was scaled before backward.

        Returns:
            By state, such as ``"network.core.l0.h"`` and (LSTM) ``"network.core.l0.c"``: [T] on the CPU,
            float32. The calls of a layer that runs several times in a step follow each other in time.
        """
        found: dict[str, list[Tensor]] = {}
        for call in self._calls:
            if not call.gradients:
                continue  # the loss does not depend on it
            for state, gradients in zip(("h", "c"), _through_time(call), strict=False):
                found.setdefault(f"{call.name}.{state}", []).append(gradients)
        return {name: (torch.cat(parts) * scale).float().cpu() for name, parts in found.items()}

    def _recorded(self, name: str, layer: Recurrent[Any]) -> RunLayer:
        original: RunLayer = layer.run_layer
        made = 0

        def run_layer(
            x: Tensor, states: tuple[Tensor, ...], arguments: dict[str, Any]
        ) -> tuple[Tensor, tuple[Tensor, ...]]:
            nonlocal made
            index = made // layer.num_directions % layer.num_layers
            made += 1
            output, finals = original(x, states, arguments)
            if output.requires_grad and torch.is_grad_enabled():
                part = f"{name}.l{index}{'_reverse' if arguments['reverse'] else ''}"
                call = _Call(part.lstrip("."), original, x, states, arguments)
                self._calls.append(call)

                for number, result in enumerate((output, *finals)):
                    result.register_hook(partial(call.keep, number))
            return output, finals

        return run_layer


def recurrent_layers(module: nn.Module) -> dict[str, Recurrent[Any]]:
    """Return the recurrent layers of seqlight.nn in a module, by name."""
    return {name: layer for name, layer in module.named_modules() if isinstance(layer, Recurrent)}


def _through_time(call: _Call) -> list[Tensor]:
    """Run a layer again, step by step: for each of its states, the norms [T] of its total gradients."""
    arguments = {
        name: value.detach() if isinstance(value, Tensor) else value for name, value in call.arguments.items()
    }
    arguments.pop("packed", None)
    lengths, reverse = arguments["lengths"], arguments["reverse"]
    seed = arguments.get("zoneout_seed")
    dtype = arguments["weight_hh"].dtype
    x = call.x.detach().to(dtype)
    steps = x.shape[1]
    device = x.device
    with torch.enable_grad(), torch.autocast(device.type, enabled=False):
        states = tuple(state.detach().to(dtype).requires_grad_() for state in call.states)
        visited: list[tuple[Tensor, ...]] = [states] * steps
        for t in reversed(range(steps)) if reverse else range(steps):
            arguments |= {"lengths": None if lengths is None else (lengths > t).long(), "reverse": False}
            if seed is not None:  # every call starts to count its steps anew
                arguments["zoneout_seed"] = seed ^ t
            _, states = call.run_layer(x[:, t : t + 1], states, arguments)
            visited[t] = states
        # The first state is the output, except past a row's end, where the output is constant zero.
        results: list[Tensor] = []
        gradients: list[Tensor] = []
        for number, gradient in call.gradients.items():
            if number > 0:
                results.append(states[number - 1])
                gradients.append(gradient.to(dtype))
                continue
            for t in range(steps):
                direct = gradient[:, t].to(dtype)
                if lengths is not None:
                    direct = direct.masked_fill((lengths <= t).to(device)[:, None], 0)
                results.append(visited[t][0])
                gradients.append(direct)
        wanted = [state for after in visited for state in after]
        totals: tuple[Tensor | None, ...] = torch.autograd.grad(results, wanted, gradients, allow_unused=True)
    norms = []
    for index, total in enumerate(totals):
        if total is None:
            norms.append(x.new_zeros(()))
            continue
        if lengths is not None:  # there is no state of a row past its end
            total = total.masked_fill((lengths <= index // len(states)).to(device)[:, None], 0)
        norms.append(torch.linalg.vector_norm(total))
    return list(torch.stack(norms).view(steps, -1).unbind(1))
