"""Valid calls of every private op, and what is right for each: where the hostile ones start from."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqlight.ops import causal_conv1d_reference, wavenet_generate_reference, wavenet_layer_reference
from seqlight.ops.gru import native_gru
from seqlight.ops.lstm import native_lstm
from seqlight.ops.rnn import native_rnn
from seqlight.ops.wavenet_generate import WaveNetWeights

INPUTS, HIDDEN, STEPS = 3, 5, 4
CELLS = {"lstm": (native_lstm, 4), "gru": (native_gru, 3), "rnn": (native_rnn, 1)}
NORM_ROWS = {"lstm": 10, "gru": 6, "rnn": 2}
ACTIVATIONS = (None, "relu", "gate")


class Base(NamedTuple):
    """A valid call."""

    op: str
    label: str
    arguments: list[Any]
    #: Gives the right results for arguments that the op takes; None where one is not to be compared.
    expected: Callable[[list[Any]], tuple[Tensor | None, ...]]

    def call(self, arguments: list[Any]) -> tuple[Tensor, ...]:
        results = getattr(torch.ops.seqlight, self.op).default(*arguments)
        return results if isinstance(results, tuple) else (results,)


def all_bases(dtype: torch.dtype = torch.float32) -> list[Base]:
    """Give all valid calls, the same ones in each process."""
    torch.set_default_dtype(dtype)
    torch.manual_seed(0)
    bases: list[Base] = []
    for cell in CELLS:
        bases += _recurrent(cell)
    return [*bases, *_convolutions(), *_wavenet_layers(), *_generations(), *_elementwise()]


def _gradients(
    results: tuple[Tensor, ...], grads: list[Tensor | None], wanted: list[Tensor | None]
) -> list[Tensor | None]:
    """Pull `grads` back; zeros for results without one, None for arguments that there are not."""
    pairs = [
        (result, grad)
        for result, grad in zip(results, grads, strict=True)
        if grad is not None and result.requires_grad
    ]
    leaves = [tensor for tensor in wanted if tensor is not None]
    if not pairs:
        found: list[Tensor | None] = [torch.zeros_like(leaf) for leaf in leaves]
    else:
        outputs, cotangents = zip(*pairs, strict=True)
        found = list(
            torch.autograd.grad(outputs, leaves, cotangents, allow_unused=True, materialize_grads=True)
        )
    return [None if tensor is None else found.pop(0) for tensor in wanted]


def _leaf(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().clone().requires_grad_()


def _recurrent(name: str) -> list[Base]:
    cell, gates = CELLS[name]
    flags = {"lstm": (0.2, 0.3, True), "gru": (0.2, True), "rnn": (0.2, True, True)}[name]
    plain_flags = {"lstm": (0.0, 0.0, False), "gru": (0.0, False), "rnn": (0.0, False, False)}[name]
    bases: list[Base] = []

    def weights(*, norm: bool, peephole: bool) -> list[Any]:
        given: list[Any] = [torch.randn(gates * HIDDEN, INPUTS), torch.randn(gates * HIDDEN, HIDDEN)]
        given += [torch.randn(gates * HIDDEN), torch.randn(gates * HIDDEN)]
        if name == "lstm":
            given.append(torch.randn(3, HIDDEN) if peephole else None)
        return [*given, torch.randn(NORM_ROWS[name], HIDDEN) if norm else None]

    def states(batch: int, *, of_layer: bool = False) -> list[Tensor]:
        shape = (1, batch, HIDDEN) if of_layer else (batch, HIDDEN)
        return [torch.randn(shape) for _ in range(cell.state_count)]

    def constants(batch: int, *, noisy: bool) -> list[Any]:
        lengths = torch.tensor([STEPS, 0, 2] * batch)[:batch]
        mask = torch.where(torch.rand(batch, HIDDEN) > 0.3, 1.5, 0.0) if noisy else None
        return [mask, torch.tensor([5]) if noisy else None, lengths]

    def forward_expected(given: list[Any]) -> tuple[Tensor | None, ...]:
        tensors, rest = given[: cell.tensor_count], given[cell.tensor_count :]
        return *cell.reference(tensors, tuple(rest[:3]), *rest[3:-2]), None

    def backward_expected(given: list[Any]) -> tuple[Tensor | None, ...]:
        count = 1 + cell.state_count
        tensors = [_leaf(tensor) for tensor in given[count : count + cell.tensor_count]]
        rest = given[count + cell.tensor_count + 2 :]
        need_input, need_weight, *options = rest
        results = cell.reference(tensors, tuple(options[:3]), *options[3:])
        grads = _gradients(results, given[:count], tensors)
        kept = [grads[0] if need_input else None, *grads[1:count]]
        kept += [grad if need_weight else None for grad in grads[count : count + 2]]
        biases = grads[count + 2 : count + 4]
        if cell.bias_gradient_count != 2:
            biases = [next((grad for grad in biases if grad is not None), None)]
        return *kept, *(grad if need_weight else None for grad in (*biases, *grads[count + 4 :]))

    for batch, label in (
        (3, "all"),
        (19, "lanes"),
        (3, "norm"),
        (17, "norm lanes"),
        (2, "plain"),
        (2, "step"),
    ):
        norm, plain = label.startswith("norm"), label in ("plain", "step", "lanes")
        shape = (batch, INPUTS) if label == "step" else (batch, STEPS, INPUTS)
        x, own = torch.randn(shape), weights(norm=norm, peephole=not norm)
        of_layer = label == "step"
        given = [x, *states(batch, of_layer=of_layer), *own]
        if plain:
            options = [None, None, constants(batch, noisy=False)[2] if not of_layer else None, *plain_flags]
        else:
            options = [*constants(batch, noisy=True), *flags]
        packed = cell.pack(own, general=norm or not plain) if label in ("all", "norm", "plain") else None
        bases.append(Base(f"{name}_forward", label, [*given, *options, packed, False], forward_expected))
        forward = getattr(torch.ops.seqlight, f"{name}_forward").default
        output, *finals, saved = forward(*given, *options, None, True)
        grads = [torch.randn_like(result) for result in (output, *finals)]
        arguments = [*grads, *given, output, saved, True, True, *options]
        bases.append(Base(f"{name}_backward", label, arguments, backward_expected))

    for peephole in (False, True) if name == "lstm" else (False,):
        own = weights(norm=False, peephole=peephole)
        x, before = torch.randn(2, INPUTS), states(2)
        packed = cell.pack(own, general=False)

        def step_expected(given: list[Any], own: list[Any] = own) -> tuple[Tensor | None, ...]:
            count = 1 + cell.state_count
            step_flags = [*given[count + 1 :], False] if name == "rnn" else [False]
            zoneouts = (0.0,) * cell.state_count
            return cell.reference([*given[:count], *own], (None, None, None), *zoneouts, *step_flags)

        label = "peephole" if peephole else "plain"
        options = [True] if name == "rnn" else []
        bases.append(Base(f"{name}_step", label, [x, *before, packed, *options], step_expected))

    for general in (False, True):

        def pack_expected(given: list[Any]) -> tuple[Tensor | None, ...]:
            dense = [
                value.detach().clone(memory_format=torch.contiguous_format)
                if isinstance(value, Tensor)
                else value
                for value in given
            ]
            return (getattr(torch.ops.seqlight, f"{name}_pack").default(*dense),)

        own = weights(norm=False, peephole=True)[:-1]
        label = "general" if general else "plain"
        bases.append(Base(f"{name}_pack", label, [*own, general], pack_expected))
    return bases


def _convolutions() -> list[Base]:
    def forward(given: list[Any]) -> tuple[Tensor, Tensor]:
        x, state, weight, bias, dilation, groups, activation = given[:7]
        return causal_conv1d_reference.causal_conv1d(
            x,
            weight,
            bias,
            dilation=dilation,
            groups=groups,
            state=state,
            activation=ACTIVATIONS[activation],
        )

    def forward_expected(given: list[Any]) -> tuple[Tensor | None, ...]:
        return *forward(given), None

    def backward_expected_with(bias: Tensor) -> Callable[[list[Any]], tuple[Tensor | None, ...]]:
        def expected(given: list[Any]) -> tuple[Tensor | None, ...]:
            leaves = [_leaf(tensor) for tensor in (*given[2:5], bias)]
            results = forward([*leaves, *given[5:8]])
            grads = _gradients(results, given[:2], leaves)
            return tuple(grad if need else None for grad, need in zip(grads, given[9:], strict=True))

        return expected

    bases = []
    # batch, steps, channels in and out, groups, activation: packed, few rows, depthwise, grouped
    kinds = [(3, 7, 4, 6, 1, 2), (2, 3, 3, 5, 1, 1), (2, 9, 6, 6, 6, 2), (2, 9, 4, 8, 2, 0)]
    for batch, steps, channels, out, groups, activation in kinds:
        x, state = torch.randn(batch, steps, channels), torch.randn(batch, 4, channels)
        weight, bias = torch.randn(out, channels // groups, 3), torch.randn(out)
        options = [2, groups, activation]
        label = f"groups {groups}, {ACTIVATIONS[activation]}"
        arguments = [x, state, weight, bias, *options, False]
        bases.append(Base("causal_conv1d_forward", label, arguments, forward_expected))
        forward_op = torch.ops.seqlight.causal_conv1d_forward.default
        output, new_state, saved = forward_op(*arguments[:-1], True)
        activated = saved if activation == 2 else output
        grads = [torch.randn_like(output), torch.randn_like(new_state)]
        arguments = [*grads, x, state, weight, *options, activated, *(True,) * 4]
        bases.append(Base("causal_conv1d_backward", label, arguments, backward_expected_with(bias)))
    return bases


def _wavenet_layers() -> list[Base]:
    def forward_expected(given: list[Any]) -> tuple[Tensor | None, ...]:
        h_next, skip, state = wavenet_layer_reference.wavenet_layer(*given[:12])
        return h_next if given[11] else None, skip, state, None

    def backward_expected_with(base: list[Any]) -> Callable[[list[Any]], tuple[Tensor | None, ...]]:
        def expected(given: list[Any]) -> tuple[Tensor | None, ...]:
            grads, (h, state, conv_weight, project_weight, condition, condition_weight) = (
                given[:3],
                given[3:9],
            )
            all_ten = [h, state, base[2], conv_weight, base[4], project_weight, base[6]]
            leaves = [_leaf(tensor) for tensor in (*all_ten, condition, condition_weight, base[9])]
            results = wavenet_layer_reference.wavenet_layer(*leaves, *given[9:11])
            found = _gradients(results, grads, leaves)
            _, _, weights, *_ = needs = given[12:]
            wanted = [needs[0], needs[1], weights, weights, weights, weights, *needs[3:]]
            kept = [found[place] for place in (0, 1, 3, 4, 5, 6, 7, 8, 9)]
            return tuple(grad if need else None for grad, need in zip(kept, wanted, strict=True))

        return expected

    bases = []
    batch, steps, channels, skips, size = 2, 11, 5, 3, 2
    for residual in (True, False):
        rows = skips + (channels if residual else 0)
        tensors: list[Any] = [
            torch.randn(batch, steps, channels),
            torch.randn(batch, 4, channels),
            torch.randn(batch, steps, skips),
            torch.randn(2 * channels, channels, 3),
            torch.randn(2 * channels),
            torch.randn(rows, channels),
            torch.randn(rows),
            torch.randn(batch, steps, size),
            torch.randn(2 * channels, size),
            torch.randn(batch, 2 * channels),
        ]
        label = "residual" if residual else "last"
        arguments = [*tensors, 2, residual, False]
        bases.append(Base("wavenet_layer_forward", label, arguments, forward_expected))
        h_next, skip, state, activated = torch.ops.seqlight.wavenet_layer_forward.default(
            *tensors, 2, residual, True
        )
        grads = [torch.randn_like(h_next) if residual else None, torch.randn_like(skip)]
        arguments = [*grads, torch.randn_like(state), *(tensors[place] for place in (0, 1, 3, 5, 7, 8))]
        arguments += [2, residual, activated, *(True,) * 6]
        expected = backward_expected_with(tensors)
        bases.append(Base("wavenet_layer_backward", label, arguments, expected))
    return bases


def _generations() -> list[Base]:
    def expected(given: list[Any]) -> tuple[Tensor | None, ...]:
        first, input_state, states, input_weight, input_bias = given[:5]
        conv, conv_bias, project, project_bias, condition_weights, condition, static = given[5:12]
        head, head_bias, dilations, steps, seed, temperature = given[12:]
        weights = WaveNetWeights(
            *(input_weight, input_bias, tuple(conv), tuple(conv_bias), tuple(dilations)),
            *(tuple(project), tuple(project_bias), tuple(head), tuple(head_bias), tuple(condition_weights)),
        )
        lengths = [(input_weight.shape[2] - 1) * dilation for dilation in dilations]
        state = (input_state, *states.split(lengths, 1)) if lengths else (input_state,)
        output, after = wavenet_generate_reference.wavenet_generate(
            first, steps, weights, state, seed, temperature, condition, static
        )
        return output, torch.cat(after[1:], 1) if lengths else states

    bases = []
    batch, inputs, hidden, skips, size, steps = 2, 3, 5, 4, 2, 6
    for gated, drawn, dilations in (
        (True, False, [1, 2]),
        (True, True, [2, 1]),
        (False, False, [1, 2]),
        (False, False, []),
    ):
        pre, count = (2 if gated else 1) * hidden, len(dilations)
        depth = skips if gated else hidden
        rows = [hidden + skips] * (count - 1) + [skips]
        conditioned = count > 0
        arguments = [
            torch.randn(batch, inputs),
            torch.randn(batch, 1, inputs),
            torch.randn(batch, sum(dilations), hidden),
            torch.randn(hidden, inputs, 2),
            torch.randn(hidden),
            [torch.randn(pre, hidden, 2) for _ in dilations],
            [torch.randn(pre) for _ in dilations],
            [torch.randn(row, hidden) for row in rows] if gated else [],
            [torch.randn(row) for row in rows] if gated else [],
            [torch.randn(pre, size) for _ in dilations] if conditioned else [],
            torch.randn(batch, steps, size) if conditioned else None,
            torch.randn(batch, count, pre),
            [torch.randn(4, depth), torch.randn(inputs, 4)],
            [torch.randn(4), torch.randn(inputs)],
            dilations,
            steps,
            torch.tensor([3]) if drawn else None,
            0.7,
        ]
        label = f"{'gated' if gated else 'simple'}, {'drawn' if drawn else 'values'}, {count} layers"
        bases.append(Base("wavenet_generate", label, arguments, expected))
    return bases


def _elementwise() -> list[Base]:
    return [
        Base("sigmoid", "", [torch.randn(3, 7)], lambda given: (given[0].sigmoid(),)),
        Base("tanh", "", [torch.randn(3, 7)], lambda given: (given[0].tanh(),)),
    ]
