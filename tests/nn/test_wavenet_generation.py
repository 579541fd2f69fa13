"""Generation by a WaveNet: against its steps, native against reference, its random draws, errors."""

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seqlight import use_backend
from seqlight.nn import WaveNet

SEED = torch.tensor([2**40 + 3])


def build(channels: int, dtype: torch.dtype = torch.float64, **options: Any) -> WaveNet:
    torch.manual_seed(0)
    sizes = {"hidden_size": 5, "num_blocks": 2, "layers_per_block": 3}
    return WaveNet(channels, channels, **{**sizes, **options}).to(dtype)


def draw_arguments(net: WaveNet, head: str, batch_size: int, length: int, steps: int) -> dict[str, Any]:
    """A prompt, and conditions where the net wants them."""
    dtype = next(net.parameters()).dtype
    arguments: dict[str, Any] = {"prompt": torch.randn(batch_size, length, net.input_size, dtype=dtype)}
    if head == "categorical":
        arguments = {"prompt": torch.randint(0, net.input_size, (batch_size, length))}
    if net.condition_size:
        arguments["condition"] = torch.randn(batch_size, length + steps - 1, net.condition_size, dtype=dtype)
    if net.static_size:
        arguments["static"] = torch.randn(batch_size, net.static_size, dtype=dtype)
    return {**arguments, "steps": steps, "head": head, "seed": SEED}


FORMS: list[dict[str, Any]] = [
    {},
    {"kernel_size": 3, "skip_size": 7, "condition_size": 3, "static_size": 2},
    {"kernel_size": 1, "hidden_size": 3},
    {"gated": False},
    {"gated": False, "num_blocks": 1, "layers_per_block": 1},
]


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_each_output_is_the_next_input(native: ModuleType, form: dict[str, Any], backend: str) -> None:
    """The same values come out of ``step``, fed with its own outputs."""
    net = build(2, **form)
    arguments = draw_arguments(net, "regression", 3, 4, 20)
    with use_backend(backend):
        generated, state = net.generate(**arguments)
    prompt, condition, static = (arguments.get(name) for name in ("prompt", "condition", "static"))
    expected, running = [], None
    for t in range(4 + 20 - 1):
        x_t = prompt[:, t] if t < 4 else expected[t - 4]
        now = None if condition is None else condition[:, t]
        output, running = net.step(x_t, running, condition=now, static=static)
        if t >= 3:
            expected.append(output)
    torch.testing.assert_close(generated, torch.stack(expected, 1))
    for ours, right in zip(state, running, strict=True):
        torch.testing.assert_close(ours, right)


@st.composite
def problems(draw_from: st.DrawFn) -> dict[str, Any]:
    gated = draw_from(st.booleans())
    optional = {
        "skip_size": draw_from(st.sampled_from([None, 1, 9, 40])),
        "condition_size": draw_from(st.sampled_from([0, 0, 3])),
        "static_size": draw_from(st.sampled_from([0, 0, 2])),
    }
    return {
        "channels": draw_from(st.sampled_from([1, 2, 7, 16, 33, 150])),
        "options": {
            "hidden_size": draw_from(st.sampled_from([1, 2, 5, 16, 20, 33, 70, 150])),
            "num_blocks": draw_from(st.integers(1, 2)),
            "layers_per_block": draw_from(st.integers(1, 4)),
            "kernel_size": draw_from(st.integers(1, 4)),
            "gated": gated,
            **(optional if gated else {}),
        },
        "batch_size": draw_from(st.integers(0, 7)),
        "length": draw_from(st.sampled_from([1, 2, 5, 30])),
        "steps": draw_from(st.sampled_from([0, 1, 2, 11, 40])),
        "head": draw_from(st.sampled_from(["regression", "categorical"])),
        "dtype": draw_from(st.sampled_from([torch.float32, torch.float64])),
    }


@given(problem=problems())
@settings(max_examples=60)
def test_native_equals_the_reference(native: ModuleType, problem: dict[str, Any]) -> None:
    """To rounding, and the same classes: no draw here falls within rounding of a border."""
    dtype, head = problem["dtype"], problem["head"]
    net = build(problem["channels"], dtype, **problem["options"])
    arguments = draw_arguments(net, head, problem["batch_size"], problem["length"], problem["steps"])
    before = native.call_counts()
    with use_backend("native"):
        ours, state = net.generate(**arguments)
    name = "wavenet_generate." + str(dtype).removeprefix("torch.")
    assert native.call_counts().get(name, 0) - before.get(name, 0) == (1 if problem["batch_size"] else 0)
    with use_backend("reference"):
        exact, exact_state = net.generate(**arguments)
    tolerance = {"rtol": 0, "atol": 2e-5 if dtype == torch.float32 else 1e-12}
    torch.testing.assert_close(ours, exact, **tolerance)
    for part, right in zip(state, exact_state, strict=True):
        torch.testing.assert_close(part, right, **tolerance)


@pytest.mark.parametrize("head", ["regression", "categorical"])
def test_generation_goes_on_from_its_state(native: ModuleType, head: str) -> None:
    net = build(4, condition_size=3)
    arguments = draw_arguments(net, head, 2, 3, 12)
    whole, final = net.generate(**arguments)
    condition = arguments.pop("condition")
    first, state = net.generate(**{**arguments, "steps": 5}, condition=condition[:, :7])
    rest = {**arguments, "prompt": first[:, -1:], "steps": 7}
    second, state = net.generate(**rest, state=state, condition=condition[:, 7:])
    assert torch.equal(first, whole[:, :5])
    if head == "regression":  # draws begin again at step 0
        torch.testing.assert_close(second, whole[:, 5:])
        for ours, right in zip(state, final, strict=True):
            torch.testing.assert_close(ours, right)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_classes_follow_the_softmax(native: ModuleType, backend: str) -> None:
    """A net whose logits are its last bias draws classes by their probabilities."""
    net = build(3)
    net.head[-1].weight.data.zero_()
    net.head[-1].bias.data.copy_(torch.tensor([0.0, 1.0, -1.0]))
    steps = 4000 if backend == "native" else 300
    for temperature in (1.0, 0.5):
        with use_backend(backend):
            classes, _ = net.generate(
                torch.zeros(1, 1, dtype=torch.int64),
                steps,
                head="categorical",
                temperature=temperature,
                seed=SEED,
            )
        expected = steps * (net.head[-1].bias / temperature).softmax(0)
        counts = torch.bincount(classes[0], minlength=3)
        assert (
            (counts - expected) ** 2 / expected
        ).sum() < 13.9  # the 0.999 quantile of chi-squared, 2 degrees


def test_seeds(native: ModuleType) -> None:
    net = build(20)

    def generate(seed: Tensor | None) -> Tensor:
        return net.generate(torch.zeros(3, 1, dtype=torch.int64), 30, head="categorical", seed=seed)[0]

    assert torch.equal(generate(SEED), generate(SEED)) and not torch.equal(generate(SEED), generate(SEED + 1))
    assert not torch.equal(generate(SEED)[0], generate(SEED)[1]), "rows draw their own numbers"
    torch.manual_seed(1)
    drawn = generate(None)
    torch.manual_seed(1)
    assert torch.equal(generate(None), drawn)


def test_classes_stand_for_one_hot_vectors(native: ModuleType) -> None:
    net = build(6)
    classes = torch.randint(0, 6, (2, 9))
    vectors = torch.nn.functional.one_hot(classes, 6).double()
    assert torch.equal(net(classes)[0], net(vectors)[0])
    assert torch.equal(net.step(classes[:, 0])[0], net.step(vectors[:, 0])[0])
    with pytest.raises(ValueError, match=re.escape("WaveNet: x expected classes in 0 ... 5, got 6")):
        net(classes + 6 - classes.amax() + 0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_computed_in_float32(native: ModuleType, dtype: torch.dtype) -> None:
    net = build(2, dtype)
    prompt = torch.randn(2, 3, 2, dtype=dtype)
    generated, state = net.generate(prompt, 5)
    assert generated.dtype == dtype and {part.dtype for part in state} == {dtype}
    assert generated.isfinite().all() and not generated.requires_grad


def test_not_a_number_goes_through(native: ModuleType) -> None:
    net = build(3)
    prompt = torch.zeros(2, 2, 3, dtype=torch.float64)
    prompt[1, 0, 0] = torch.nan
    generated, _ = net.generate(prompt, 4)
    assert generated[0].isfinite().all() and generated[1, 0].isnan().all()
    for backend in ("native", "reference"):
        with use_backend(backend):
            classes, _ = net.generate(prompt, 4, head="categorical", seed=SEED)
        assert (classes[1] == 2).all()


def test_rows_are_divided_among_threads(native: ModuleType) -> None:
    net = build(20, torch.float32, hidden_size=64)
    prompt = torch.randn(9, 2, 20)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone, _ = net.generate(prompt, 30)
        torch.set_num_threads(2)
        shared, _ = net.generate(prompt, 30)
        assert native.last_thread_count() == 2
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(shared, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda net, x: net.generate(x[:, :0], 3),
            "WaveNet: prompt expected [B, T, C], or int64 classes [B, T], with at least one",
        ),
        (lambda net, x: net.generate(x, -1), "WaveNet: steps expected an integer of at least 0, got -1"),
        (lambda net, x: net.generate(x, 3, head="argmax"), "wavenet_generate: head expected 'regression' or"),
        (
            lambda net, x: net.generate(x, 3, head="categorical", temperature=0.0),
            "wavenet_generate: temperature expected a positive finite number, got 0.0",
        ),
        (
            lambda net, x: net.generate(x, 3, head="categorical", seed=torch.tensor([1, 2])),
            "wavenet_generate: seed expected [1] = [1], got [2]",
        ),
        (
            lambda net, x: net.generate(x, 3, condition=x),
            "WaveNet: condition expected None, since the net was made",
        ),
        (
            lambda net, x: net.generate(x, 3, net(x)[1][:2]),
            "WaveNet: state expected 7 tensors, one per convolution",
        ),
        (
            lambda net, x: WaveNet(3, 4).double().generate(x, 3),
            "wavenet_generate: weights expected of a net with as many outputs as inputs",
        ),
        (
            lambda net, x: WaveNet(3, 3, condition_size=2).double().generate(x, 3, condition=x[..., :2]),
            "WaveNet: condition expected [B, T + steps - 1, condition_size] = [2, 6, 2], got [2, 4, 2]",
        ),
    ],
)
def test_wrong_calls(call: Callable[..., Any], message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        call(build(3), torch.zeros(2, 4, 3, dtype=torch.float64))
