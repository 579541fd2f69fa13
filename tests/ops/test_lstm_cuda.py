"""The CUDA operators: on a GPU where there is one, and their logic on the CPU everywhere.

Without a GPU, or with a build that has no CUDA kernels, the device tests are skipped and say so;
``SEQLIGHT_REQUIRE_CUDA=1`` makes that a failure. The same source, compiled without nvcc, runs each kernel
element by element on the CPU: that tests all but what only a GPU can get wrong (launches, streams, cuBLAS).
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor

from seqlight import _extension
from seqlight.ops import lstm, reference
from seqlight.ops.lstm import native_lstm as cell

CSRC = Path(__file__).resolve().parents[2] / "csrc"
NAMES = ("x", "h0", "c0", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_peephole")
SIZES = [(1, 1, 1, 1), (3, 7, 2, 4), (5, 12, 3, 6), (33, 9, 17, 65)]
# Largest error allowed, relative to the largest element of the float64 result, as for the CPU kernels.
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}

Draw = Callable[..., list[Tensor]]
Lstm = Callable[..., tuple[Tensor, Tensor, Tensor]]


def results_and_gradients(
    function: Lstm, tensors: list[Tensor | None], lengths: Tensor | None, reverse: bool, seed: int
) -> dict[str, Tensor]:
    """Outputs and, for random output gradients, the gradients of all tensors, in float64 on the CPU."""
    leaves = [None if t is None else t.detach().requires_grad_() for t in tensors]
    outputs = function(*leaves, lengths=lengths, reverse=reverse)
    generator = torch.Generator().manual_seed(seed)
    grads = [torch.randn(out.shape, generator=generator, dtype=torch.float64).to(out) for out in outputs]
    present = [leaf for leaf in leaves if leaf is not None]
    gradients = torch.autograd.grad(outputs, present, grads)
    names = [f"grad {name}" for name, leaf in zip(NAMES, leaves, strict=True) if leaf is not None]
    named = dict(zip(["output", "h_n", "c_n", *names], [*outputs, *gradients], strict=True))
    return {name: value.detach().double().cpu() for name, value in named.items()}


def arguments(
    draw: Draw, sizes: tuple[int, int, int, int], *, bias: bool, peephole: bool, ragged: bool, seed: int = 0
) -> tuple[list[Tensor | None], Tensor | None]:
    """The op's tensors in float64, and lengths if ``ragged``, with NaN where no row reaches."""
    tensors: list[Tensor | None] = [*draw(*sizes, dtype=torch.float64, seed=seed)]
    if not bias:
        tensors[5:7] = None, None
    if not peephole:
        tensors[7] = None
    if not ragged:
        return tensors, None
    batch_size, steps = sizes[:2]
    lengths = torch.arange(batch_size) * steps // max(1, batch_size - 1)  # from 0 to T
    x = tensors[0]
    assert x is not None
    x[torch.arange(steps) >= lengths[:, None]] = torch.nan
    return tensors, lengths


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], dtype: torch.dtype) -> None:
    for name, value in expected.items():
        error = (found[name] - value).abs().max() / value.abs().max().clamp(min=1e-30) if value.numel() else 0
        assert error <= TOLERANCE[dtype], f"{name}: {error}"


VARIANTS = list(product((False, True), repeat=4))  # bias, peephole, ragged, reverse


# ------------------------------------------------------------------------------------------------ on the CPU


@pytest.fixture(scope="module")
def cuda_source_on_cpu(native, tmp_path_factory) -> Iterator[Lstm]:
    """The LSTM by csrc/cuda/lstm.cu, compiled for the CPU with chunks of very few steps."""
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"CUDA LOGIC UNTESTED: no compiler {compiler[0]}")
    from torch.utils.cpp_extension import include_paths, library_paths

    folder = tmp_path_factory.mktemp("cuda_on_cpu")
    schemas = [
        str(getattr(torch.ops.seqlight, name).default._schema) for name in ("lstm_forward", "lstm_backward")
    ]
    definitions = "".join(f'  m.def("{schema.removeprefix("seqlight::")}");\n' for schema in schemas)
    source = folder / "cuda_on_cpu.cpp"
    source.write_text(
        f'#include "cuda/lstm.cu"\n#include "call_counts.cpp"\n'
        f"STABLE_TORCH_LIBRARY(seqlight_cuda_on_cpu, m) {{\n{definitions}}}\n"
        "STABLE_TORCH_LIBRARY_IMPL(seqlight_cuda_on_cpu, CPU, m) {\n"
        '  m.impl("lstm_forward", TORCH_BOX(&seqlight::lstm_forward));\n'
        '  m.impl("lstm_backward", TORCH_BOX(&seqlight::lstm_backward));\n}\n'
    )
    standard = "c++20" if torch.__version__ >= "2.13" else "c++17"
    options = [
        f"-std={standard}",
        "-O1",
        "-shared",
        "-fPIC",
        "-fvisibility=hidden",
        "-Wall",
        "-Wextra",
        "-Werror",
    ]
    macros = ["-DTORCH_TARGET_VERSION=0x020b000000000000", "-DSEQLIGHT_CUDA_CHUNK=500"]
    includes = [flag for path in include_paths() for flag in ("-isystem", path)]
    libraries = [*(f"-L{path}" for path in library_paths()), "-ltorch", "-ltorch_cpu", "-lc10"]
    library = folder / "cuda_on_cpu.so"
    command = [
        *compiler,
        *options,
        *macros,
        f"-I{CSRC}",
        *includes,
        str(source),
        "-o",
        str(library),
        *libraries,
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-3000:]
    torch.ops.load_library(library)

    def run(*tensors: Tensor | None, lengths: Tensor | None, reverse: bool) -> tuple[Tensor, Tensor, Tensor]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cell, "forward_op", torch.ops.seqlight_cuda_on_cpu.lstm_forward.default)
            output, h_n, c_n = cell((*tensors, None), (None, None, lengths), 0.0, 0.0, reverse)
        return output, h_n, c_n

    # backward runs when the caller takes gradients, so this one stays for the module's tests
    patch = pytest.MonkeyPatch()
    patch.setattr(cell, "backward_op", torch.ops.seqlight_cuda_on_cpu.lstm_backward.default)
    yield run
    patch.undo()


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_logic_agrees_with_the_reference(cuda_source_on_cpu, lstm_arguments, sizes):
    for number, (bias, peephole, ragged, reverse) in enumerate(VARIANTS):
        tensors, lengths = arguments(
            lstm_arguments, sizes, bias=bias, peephole=peephole, ragged=ragged, seed=number
        )
        found = results_and_gradients(cuda_source_on_cpu, tensors, lengths, reverse, number)
        expected = results_and_gradients(reference.lstm, tensors, lengths, reverse, number)
        assert_close(found, expected, torch.float64)


def test_logic_without_gradients_and_with_strided_input(cuda_source_on_cpu, lstm_arguments):
    tensors = lstm_arguments(4, 6, 3, 5, dtype=torch.float64)
    tensors[0] = tensors[0].transpose(0, 1).contiguous().transpose(0, 1)
    tensors[4] = tensors[4].t().contiguous().t()
    with torch.no_grad():
        found = cuda_source_on_cpu(*tensors, lengths=None, reverse=False)
        torch.testing.assert_close(found, reference.lstm(*tensors), rtol=0, atol=1e-13)


def test_logic_with_no_rows(cuda_source_on_cpu, lstm_arguments):
    found = results_and_gradients(cuda_source_on_cpu, lstm_arguments(0, 3, 2, 4), None, False, 0)
    assert found["output"].shape == (0, 3, 4)
    assert not found["grad weight_hh"].any() and found["grad weight_hh"].shape == (16, 4)


def test_logic_keeps_its_dtype_under_autocast(cuda_source_on_cpu, lstm_arguments):
    with torch.autocast("cpu"):
        leaves = [t.requires_grad_() for t in lstm_arguments(3, 4, 2, 5)]
        outputs = cuda_source_on_cpu(*leaves, lengths=None, reverse=False)
        gradients = torch.autograd.grad(outputs[0].sum(), leaves)
    assert {t.dtype for t in (*outputs, *gradients)} == {torch.float32}


# -------------------------------------------------------------------------------------------------- on a GPU


@pytest.fixture
def cuda(native_calls) -> torch.device:
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
    return torch.device("cuda")


def to_device(tensors: list[Tensor | None], device: torch.device, dtype: torch.dtype) -> list[Tensor | None]:
    return [None if t is None else t.to(device, dtype) for t in tensors]


def native_lstm(*tensors: Tensor | None, **options: object) -> tuple[Tensor, Tensor, Tensor]:
    return lstm(*tensors, backend="native", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_gpu_agrees_with_the_reference(cuda, native_calls, lstm_arguments, sizes, dtype):
    with native_calls as calls:
        for number, (bias, peephole, ragged, reverse) in enumerate(VARIANTS):
            tensors, lengths = arguments(
                lstm_arguments, sizes, bias=bias, peephole=peephole, ragged=ragged, seed=number
            )
            expected = results_and_gradients(reference.lstm, tensors, lengths, reverse, number)
            on_device = to_device(tensors, cuda, dtype)
            on_device_lengths = None if lengths is None else lengths.to(cuda)
            found = results_and_gradients(native_lstm, on_device, on_device_lengths, reverse, number)
            assert_close(found, expected, dtype)
    name = str(dtype).removeprefix("torch.")
    assert calls[f"lstm_forward.{name}"] == calls[f"lstm_backward.{name}"] == len(VARIANTS)


def test_gpu_agrees_with_torch(cuda, lstm_arguments):
    tensors = to_device([*lstm_arguments(8, 30, 5, 32)[:7], None], cuda, torch.float32)
    layer = torch.nn.LSTM(5, 32, batch_first=True, device=cuda)
    with torch.no_grad():
        for parameter, value in zip(layer.parameters(), tensors[3:7], strict=True):
            parameter.copy_(value)
        expected = layer(tensors[0], (tensors[1][None], tensors[2][None]))[0]
        found = native_lstm(*tensors)[0]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_gpu_gives_the_same_bits_twice(cuda, lstm_arguments):
    tensors = to_device(lstm_arguments(17, 50, 9, 33), cuda, torch.float32)
    first = results_and_gradients(native_lstm, tensors, None, False, 0)
    second = results_and_gradients(native_lstm, tensors, None, False, 0)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_gpu_runs_on_the_current_stream(cuda, lstm_arguments):
    tensors = to_device(lstm_arguments(64, 200, 32, 128), cuda, torch.float32)
    expected = native_lstm(*tensors)[0]
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)  # the input is written behind this, in order on the same stream
        tensors[0] = tensors[0] * 2 / 2
        found = native_lstm(*tensors)[0]
    stream.synchronize()
    torch.testing.assert_close(found, expected)


def test_gpu_keeps_long_sequences_in_chunks(cuda, lstm_arguments):
    tensors = to_device(lstm_arguments(64, 300, 4, 512), cuda, torch.float32)  # 64 * 2048 * 300 > 2^24
    before = [t.clone() for t in tensors]
    found = native_lstm(*tensors)[0]
    torch.testing.assert_close(found, reference.lstm(*tensors)[0], rtol=1e-4, atol=1e-5)
    assert all(torch.equal(t, old) for t, old in zip(tensors, before, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_gpu_computes_half_precision_in_float32(cuda, native_calls, lstm_arguments, dtype):
    tensors = to_device(lstm_arguments(4, 6, 3, 8), cuda, dtype)
    with native_calls as calls:
        output = native_lstm(*tensors)[0]
    assert output.dtype == dtype and calls["lstm_forward.float32"] == 1
    expected = reference.lstm(*(t.float() for t in tensors))[0]
    torch.testing.assert_close(output, expected.to(dtype))


def test_gpu_refuses_tensors_of_another_device(cuda, lstm_arguments):
    tensors = to_device(lstm_arguments(2, 3, 2, 4), cuda, torch.float32)
    tensors[4] = tensors[4].cpu()
    with pytest.raises(ValueError, match="weight_hh"):
        native_lstm(*tensors)
