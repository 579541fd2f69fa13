r"""Generation by a WaveNet, whose own outputs become its next inputs."""

import math
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from seqlight import _extension
from seqlight.ops import wavenet_generate_reference as reference
from seqlight.ops.backend import Backend, use_native
from seqlight.ops.checks import check_alike, check_shape, check_tensor
from seqlight.ops.precision import precision_of
from seqlight.ops.shapes import register_shapes

if _extension.available:
    _op = torch.ops.seqlight.wavenet_generate.default

GenerationHead = Literal["regression", "categorical"]


class WaveNetWeights(NamedTuple):
    """The parameters of a WaveNet as :func:`wavenet_generate` takes them.

    I input and output channels, H hidden and S skip channels, K taps, L layers after the first convolution, D
    channels of the local condition. A net of the simple form, without gates, has no `project_weights`.
    """

    input_weight: Tensor  #: of the first convolution, dilation 1: [H, I, K]
    input_bias: Tensor  #: [H]
    conv_weights: tuple[Tensor, ...]  #: L of [2*H, H, K], tanh's half first; the simple form's [H, H, K]
    conv_biases: tuple[Tensor, ...]  #: L of [2*H]; the simple form's [H]
    dilations: tuple[int, ...]  #: L
    project_weights: tuple[Tensor, ...]  #: L of [H + S, H], residual first; the last [S, H]; or ()
    project_biases: tuple[Tensor, ...]  #: L of [H + S], the last [S]; or ()
    head_weights: tuple[Tensor, ...]  #: linear layers with ReLU between them, the last one [I, ...]
    head_biases: tuple[Tensor, ...]
    condition_weights: tuple[Tensor, ...] = ()  #: L of [2*H, D], or () without local condition


def wavenet_generate(
    first: Tensor,
    steps: int,
    weights: WaveNetWeights,
    state: tuple[Tensor, ...],
    *,
    head: GenerationHead = "regression",
    temperature: float = 1.0,
    seed: Tensor | None = None,
    condition: Tensor | None = None,
    static_terms: Tensor | None = None,
    backend: Backend = "auto",
) -> tuple[Tensor, tuple[Tensor, ...]]:
    r"""Let a WaveNet run on its own outputs.

    Every step computes the net's output o from its input x, and from o what is generated and what comes in
    next:

    - ``head="regression"``: the output itself, :math:`y = o`, and :math:`x' = y`;
    - ``head="categorical"``: a class :math:`y` drawn with the probabilities softmax(o / temperature), and the
      one-hot vector of y. Class y is the first one with :math:`\sum_{i \le y} p_i > u \sum_i p_i`, where
      :math:`p_i = \exp((o_i - \max o) / \text{temperature})` is computed and summed in float64, in the
      order of the classes; u is the first word of Philox4x32-10 (:mod:`seqlight.ops.philox`) for the
      counter (0, step, row of the batch, 0), divided by 2^32. So a seed gives the same classes wherever
      they are computed, but for draws that fall on the border of two classes to within the rounding of o.

    A step costs the products with every weight once, whatever the dilations: each layer keeps its past
    inputs in a ring buffer. The native op runs all steps in one call. Nothing is differentiated.

    Args:
        first: the first input [B, I].
        steps: how many steps to generate; may be 0.
        weights: the net's parameters.
        state: the inputs before `first` of the first convolution [B, K-1, I], and of each layer
            [B, (K-1)*dilation, H], the oldest first.
        head: ``"regression"`` or ``"categorical"``.
        temperature: what the logits are divided by; below 1 likely classes become likelier. Categorical only.
        seed: int64 [1], wanted by the categorical head; see :func:`seqlight.ops.philox.draw_seed`.
        condition: local condition of every step [B, steps, D], or None.
        static_terms: what a global condition adds before each layer's gate [B, L, 2*H], or None.
        backend: ``"auto"``, ``"native"`` or ``"reference"``; see :mod:`seqlight.ops.backend`.

    Returns:
        ``(generated, state)``: [B, steps, I] in the dtype of `first`, or int64 classes [B, steps]; and the
        state after these steps, in the form of `state`. What was generated last has not gone in yet: it is
        the `first` of a call that continues.

    dtypes: float32 and float64 are computed as such, float16 and bfloat16 in float32.

    Raises:
        ValueError: a wrong shape, number, device or name; a missing seed.
        TypeError: an argument is not a tensor or of the wrong dtype.
        RuntimeError: ``backend="native"`` cannot run here; the message says why.
    """
    op = "wavenet_generate"
    _check_arguments(op, first, steps, weights, state, head, temperature, seed, condition, static_terms)
    precision = precision_of(op, first)
    named: list[tuple[str, Tensor | None]] = [("condition", condition), ("static_terms", static_terms)]
    named += [("state", part) for part in state]
    for name, value in weights._asdict().items():
        if name != "dilations":
            named += [(name, tensor) for tensor in (value if isinstance(value, tuple) else (value,))]
    check_alike(op, first, named, mixed=precision.autocast)
    run_natively = use_native(op, backend, first.device, precision.compute)

    result_dtype = first.dtype
    with torch.no_grad(), torch.autocast(first.device.type, enabled=False):

        def converted(value: Any) -> Any:
            if isinstance(value, tuple):
                return tuple(converted(part) for part in value)
            return value.to(precision.compute) if isinstance(value, Tensor) else value

        first, state, condition, static_terms = converted((first, state, condition, static_terms))
        weights = WaveNetWeights(*converted(tuple(weights)))
        function = _native if run_natively else reference.wavenet_generate
        drawn_with = seed if head == "categorical" else None
        output, state = function(
            first, steps, weights, state, drawn_with, temperature, condition, static_terms
        )
    if output.is_floating_point():
        output = output.to(result_dtype)
    return output, tuple(part.to(result_dtype) for part in state)


def _native(
    first: Tensor,
    steps: int,
    weights: WaveNetWeights,
    state: tuple[Tensor, ...],
    seed: Tensor | None,
    temperature: float,
    condition: Tensor | None,
    static_terms: Tensor | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run checked arguments of one dtype, float32 or float64, natively."""
    batch_size, hidden_size = first.shape[0], weights.input_weight.shape[0]
    layers = state[1:] or (first.new_empty(batch_size, 0, hidden_size),)
    output, states = _op(
        first,
        state[0],
        torch.cat(layers, 1),
        weights.input_weight,
        weights.input_bias,
        weights.conv_weights,
        weights.conv_biases,
        weights.project_weights,
        weights.project_biases,
        weights.condition_weights,
        condition,
        static_terms,
        weights.head_weights,
        weights.head_biases,
        weights.dilations,
        steps,
        seed,
        temperature,
    )
    new_state = [reference.next_input_state(state[0], first, output, steps)]
    new_state += states.split([part.shape[1] for part in state[1:]], 1) if len(state) > 1 else ()
    return output, tuple(new_state)


def _check_arguments(
    op: str,
    first: Tensor,
    steps: int,
    weights: WaveNetWeights,
    state: tuple[Tensor, ...],
    head: str,
    temperature: float,
    seed: Tensor | None,
    condition: Tensor | None,
    static_terms: Tensor | None,
) -> None:
    """Raise on a wrong shape, number or name; what the parameters alone could have wrong, the op tells."""
    if head not in get_args(GenerationHead):
        raise ValueError(f"{op}: head expected 'regression' or 'categorical', got {head!r}")
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
        raise ValueError(f"{op}: steps expected an integer of at least 0, got {steps!r}")
    check_tensor(op, "first", first)
    hidden_size, inputs, kernel_size = weights.input_weight.shape
    if first.dim() != 2 or first.shape[1] != inputs:
        raise ValueError(f"{op}: first expected [B, I] with I = {inputs}, got {list(first.shape)}")
    outputs = weights.head_weights[-1].shape[0]
    if outputs != inputs:
        raise ValueError(
            f"{op}: weights expected of a net with as many outputs as inputs, since outputs become inputs, "
            f"got {inputs} inputs and {outputs} outputs"
        )
    batch_size, layer_count = first.shape[0], len(weights.dilations)
    if len(state) != layer_count + 1:
        raise ValueError(
            f"{op}: state expected {layer_count + 1} tensors, one per convolution, got {len(state)}"
        )
    check_shape(op, "state", state[0], "[B, K-1, I]", (batch_size, kernel_size - 1, inputs))
    for part, dilation in zip(state[1:], weights.dilations, strict=True):
        sizes = (batch_size, (kernel_size - 1) * dilation, hidden_size)
        check_shape(op, "state", part, "[B, (K-1)*dilation, H]", sizes)
    if head == "categorical":
        if not (temperature > 0 and math.isfinite(temperature)):
            raise ValueError(f"{op}: temperature expected a positive finite number, got {temperature}")
        if seed is None:
            raise ValueError(f"{op}: seed expected an int64 tensor [1] for head='categorical', got None")
        check_shape(op, "seed", seed, "[1]", (1,))
        if seed.dtype != torch.int64:
            raise TypeError(f"{op}: seed expected dtype torch.int64, got {seed.dtype}")
        if seed.device != first.device:
            raise ValueError(f"{op}: seed expected on the device of first, {first.device}, got {seed.device}")
    if bool(weights.condition_weights) != (condition is not None):
        wanted = (
            "[B, steps, D]" if weights.condition_weights else "None, since there are no condition_weights"
        )
        raise ValueError(
            f"{op}: condition expected {wanted}, got {'None' if condition is None else 'a tensor'}"
        )
    if condition is not None:
        sizes = (batch_size, steps, weights.condition_weights[0].shape[1])
        check_shape(op, "condition", condition, "[B, steps, D]", sizes)
    if static_terms is not None:
        sizes = (batch_size, layer_count, weights.conv_biases[0].shape[0] if layer_count else 0)
        check_shape(op, "static_terms", static_terms, "[B, L, 2*H with gates, else H]", sizes)


def _shapes(
    first: Tensor,
    input_state: Tensor,
    states: Tensor,
    *arguments: Any,
) -> tuple[Tensor, Tensor]:
    """Give the shapes of what the op returns, for tracing."""
    steps, seed = arguments[-3:-1]
    batch_size, outputs = first.shape
    if seed is None:
        return first.new_empty(batch_size, steps, outputs), torch.empty_like(states)
    return first.new_empty(batch_size, steps, dtype=torch.int64), torch.empty_like(states)


if _extension.available:
    register_shapes("wavenet_generate", _shapes)
