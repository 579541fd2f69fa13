"""The WaveNet layer op: against the unfused composition, its derivatives, threads, tracing, errors."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import linear

from seqlight.ops import causal_conv1d, wavenet_layer

TOLERANCE = {torch.float32: 3e-5, torch.float64: 1e-12}
OPTIONAL = ("state", "skip", "condition", "condition_weight", "static_term")


@pytest.fixture
def restored_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def unfused(
    h: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    project_weight: Tensor,
    project_bias: Tensor,
    *,
    dilation: int,
    residual: bool,
    **optional: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The layer put together of the package's convolution and torch's functions."""
    before, new_state = causal_conv1d(
        h, conv_weight, conv_bias, dilation=dilation, state=optional.get("state"), backend="reference"
    )
    condition, weight = optional.get("condition"), optional.get("condition_weight")
    if condition is not None and weight is not None:
        before = before + linear(condition, weight)
    static_term, skip = optional.get("static_term"), optional.get("skip")
    if static_term is not None:
        before = before + static_term[:, None]
    channels = h.shape[2]
    unit = before[..., :channels].tanh() * before[..., channels:].sigmoid()
    projected = linear(unit, project_weight, project_bias)
    if residual:
        h, projected = h + projected[..., :channels], projected[..., channels:]
    return h, projected if skip is None else projected + skip, new_state


def draw(
    *,
    batch_size: int = 2,
    steps: int = 5,
    channels: int = 3,
    skip_size: int = 4,
    kernel_size: int = 2,
    dilation: int = 2,
    condition_size: int = 2,
    residual: bool = True,
    optional: tuple[str, ...] = OPTIONAL,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """The five tensors that every call has, and the optional ones by name."""
    generator = torch.Generator().manual_seed(seed)
    rows, scale = skip_size + (channels if residual else 0), channels**-0.5

    def random(*shape: int, scale: float = 1.0) -> Tensor:
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu") * scale
        return drawn.to(torch.get_default_device(), dtype)

    tensors = [
        random(batch_size, steps, channels),
        random(2 * channels, channels, kernel_size, scale=scale),
        random(2 * channels, scale=scale),
        random(rows, channels, scale=scale),
        random(rows, scale=scale),
    ]
    shapes = {
        "state": (batch_size, (kernel_size - 1) * dilation, channels),
        "skip": (batch_size, steps, skip_size),
        "condition": (batch_size, steps, condition_size),
        "condition_weight": (2 * channels, condition_size),
        "static_term": (batch_size, 2 * channels),
    }
    return tensors, {name: random(*shapes[name], scale=0.5) for name in optional}


def differentiated(
    function: Callable[..., Any], tensors: list[Tensor], optional: dict[str, Tensor], **options: Any
) -> dict[str, Tensor]:
    """Results and, of a loss that all of them are in, all gradients."""
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    named = {name: tensor.detach().requires_grad_() for name, tensor in optional.items()}
    results = function(*leaves, **named, **options)
    loss = sum(result.sin().sum() for result in results)
    inputs = {**{str(place): leaf for place, leaf in enumerate(leaves)}, **named}
    # T = 0: nothing depends on the weights
    grads = torch.autograd.grad(loss, tuple(inputs.values()), allow_unused=True, materialize_grads=True)
    return {
        **{f"result {place}": result.detach() for place, result in enumerate(results)},
        **{f"grad {name}": grad for name, grad in zip(inputs, grads, strict=True)},
    }


def assert_same(found: dict[str, Tensor], exact: dict[str, Tensor], dtype: torch.dtype) -> None:
    assert found.keys() == exact.keys()
    for name, right in exact.items():
        scale = max(0.1, right.abs().max().item()) if right.numel() else 1.0
        error = (found[name].double() - right).abs().max().item() if right.numel() else 0.0
        assert error <= TOLERANCE[dtype] * scale, (name, error)


@st.composite
def problems(draw_from: st.DrawFn) -> dict[str, Any]:
    optional = draw_from(st.sets(st.sampled_from(["state", "skip", "condition", "static_term"])))
    if "condition" in optional:
        optional.add("condition_weight")
    return {
        "batch_size": draw_from(st.sampled_from([0, 1, 2, 5])),
        "steps": draw_from(st.sampled_from([0, 1, 2, 9, 31, 100, 250])),
        "channels": draw_from(st.sampled_from([1, 2, 5, 8, 16, 20, 33, 50])),
        "skip_size": draw_from(st.sampled_from([1, 3, 16, 20, 40])),
        "kernel_size": draw_from(st.integers(1, 4)),
        "dilation": draw_from(st.sampled_from([1, 2, 3, 8, 40, 150])),
        "condition_size": draw_from(st.sampled_from([1, 3, 17])),
        "residual": draw_from(st.booleans()),
        "optional": tuple(name for name in OPTIONAL if name in optional),
        "dtype": draw_from(st.sampled_from([torch.float32, torch.float64])),
        "seed": draw_from(st.integers(0, 1000)),
    }


@pytest.mark.parametrize("backend", ["native", "reference"])
@given(problem=problems())
@settings(max_examples=80)
def test_equals_the_unfused_composition(device: torch.device, backend: str, problem: dict[str, Any]) -> None:
    """Results and all gradients."""
    tensors, optional = draw(**problem)
    options = {"dilation": problem["dilation"], "residual": problem["residual"]}
    found = differentiated(wavenet_layer, tensors, optional, backend=backend, **options)
    exact_tensors = [tensor.double() for tensor in tensors]
    exact_optional = {name: tensor.double() for name, tensor in optional.items()}
    assert_same(found, differentiated(unfused, exact_tensors, exact_optional, **options), problem["dtype"])


@pytest.mark.parametrize("residual", [True, False])
def test_first_and_second_derivatives(device: torch.device, residual: bool) -> None:
    tensors, optional = draw(residual=residual, channels=2, skip_size=2, condition_size=1, steps=4)
    leaves = [tensor.requires_grad_() for tensor in (*tensors, *optional.values())]

    def function(*leaves: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(OPTIONAL, leaves[5:], strict=True))
        results = wavenet_layer(*leaves[:5], dilation=2, residual=residual, backend="native", **named)
        return results if residual else results[1:]

    assert torch.autograd.gradcheck(function, leaves)
    assert torch.autograd.gradgradcheck(function, leaves)


@pytest.mark.parametrize("wanted", [*range(5), *OPTIONAL])
def test_each_gradient_alone(device: torch.device, wanted: int | str) -> None:
    found = []
    for function in (wavenet_layer, unfused):
        tensors, optional = draw(steps=20)
        leaf = (optional[wanted] if isinstance(wanted, str) else tensors[wanted]).requires_grad_()
        results = function(*tensors, dilation=2, residual=True, **optional)
        assert results[2].requires_grad == (wanted in (0, "state"))
        found.append(torch.autograd.grad(results[0].sin().sum() + results[1].sin().sum(), leaf))
    torch.testing.assert_close(*found, rtol=1e-11, atol=1e-12)


def test_gradient_of_the_state_alone(device: torch.device) -> None:
    found = []
    for function in (wavenet_layer, unfused):
        tensors, optional = draw(steps=3, kernel_size=3)
        leaves = (tensors[0].requires_grad_(), optional["state"].requires_grad_())
        new_state = function(*tensors, dilation=2, residual=True, **optional)[2]
        found.append(torch.autograd.grad(new_state.sin().sum(), leaves))
    torch.testing.assert_close(*found, rtol=1e-11, atol=1e-12)


def test_torch_func_and_vmap(device: torch.device) -> None:
    tensors, optional = draw()
    samples = torch.stack([tensors[0] + number for number in range(3)])

    def loss_of(function: Callable[..., Any]) -> Callable[..., Tensor]:
        def loss(h: Tensor, weight: Tensor) -> Tensor:
            results = function(h, weight, *tensors[2:], dilation=2, residual=True, **optional)
            return sum(result.sin().sum() for result in results)

        return loss

    for transform in (
        lambda loss: torch.vmap(torch.func.grad(loss, argnums=(0, 1)), (0, None))(samples, tensors[1]),
        lambda loss: torch.func.jvp(loss, tuple(tensors[:2]), tuple(tensors[:2])),
    ):
        torch.testing.assert_close(
            transform(loss_of(wavenet_layer)), transform(loss_of(unfused)), rtol=1e-11, atol=1e-12
        )


def test_runs_natively_and_backward_only_where_wanted(device: torch.device, native_calls: Any) -> None:
    tensors, optional = draw(dtype=torch.float32)
    with native_calls as calls:
        wavenet_layer(*tensors, dilation=2, **optional)
        tensors[1].requires_grad_()
        with torch.no_grad():
            wavenet_layer(*tensors, dilation=2, **optional)
        wavenet_layer(*tensors, dilation=2, **optional)[1].sum().backward()
    assert tensors[1].grad is not None
    assert (calls["wavenet_layer_forward.float32"], calls["wavenet_layer_backward.float32"]) == (3, 1)


@pytest.mark.parametrize("sizes", [(8, 100, 20), (1, 3000, 32)], ids=str)
def test_thread_counts_agree(native: ModuleType, restored_threads: None, sizes: tuple[int, int, int]) -> None:
    batch_size, steps, channels = sizes
    tensors, optional = draw(
        batch_size=batch_size, steps=steps, channels=channels, dilation=16, dtype=torch.float32
    )
    found = {}
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found[threads] = differentiated(wavenet_layer, tensors, optional, dilation=16, residual=True)
        assert native.last_thread_count() == threads
    for threads in (2, 3):
        for name, one in found[1].items():
            scale = one.abs().max().item()
            torch.testing.assert_close(found[threads][name], one, rtol=0, atol=3e-6 * scale)


@pytest.mark.parametrize("isa", ["base", "avx2"])
def test_lower_instruction_set(native: ModuleType, isa: str) -> None:
    order = ["base", "avx2", "avx512"]
    if platform.machine() not in ("x86_64", "AMD64") or order.index(native.cpu_isa()) < order.index(isa):
        pytest.skip(f"this processor does not run {isa}")
    run = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("wavenet_on_this_isa.py"))],
        env={**os.environ, "SEQLIGHT_CPU_ISA": isa, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [isa]


@pytest.mark.parametrize("residual", [True, False])
def test_opcheck(device: torch.device, residual: bool) -> None:
    tensors, optional = draw(residual=residual, dtype=torch.float32)
    h, conv_weight, _, project_weight, _ = tensors
    state, skip, condition, weight, static_term = optional.values()
    ops = torch.ops.seqlight
    arguments = (h, state, skip, *tensors[1:], condition, weight, static_term, 2, residual, True)
    torch.library.opcheck(ops.wavenet_layer_forward.default, arguments)
    h_next, skip_sum, new_state, activated = ops.wavenet_layer_forward(*arguments)
    for needs in ((True,) * 6, (False, True, False, True, False, True)):
        torch.library.opcheck(
            ops.wavenet_layer_backward.default,
            (
                torch.randn_like(h_next) if residual else None,
                torch.randn_like(skip_sum),
                torch.randn_like(new_state),
                h,
                state,
                conv_weight,
                project_weight,
                condition,
                weight,
                2,
                residual,
                activated,
                *needs,
            ),
        )


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles_and_exports(device: torch.device, native_calls: Any) -> None:
    tensors, optional = draw(steps=12)

    class Layer(torch.nn.Module):
        def forward(self, h: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
            return wavenet_layer(h, weight, *tensors[2:], dilation=2, **optional)

    torch._dynamo.reset()
    compiled = torch.compile(Layer(), fullgraph=True, backend="aot_eager")
    found = []
    with native_calls as calls:
        for function in (compiled, Layer()):
            leaves = [tensor.detach().requires_grad_() for tensor in tensors[:2]]
            results = function(*leaves)
            found.append(torch.autograd.grad(sum(result.sin().sum() for result in results), leaves))
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-13)
    assert calls["wavenet_layer_backward.float64"] == 2
    program = torch.export.export(Layer(), tuple(tensors[:2]))
    torch.testing.assert_close(program.module()(*tensors[:2]), Layer()(*tensors[:2]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_and_autocast(device: torch.device, dtype: torch.dtype) -> None:
    tensors, optional = draw(dtype=dtype)
    results = wavenet_layer(*tensors, dilation=2, **optional)
    assert {result.dtype for result in results} == {dtype}
    exact = wavenet_layer(
        *(tensor.float() for tensor in tensors),
        dilation=2,
        **{name: tensor.float() for name, tensor in optional.items()},
    )
    torch.testing.assert_close(results, tuple(result.to(dtype) for result in exact))
    with torch.autocast(device.type, dtype=torch.bfloat16):
        mixed = wavenet_layer(tensors[0], *(tensor.float() for tensor in tensors[1:]), dilation=2)
    assert {result.dtype for result in mixed} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"h": torch.zeros(2, 5, 4)}, "h expected [B, T, C] with C = 3 as in conv_weight, got [2, 5, 4]"),
        ({"conv_weight": torch.zeros(5, 3, 2)}, "conv_weight expected [2*C, C, K] with C and K at least 1"),
        ({"conv_bias": torch.zeros(3)}, "conv_bias expected [2*C] = [6], got [3]"),
        (
            {"project_weight": torch.zeros(3, 3)},
            "project_weight expected [C + S, C] with C = 3 and S at least 1",
        ),
        ({"state": torch.zeros(2, 1, 3)}, "state expected [B, (K-1)*dilation, C] = [2, 2, 3], got [2, 1, 3]"),
        ({"skip": torch.zeros(2, 5, 5)}, "skip expected [B, T, S] = [2, 5, 4], got [2, 5, 5]"),
        ({"condition": None}, "condition and condition_weight expected both or neither"),
        ({"static_term": torch.zeros(2, 5)}, "static_term expected [B, 2*C] = [2, 6], got [2, 5]"),
        ({"dilation": 0}, "dilation expected at least 1, got 0"),
    ],
)
def test_wrong_arguments(changes: dict[str, Any], message: str) -> None:
    tensors, optional = draw(dtype=torch.float32)
    names = ("h", "conv_weight", "conv_bias", "project_weight", "project_bias")
    arguments = {**dict(zip(names, tensors, strict=True)), **optional, "dilation": 2, **changes}
    with pytest.raises(ValueError, match="^" + re.escape("wavenet_layer: " + message)):
        wavenet_layer(**arguments)
