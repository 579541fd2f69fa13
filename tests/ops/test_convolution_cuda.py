"""The convolutions' CUDA sources, compiled for the CPU (cuda_sources.py) and on a GPU."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear

from seqlight import use_backend
from seqlight.nn import WaveNet
from seqlight.ops import causal_conv1d, wavenet_layer
from seqlight.ops.causal_conv1d_reference import causal_conv1d as reference

# Largest error allowed, relative to the largest element of the float64 result, as for the CPU kernels.
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}
# B, T, channels in and out of a group, groups, K, dilation.
# On the CPU a tile has 8 rows and columns and is 4 deep.
SIZES = [
    (1, 1, 1, 2, 1, 1, 1),
    (2, 9, 3, 4, 1, 2, 3),
    (3, 7, 2, 4, 3, 4, 5),
    (2, 300, 5, 6, 1, 3, 16),  # in pieces of 256 rows
    (1, 8, 8, 8, 1, 1, 1),  # tiles that are full
    (3, 5, 7, 18, 1, 2, 2),  # some numbers more, or fewer
    (1, 17, 9, 16, 1, 3, 20),  # nobody looks as far back as 0
    (5, 1, 4, 10, 1, 4, 3),
    (2, 11, 8, 6, 2, 2, 1),
    (2, 33, 1, 1, 6, 3, 2),  # depthwise
    (2, 9, 1, 3, 4, 2, 1),
]
#: the same about tiles of 64 rows and columns that are 16 deep
LARGE_SIZES = [(2, 34, 33, 66, 1, 2, 5), (1, 257, 16, 16, 2, 1, 1), (3, 22, 65, 64, 1, 3, 30)]
VARIANTS = list(product((None, "relu", "gate"), (False, True), (False, True)))  # activation, bias, state


def convolutions(
    sizes: tuple[int, ...], activation: str | None, bias: bool, state: bool, seed: int
) -> tuple[list[Tensor | None], dict[str, Any]]:
    """x, weight, bias, state in float64, and the options."""
    batch_size, steps, in_channels, out_channels, groups, kernel_size, dilation = sizes
    generator = torch.Generator().manual_seed(seed)
    shapes = (
        (batch_size, steps, in_channels * groups),
        (out_channels * groups, in_channels, kernel_size),
        (out_channels * groups,),
        (batch_size, (kernel_size - 1) * dilation, in_channels * groups),
    )
    tensors: list[Tensor | None] = [
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes
    ]
    if not bias:
        tensors[2] = None
    if not state:
        tensors[3] = None
    return tensors, {"dilation": dilation, "groups": groups, "activation": activation}


def results_and_gradients(
    function: Any, tensors: list[Tensor | None], options: dict[str, Any]
) -> list[Tensor]:
    """Outputs and the gradients of all tensors, in float64 on the CPU."""
    leaves = [None if tensor is None else tensor.detach().requires_grad_() for tensor in tensors]
    x, weight, bias, state = leaves
    output, new_state = function(x, weight, bias, state=state, **options)
    present = [leaf for leaf in leaves if leaf is not None]
    gradients = torch.autograd.grad(output.sin().sum() + new_state.sin().sum(), present)
    return [value.detach().double().cpu() for value in (output, new_state, *gradients)]


def assert_close(found: list[Tensor], expected: list[Tensor], dtype: torch.dtype) -> None:
    for number, (value, right) in enumerate(zip(found, expected, strict=True)):
        error = (value - right).abs().max() / right.abs().max().clamp(min=0.1) if right.numel() else 0
        assert error <= TOLERANCE[dtype], f"{number}: {error}"


NETS: list[dict[str, Any]] = [
    {},
    {"kernel_size": 3, "skip_size": 7, "condition_size": 3, "static_size": 2},
    {"kernel_size": 1},
    {"gated": False},
    {"gated": False, "num_blocks": 1, "layers_per_block": 1},
]


def check_generation(options: dict[str, Any], device: torch.device) -> None:
    torch.manual_seed(0)
    net = WaveNet(6, 6, **{"hidden_size": 5, "num_blocks": 2, "layers_per_block": 3, **options})
    net = net.double().to(device)
    conditions: dict[str, Tensor] = {}
    if net.condition_size:
        conditions["condition"] = torch.randn(3, 24, net.condition_size, dtype=torch.float64, device=device)
        conditions["static"] = torch.randn(3, net.static_size, dtype=torch.float64, device=device)
    classes = torch.randint(0, 6, (3, 4), device=device)
    seed = torch.tensor([5], device=device)
    vectors = torch.nn.functional.one_hot(classes, 6).double()
    for head, prompt in (("regression", vectors), ("categorical", classes)):
        found = []
        for backend in ("native", "reference"):
            with use_backend(backend):  # type: ignore[arg-type]
                found.append(net.generate(prompt, 21, head=head, seed=seed, **conditions))
        (ours, state), (exact, exact_state) = found
        torch.testing.assert_close(ours, exact, rtol=0, atol=1e-12)
        for part, right in zip(state, exact_state, strict=True):
            torch.testing.assert_close(part, right, rtol=0, atol=1e-12)


# ------------------------------------------------------------------------------------------- the convolution


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_convolution(
    cuda: torch.device, dtype: torch.dtype, native_calls: Any, sizes: tuple[int, ...]
) -> None:
    with native_calls as calls:
        for number, variant in enumerate(VARIANTS):
            tensors, options = convolutions(sizes, *variant, seed=number)
            found = results_and_gradients(
                causal_conv1d,
                [None if tensor is None else tensor.to(cuda, dtype) for tensor in tensors],
                {**options, "backend": "native"},
            )
            assert_close(found, results_and_gradients(reference, tensors, options), dtype)
    name = str(dtype).removeprefix("torch.")
    ran = len(VARIANTS) if cuda.type == "cuda" else 0  # else the CPU's own kernels ran
    assert calls[f"causal_conv1d_forward.{name}"] == calls[f"causal_conv1d_backward.{name}"] == ran


@pytest.mark.parametrize("sizes", SIZES + LARGE_SIZES, ids=str)
@pytest.mark.parametrize("activation", [None, "relu", "gate"])
def test_convolution_in_full_tiles(
    full_tiles: torch.device, dtype: torch.dtype, sizes: tuple[int, ...], activation: str | None
) -> None:
    """With 256 threads for a tile; and the small sizes, which take no tiles then, number by number."""
    tensors, options = convolutions(sizes, activation, True, True, seed=0)
    given = [tensor.to(full_tiles, dtype) for tensor in tensors if tensor is not None]
    found = results_and_gradients(causal_conv1d, given, {**options, "backend": "native"})
    assert_close(found, results_and_gradients(reference, tensors, options), dtype)


@pytest.mark.parametrize(
    "sizes", [(3, 5, 7, 18, 1, 2, 2), (2, 9, 1, 1, 6, 3, 12), (5, 1, 4, 10, 1, 4, 3)], ids=str
)
@pytest.mark.parametrize("through", ["output", "new_state"])
def test_some_gradients_only(cuda: torch.device, sizes: tuple[int, ...], through: str) -> None:
    tensors, options = convolutions(sizes, "gate", True, True, seed=0)
    for wanted in range(4):
        gradients = []
        for function in (causal_conv1d, reference):
            leaves = [tensor.to(cuda) for tensor in tensors if tensor is not None]
            leaves[wanted].requires_grad_()
            x, weight, bias, state = leaves
            output, new_state = function(x, weight, bias, state=state, **options)
            total = (output if through == "output" else new_state).sin().sum() + 0 * leaves[wanted].sum()
            gradients += torch.autograd.grad(total, leaves[wanted])
        assert_close(gradients[:1], gradients[1:], torch.float64)


def test_the_plan_of_a_convolution(full_tiles_on_cpu: Any) -> None:
    """Which products go through tiles of 64 x 64, and in how many pieces the rows are summed."""

    def plan(*sizes: int, activation: str | None = None) -> tuple[Any, ...]:
        """B, T, all channels in and out, K, groups."""
        return tuple(full_tiles_on_cpu.causal_conv1d_plan(*sizes, [None, "relu", "gate"].index(activation)))

    for activation in (None, "relu", "gate"):
        assert plan(32, 500, 64, 128, 2, 1, activation=activation)[:3] == (True, True, True)
    # a quarter of a tile's rows and columns, half of its depth
    assert plan(1, 16, 16, 16, 1, 1)[:3] == (True, True, True)
    assert plan(1, 15, 16, 16, 1, 1)[:3] == (False, False, True)
    assert plan(1, 7, 16, 16, 1, 1)[:3] == (False, False, False)
    assert plan(8, 100, 15, 16, 1, 1)[:3] == (True, False, False)
    assert plan(8, 100, 8, 15, 2, 1)[:3] == (False, False, False)
    # single channels in or out, where the taps give the depth
    assert plan(8, 100, 1, 64, 8, 1)[:3] == (True, False, False)
    assert plan(8, 100, 1, 64, 16, 1)[:3] == (True, False, True)
    assert plan(8, 100, 64, 1, 8, 1)[:3] == (False, True, False)
    # groups: each by itself
    assert plan(8, 100, 64, 64, 4, 64)[:3] == (False, False, False)
    assert plan(8, 100, 64, 64, 4, 4)[:3] == (True, True, True)
    assert plan(8, 100, 64, 64, 4, 4, activation="gate")[:3] == (False, True, True)

    # pieces of at least 256 rows, and no more blocks of threads than 512, or than one piece takes
    assert plan(1, 256, 64, 64, 2, 1)[3:] == (1, 256, 1, 256)
    assert plan(1, 257, 64, 64, 2, 1)[3:] == (2, 256, 2, 256)
    assert plan(100, 10_000, 64, 64, 2, 1)[3:] == (256, 3907, 512, 1954)
    assert plan(100, 10_000, 2048, 2048, 2, 1)[3:5] == (1, 1_000_000)
    assert plan(1 << 20, 1 << 20, 64, 64, 2, 1)[3:5] == (256, 1 << 32)
    assert plan(0, 9, 64, 64, 2, 1) == (False, False, False, 0, 256, 0, 256)


def test_with_strides_and_without_rows(cuda: torch.device) -> None:
    tensors, options = convolutions((2, 9, 3, 4, 1, 2, 3), "gate", True, True, seed=0)
    x, weight, bias, state = (tensor.to(cuda) for tensor in tensors if tensor is not None)
    strided = [
        x.transpose(1, 2).contiguous().transpose(1, 2),
        weight.transpose(0, 1).contiguous().transpose(0, 1),
    ]
    exact = results_and_gradients(reference, tensors, options)
    assert_close(results_and_gradients(causal_conv1d, [*strided, bias, state], options), exact, torch.float64)
    nothing = [x[:0], weight, bias, state[:0]]
    found = results_and_gradients(causal_conv1d, nothing, options)
    assert found[0].shape == (0, 9, 2) and not found[3].any()
    short = results_and_gradients(causal_conv1d, [x[:, :0], weight, bias, state], options)
    assert torch.equal(short[1], state.cpu())


# ------------------------------------------------------------------------------------------------- generation


@pytest.mark.parametrize("options", NETS, ids=str)
def test_generation(cuda: torch.device, native_calls: Any, options: dict[str, Any]) -> None:
    with native_calls as calls:
        check_generation(options, cuda)
    assert (calls["wavenet_generate.float64"] > 0) == (cuda.type == "cuda"), "the CPU's own kernel ran"


# ----------------------------------------------------------------------------------------- the WaveNet layer

LAYER_TENSORS = (
    *("h", "conv_weight", "conv_bias", "project_weight", "project_bias"),
    *("state", "skip", "condition", "condition_weight", "static_term"),
)
# B, T, C, K, dilation, S, D; with 500 numbers a block, the second takes several
LAYERS = [(1, 1, 1, 1, 1, 1, 1), (3, 41, 5, 3, 4, 6, 2), (2, 3, 4, 2, 7, 3, 5)]
#: which optional tensors there are, and whether there is a residual
LAYER_VARIANTS = [
    ((), True),
    ((), False),
    (("state",), True),
    (("state", "skip", "condition", "condition_weight", "static_term"), True),
    (("skip", "condition", "condition_weight"), False),
    (("static_term",), False),
]


def unfused_layer(
    h: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    project_weight: Tensor,
    project_bias: Tensor,
    **rest: Any,
) -> tuple[Tensor, ...]:
    """The layer put together of the convolution's reference and torch's functions."""
    before, new_state = reference(
        h, conv_weight, conv_bias, dilation=rest["dilation"], state=rest.get("state")
    )
    if "condition" in rest:
        before = before + linear(rest["condition"], rest["condition_weight"])
    if "static_term" in rest:
        before = before + rest["static_term"][:, None]
    filtered, gate = before.chunk(2, dim=2)
    projected = linear(filtered.tanh() * gate.sigmoid(), project_weight, project_bias)
    if rest["residual"]:
        channels = h.shape[2]
        h, projected = h + projected[..., :channels], projected[..., channels:]
    return h, projected + rest.get("skip", 0), new_state


def draw_layer(sizes: tuple[int, ...], optional: tuple[str, ...], residual: bool) -> dict[str, Tensor]:
    batch_size, steps, channels, kernel_size, dilation, skip_size, condition_size = sizes
    rows = skip_size + (channels if residual else 0)
    shapes = {
        "h": (batch_size, steps, channels),
        "conv_weight": (2 * channels, channels, kernel_size),
        "conv_bias": (2 * channels,),
        "project_weight": (rows, channels),
        "project_bias": (rows,),
        "state": (batch_size, (kernel_size - 1) * dilation, channels),
        "skip": (batch_size, steps, skip_size),
        "condition": (batch_size, steps, condition_size),
        "condition_weight": (2 * channels, condition_size),
        "static_term": (batch_size, 2 * channels),
    }
    generator = torch.Generator().manual_seed(len(optional))
    return {
        name: torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
        if name in LAYER_TENSORS[:5] or name in optional
    }


def layer_results(
    function: Any, tensors: dict[str, Tensor], wanted: set[str], *, through: int = 7, **options: Any
) -> list[Tensor]:
    """Results and the gradients of the `wanted` tensors, `through` which results (by their bits)."""
    leaves = {name: tensor.detach().requires_grad_(name in wanted) for name, tensor in tensors.items()}
    results = function(**leaves, **options)
    of = [leaves[name] for name in tensors if name in wanted]
    # not each result depends on each tensor
    total = torch.stack([0 * leaf.sum() for leaf in of]).sum()
    for place, result in enumerate(results):
        if through >> place & 1:
            total = total + result.sin().sum()
    gradients = torch.autograd.grad(total, of)
    return [value.detach().double().cpu() for value in (*results, *gradients)]


@pytest.mark.parametrize("sizes", LAYERS, ids=str)
def test_wavenet_layer(
    cuda: torch.device, dtype: torch.dtype, native_calls: Any, sizes: tuple[int, ...]
) -> None:
    with native_calls as calls:
        for optional, residual in LAYER_VARIANTS:
            tensors = draw_layer(sizes, optional, residual)
            options = {"dilation": sizes[4], "residual": residual}
            wanted = set(tensors)
            found = layer_results(
                wavenet_layer,
                {name: tensor.to(cuda, dtype) for name, tensor in tensors.items()},
                wanted,
                **options,
                backend="native",
            )
            assert_close(found, layer_results(unfused_layer, tensors, wanted, **options), dtype)
    name = str(dtype).removeprefix("torch.")
    ran = len(LAYER_VARIANTS) if cuda.type == "cuda" else 0
    assert calls[f"wavenet_layer_forward.{name}"] == calls[f"wavenet_layer_backward.{name}"] == ran


def test_wavenet_layer_with_some_gradients_only(cuda: torch.device) -> None:
    optional, residual = LAYER_VARIANTS[3]
    tensors = draw_layer(LAYERS[1], optional, residual)
    options = {"dilation": 4, "residual": True}
    on_device = {name: tensor.to(cuda) for name, tensor in tensors.items()}
    on_device["h"] = on_device["h"].transpose(1, 2).contiguous().transpose(1, 2)
    on_device["condition"] = on_device["condition"].transpose(0, 2).contiguous().transpose(0, 2)
    for name in tensors:
        for through in (1, 2, 4):
            found = layer_results(wavenet_layer, on_device, {name}, through=through, **options)
            exact = layer_results(unfused_layer, tensors, {name}, through=through, **options)
            assert_close(found, exact, torch.float64)


def test_wavenet_layer_without_rows(cuda: torch.device) -> None:
    for batch_size, steps in ((0, 5), (2, 0)):
        sizes = (batch_size, steps, *LAYERS[1][2:])
        tensors = draw_layer(sizes, ("state", "static_term"), True)
        on_device = {name: tensor.to(cuda) for name, tensor in tensors.items()}
        options = {"dilation": 4, "residual": True}
        found = layer_results(wavenet_layer, on_device, set(tensors), **options)
        exact = layer_results(unfused_layer, tensors, set(tensors), **options)
        assert_close(found, exact, torch.float64)


# ------------------------------------------------------------------------------------------------ elementwise


def test_activations(cuda: torch.device, cuda_ops: Any, dtype: torch.dtype) -> None:
    x = torch.linspace(-30, 30, 10001, device=cuda, dtype=torch.float64).to(dtype)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-15
    for name in ("sigmoid", "tanh"):
        found, exact = getattr(cuda_ops, name)(x), getattr(x.double(), name)()
        torch.testing.assert_close(found.double(), exact, rtol=tolerance, atol=0)


# ---------------------------------------------------------------------------------------------- of a GPU only


def test_gives_the_same_bits_twice(gpu: torch.device) -> None:
    tensors, options = convolutions((8, 3000, 20, 40, 1, 2, 8), "gate", True, True, seed=0)
    on_device = [None if tensor is None else tensor.to(gpu, torch.float32) for tensor in tensors]
    first = results_and_gradients(causal_conv1d, on_device, options)
    second = results_and_gradients(causal_conv1d, on_device, options)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_more_than_2_to_the_31_elements(gpu: torch.device) -> None:
    """Every offset beyond 2^31 is reached: x has 2^31 + 2^25 elements, the output as many."""
    if torch.cuda.mem_get_info()[0] < 48 << 30:
        pytest.skip("takes 48 GiB of GPU memory")
    batch_size, steps, size = 2080, 32768, 32
    x = torch.zeros(batch_size, steps, size, device=gpu)
    x[-1] = torch.randn(steps, size, device=gpu)
    weight = torch.randn(size, size, 2, device=gpu) / 8
    with torch.no_grad():
        found = causal_conv1d(x, weight, None, dilation=3, backend="native")[0][-1]
        expected = reference(x[-1:].clone(), weight, None, dilation=3)[0][0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_convolution_in_a_graph(gpu: torch.device, check_in_a_graph: Any) -> None:
    """Forward and backward are captured by the caller, and replayed with other inputs."""
    drawn, options = convolutions((2, 50, 8, 16, 1, 2, 3), "gate", True, True, seed=0)
    leaves = [tensor.to(gpu, torch.float32).requires_grad_() for tensor in drawn if tensor is not None]

    def run() -> list[Tensor]:
        x, weight, bias, state = leaves
        output, new_state = causal_conv1d(x, weight, bias, state=state, backend="native", **options)
        return [output, new_state, *torch.autograd.grad(output.square().sum(), leaves)]

    check_in_a_graph(run, leaves[0])
