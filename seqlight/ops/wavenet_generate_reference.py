"""Generation by a WaveNet in plain PyTorch: the fallback where no kernel runs, and the oracle of the
kernel's tests.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import linear, one_hot

from seqlight.ops.philox import philox4x32, uniform

if TYPE_CHECKING:
    from seqlight.ops.wavenet_generate import WaveNetWeights


def wavenet_generate(
    first: Tensor,
    steps: int,
    weights: "WaveNetWeights",
    state: tuple[Tensor, ...],
    seed: Tensor | None,
    temperature: float,
    condition: Tensor | None,
    static_terms: Tensor | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Generate; equations and shapes of :func:`seqlight.ops.wavenet_generate`, which checks the arguments.

    Classes are drawn where there is a `seed`.
    """
    batch_size, inputs = first.shape
    gated = bool(weights.project_weights)
    rings = [_Ring(part) for part in state]
    x, generated = first, []
    for step in range(steps):
        h = rings[0].convolve(x, weights.input_weight, weights.input_bias, 1)
        if not gated:
            h = h.relu()
        skip: Tensor | None = None
        for layer, dilation in enumerate(weights.dilations):
            pre = rings[layer + 1].convolve(
                h, weights.conv_weights[layer], weights.conv_biases[layer], dilation
            )
            if condition is not None:
                pre = pre + linear(condition[:, step], weights.condition_weights[layer])
            if static_terms is not None:
                pre = pre + static_terms[:, layer]
            if not gated:
                h = pre.relu()
                continue
            filtered, gate = pre.chunk(2, dim=1)
            unit = filtered.tanh() * gate.sigmoid()
            projected = linear(unit, weights.project_weights[layer], weights.project_biases[layer])
            if layer + 1 < len(weights.dilations):
                h = h + projected[:, : h.shape[1]]
                projected = projected[:, h.shape[1] :]
            skip = projected if skip is None else skip + projected
        output = h if skip is None else skip.relu()
        for index, (weight, bias) in enumerate(zip(weights.head_weights, weights.head_biases, strict=True)):
            output = linear(output.relu() if index > 0 else output, weight, bias)
        if seed is None:
            generated.append(output)
            x = output
        else:
            classes = draw_classes(output, temperature, seed, step)
            generated.append(classes)
            x = one_hot(classes, inputs).to(first.dtype)
    if generated:
        result = torch.stack(generated, 1)
    elif seed is None:
        result = first.new_empty(batch_size, 0, inputs)
    else:
        result = first.new_empty(batch_size, 0, dtype=torch.int64)
    layers = (ring.rows() for ring in rings[1:])
    return result, (next_input_state(state[0], first, result, steps), *layers)


def draw_classes(logits: Tensor, temperature: float, seed: Tensor, step: int) -> Tensor:
    """Draw a class [B] from the softmax of each row of logits [B, O] / temperature."""
    logits = logits.double()
    exponentials = ((logits - logits.amax(1, keepdim=True)) / temperature).exp()
    sums = exponentials.cumsum(1)
    rows = torch.arange(logits.shape[0], device=logits.device)
    threshold = uniform(philox4x32(seed, (0, step, rows, 0))[0]) * sums[:, -1]
    # The number of sums that do not exceed the threshold. NaN exceeds nothing: then the last class.
    return (~(sums > threshold[:, None])).sum(1).clamp(max=logits.shape[1] - 1)


def next_input_state(state: Tensor, first: Tensor, generated: Tensor, steps: int) -> Tensor:
    """Give the last K-1 inputs [B, K-1, I] after `steps` steps: `first`, then all but the last generated."""
    if steps == 0:
        return state.clone()
    length = state.shape[1]
    fed_back = generated[:, max(0, steps - 1 - length) : steps - 1]
    if not generated.is_floating_point():
        fed_back = one_hot(fed_back, first.shape[1]).to(first.dtype)
    inputs = torch.cat([state, first[:, None], fed_back], 1)
    return inputs[:, inputs.shape[1] - length :].clone()


class _Ring:
    """The last inputs of a convolution; that of time t is in slot t % length."""

    def __init__(self, state: Tensor) -> None:
        self.slots = state.clone()
        self.time = 0

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
        """Give the output [B, O] for the input [B, C] of this step, and keep that."""
        length = self.slots.shape[1]
        output = linear(x, weight[:, :, -1], bias)
        for tap in range(weight.shape[2] - 1):
            past = self.slots[:, (self.time + tap * dilation) % length]
            output = output + linear(past, weight[:, :, tap])
        if length:
            self.slots[:, self.time % length] = x
        self.time += 1
        return output

    def rows(self) -> Tensor:
        """Give the inputs, the oldest first."""
        length = self.slots.shape[1]
        return self.slots.roll(-(self.time % length), 1) if length else self.slots
