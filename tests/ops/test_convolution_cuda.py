"""The CUDA operators of the convolutions: on a GPU where there is one, and their logic on the CPU everywhere.

Without a GPU, or with a build that has no CUDA kernels, the device tests are skipped and say so;
``SEQLIGHT_REQUIRE_CUDA=1`` makes that a failure. The same sources, compiled without nvcc, run each kernel
element by element on the CPU: that tests all but what only a GPU can get wrong (launches, streams).
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from seqlight import _extension, use_backend
from seqlight.nn import WaveNet
from seqlight.ops import causal_conv1d, causal_conv1d_native, wavenet_generate
from seqlight.ops.causal_conv1d_reference import causal_conv1d as reference

CSRC = Path(__file__).resolve().parents[2] / "csrc"
OPS = ("causal_conv1d_forward", "causal_conv1d_backward", "wavenet_generate")
# Largest error allowed, relative to the largest element of the float64 result, as for the CPU kernels.
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}
# B, T, channels in and out of a group, groups, K, dilation
SIZES = [(1, 1, 1, 2, 1, 1, 1), (2, 9, 3, 4, 1, 2, 3), (3, 7, 2, 4, 3, 4, 5), (2, 600, 5, 6, 1, 3, 16)]
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


def check_convolutions(sizes: tuple[int, ...], device: str, dtype: torch.dtype) -> None:
    for number, variant in enumerate(VARIANTS):
        tensors, options = convolutions(sizes, *variant, seed=number)
        found = results_and_gradients(
            causal_conv1d,
            [None if tensor is None else tensor.to(device, dtype) for tensor in tensors],
            {**options, "backend": "native"},
        )
        assert_close(found, results_and_gradients(reference, tensors, options), dtype)


NETS: list[dict[str, Any]] = [
    {},
    {"kernel_size": 3, "skip_size": 7, "condition_size": 3, "static_size": 2},
    {"kernel_size": 1},
    {"gated": False},
    {"gated": False, "num_blocks": 1, "layers_per_block": 1},
]


def check_generation(options: dict[str, Any], device: str) -> None:
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


# ------------------------------------------------------------------------------------------------ on the CPU


@pytest.fixture(scope="module")
def cuda_sources_on_cpu(native: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The native ops by csrc/cuda/*.cu, compiled for the CPU."""
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"CUDA LOGIC UNTESTED: no compiler {compiler[0]}")
    from torch.utils.cpp_extension import include_paths, library_paths

    folder = tmp_path_factory.mktemp("convolution_cuda_on_cpu")
    space = "seqlight_convolution_cuda_on_cpu"
    libraries = []
    for file, names in (("causal_conv1d", OPS[:2]), ("wavenet_generate", OPS[2:])):
        schemas = [str(getattr(torch.ops.seqlight, name).default._schema) for name in names]
        definitions = "".join(f'  m.def("{schema.removeprefix("seqlight::")}");\n' for schema in schemas)
        registrations = "".join(f'  m.impl("{name}", TORCH_BOX(&seqlight::{name}));\n' for name in names)
        source = folder / f"{file}.cpp"
        source.write_text(
            f'#include "cuda/{file}.cu"\n#include "call_counts.cpp"\n'
            f"STABLE_TORCH_LIBRARY_FRAGMENT({space}, m) {{\n{definitions}}}\n"
            f"STABLE_TORCH_LIBRARY_IMPL({space}, CPU, m) {{\n{registrations}}}\n"
        )
        library = folder / f"{file}.so"
        standard = "c++20" if torch.__version__ >= "2.13" else "c++17"
        command = [
            *compiler,
            *(f"-std={standard}", "-O0", "-shared", "-fPIC", "-fvisibility=hidden"),
            *("-Wall", "-Wextra", "-Werror", "-DTORCH_TARGET_VERSION=0x020b000000000000", f"-I{CSRC}"),
            *(flag for path in include_paths() for flag in ("-isystem", path)),
            *(str(source), "-o", str(library)),
            *(f"-L{path}" for path in library_paths()),
            *("-ltorch", "-ltorch_cpu", "-lc10"),
        ]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr[-3000:]
        libraries.append(library)
    for library in libraries:
        torch.ops.load_library(library)
    ops = getattr(torch.ops, space)
    patch = pytest.MonkeyPatch()
    patch.setattr(causal_conv1d_native, "_forward_op", ops.causal_conv1d_forward.default)
    patch.setattr(causal_conv1d_native, "_backward_op", ops.causal_conv1d_backward.default)
    patch.setattr(wavenet_generate_module(), "_op", ops.wavenet_generate.default)
    yield
    patch.undo()


def wavenet_generate_module() -> Any:
    """The module, which the function of the same name hides in the package."""
    import sys

    return sys.modules[wavenet_generate.__module__]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_logic_of_the_convolution(cuda_sources_on_cpu: None, native: Any, sizes: tuple[int, ...]) -> None:
    before = native.call_counts()
    check_convolutions(sizes, "cpu", torch.float64)
    assert native.call_counts() == before, "the CPU's own kernels ran"


@pytest.mark.parametrize("options", NETS, ids=str)
def test_logic_of_generation(cuda_sources_on_cpu: None, native: Any, options: dict[str, Any]) -> None:
    before = native.call_counts().get("wavenet_generate.float64", 0)
    check_generation(options, "cpu")
    assert native.call_counts().get("wavenet_generate.float64", 0) == before, "the CPU's own kernel ran"


def test_logic_with_strides_and_without_rows(cuda_sources_on_cpu: None) -> None:
    tensors, options = convolutions((2, 9, 3, 4, 1, 2, 3), "gate", True, True, seed=0)
    x, weight, bias, state = (tensor for tensor in tensors if tensor is not None)
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
    assert torch.equal(short[1], state)


# -------------------------------------------------------------------------------------------------- on a GPU


@pytest.fixture
def cuda(native: Any) -> str:
    """The GPU, if this machine has one and this build has kernels for it."""
    missing = None
    if not torch.cuda.is_available():
        missing = "torch finds no CUDA device"
    elif not _extension.build_info().get("cuda"):
        missing = f"no CUDA kernels were built ({_extension.build_info().get('cuda_reason')})"
    if missing is not None:
        if os.environ.get("SEQLIGHT_REQUIRE_CUDA") == "1":
            pytest.fail(f"SEQLIGHT_REQUIRE_CUDA=1, but {missing}")
        pytest.skip(f"CUDA KERNELS UNTESTED: {missing}; SEQLIGHT_REQUIRE_CUDA=1 makes this a failure")
    return "cuda"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_gpu_convolution(cuda: str, sizes: tuple[int, ...], dtype: torch.dtype) -> None:
    check_convolutions(sizes, cuda, dtype)


@pytest.mark.parametrize("options", NETS, ids=str)
def test_gpu_generation(cuda: str, options: dict[str, Any]) -> None:
    check_generation(options, cuda)


def test_gpu_gives_the_same_bits_twice(cuda: str) -> None:
    tensors, options = convolutions((8, 3000, 20, 40, 1, 2, 8), "gate", True, True, seed=0)
    on_device = [None if tensor is None else tensor.to(cuda, torch.float32) for tensor in tensors]
    first = results_and_gradients(causal_conv1d, on_device, options)
    second = results_and_gradients(causal_conv1d, on_device, options)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
