"""The recurrent operators' CUDA sources, compiled for the CPU (cuda_sources.py) and on a GPU."""

from typing import Any

import pytest
import torch
from torch import Tensor

from seqlight import ops
from seqlight.nn import GRU, LSTM, RNN
from seqlight.ops import reference

# Largest error allowed, relative to the largest element of the float64 result. Layer norm magnifies rounding.
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}
NORM_TOLERANCE = {torch.float32: 2e-4, torch.float64: 5e-12}
SIZES = [(1, 1, 1, 1), (5, 12, 3, 6), (9, 9, 17, 65)]
#: bias, ragged lengths, reverse, hidden mask, and zoneout: None, the expectation, or drawn
VARIANTS = [
    (True, False, False, False, None),
    (False, True, True, True, "drawn"),
    (True, True, False, False, "drawn"),
    (True, False, True, True, "expected"),
    (False, True, True, False, "expected"),
    (True, True, True, False, None),
    (True, False, False, True, None),
]
Sizes = tuple[int, int, int, int]


def draw(
    cell: Any, sizes: Sizes, variant: tuple[Any, ...], seed: int
) -> tuple[list[Tensor | None], dict[str, Any]]:
    """The tensors of ``cell.names`` and the options, in float64; NaN where no row reaches."""
    bias, ragged, reverse, masked, zoneout = variant
    batch_size, steps, _, hidden_size = sizes
    tensors: list[Tensor | None] = [*cell.arguments(*sizes, dtype=torch.float64, seed=seed)]
    if not bias:
        tensors[cell.place("bias_ih")] = tensors[cell.place("bias_hh")] = None
    options: dict[str, Any] = {"reverse": reverse}
    options |= cell.noise(
        batch_size,
        hidden_size,
        masked=masked,
        zoneout=0.3 if zoneout else 0,
        seeded=zoneout == "drawn",
        seed=seed,
    )
    if ragged:
        lengths = torch.arange(batch_size) * steps // max(1, batch_size - 1)  # from 0 to T
        x = tensors[0]
        assert x is not None
        x[torch.arange(steps) >= lengths[:, None]] = torch.nan
        options["lengths"] = lengths
    return tensors, options


def moved(value: Any, device: torch.device, dtype: torch.dtype) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value.to(device, dtype if value.is_floating_point() else None)


def results_and_gradients(
    cell: Any, function: Any, tensors: list[Tensor | None], options: dict[str, Any]
) -> dict[str, Tensor]:
    """Outputs and, for random output gradients, the gradients of all tensors, in float64 on the CPU."""
    leaves = [None if t is None else t.detach().requires_grad_() for t in tensors]
    outputs = function(*leaves, **options)
    generator = torch.Generator().manual_seed(0)
    grads = [torch.randn(out.shape, generator=generator, dtype=torch.float64).to(out) for out in outputs]
    present = [leaf for leaf in leaves if leaf is not None]
    gradients = torch.autograd.grad(outputs, present, grads)
    names = [f"grad {name}" for name, leaf in zip(cell.names, leaves, strict=True) if leaf is not None]
    named = dict(zip([*cell.result_names, *names], [*outputs, *gradients], strict=True))
    return {name: value.detach().double().cpu() for name, value in named.items()}


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    for name, value in expected.items():
        error = (found[name] - value).abs().max() / value.abs().max().clamp(min=0.01) if value.numel() else 0
        assert error <= tolerance, f"{name}: {error}"


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_agrees_with_the_reference(
    cuda: torch.device, dtype: torch.dtype, native_calls: Any, every_cell: Any, sizes: Sizes
) -> None:
    tolerance = (NORM_TOLERANCE if every_cell.layer_norm else TOLERANCE)[dtype]
    with native_calls as calls:
        for number, variant in enumerate(VARIANTS):
            tensors, options = draw(every_cell, sizes, variant, number)
            expected = results_and_gradients(every_cell, every_cell.reference, tensors, options)
            on_device = {name: moved(value, cuda, dtype) for name, value in options.items()}
            found = results_and_gradients(
                every_cell,
                every_cell,
                [moved(tensor, cuda, dtype) for tensor in tensors],
                {**on_device, "backend": "native"},
            )
            assert_close(found, expected, tolerance)
    name = str(dtype).removeprefix("torch.")
    ran = len(VARIANTS) if cuda.type == "cuda" else 0  # else the CPU's own kernels ran
    assert calls[f"{every_cell.op}_forward.{name}"] == calls[f"{every_cell.op}_backward.{name}"] == ran


def on_device(
    cell: Any, sizes: Sizes, device: torch.device, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    return [tensor.to(device, dtype) for tensor in cell.arguments(*sizes, dtype=torch.float64)]


def test_without_gradients_and_with_strides(cuda: torch.device, every_cell: Any) -> None:
    tensors = on_device(every_cell, (4, 6, 3, 5), cuda)
    tensors[0] = tensors[0].transpose(0, 1).contiguous().transpose(0, 1)
    place = every_cell.place("weight_hh")
    tensors[place] = tensors[place].t().contiguous().t()
    with torch.no_grad():
        found = every_cell(*tensors, backend="native")
        torch.testing.assert_close(found, every_cell.reference(*tensors), rtol=0, atol=1e-12)


def test_gradients_of_some_arguments_only(cuda: torch.device, cell: Any) -> None:
    tensors = on_device(cell, (4, 6, 3, 5), cuda)
    for wanted in (["x"], ["h0"], ["weight_hh"], cell.names[-1:]):
        gradients = []
        for function in (cell, cell.reference):
            leaves = [
                tensor.detach().requires_grad_(name in wanted)
                for name, tensor in zip(cell.names, tensors, strict=True)
            ]
            output = function(*leaves)[0]
            gradients.append(torch.autograd.grad(output.sin().sum(), [t for t in leaves if t.requires_grad]))
        torch.testing.assert_close(*gradients, rtol=0, atol=1e-11)


def test_with_no_rows(cuda: torch.device, cell: Any) -> None:
    found = results_and_gradients(cell, cell, on_device(cell, (0, 3, 2, 4), cuda), {})
    assert found["output"].shape == (0, 3, 4)
    assert not found["grad weight_hh"].any() and found["grad weight_hh"].shape == (cell.gate_count * 4, 4)


def test_keeps_its_dtype_under_autocast(cuda: torch.device, cell: Any) -> None:
    """Autocast reaches the products inside the op; the op computes in float32 all the same."""
    with torch.autocast(cuda.type, torch.bfloat16):
        leaves = [tensor.requires_grad_() for tensor in on_device(cell, (3, 4, 2, 5), cuda, torch.float32)]
        outputs = cell(*leaves, backend="native")
        gradients = torch.autograd.grad(outputs[0].float().sum(), leaves)
    assert {t.dtype for t in outputs} == {torch.bfloat16}
    assert {t.dtype for t in gradients} == {torch.float32}
    exact = cell.reference(*(leaf.detach() for leaf in leaves))
    torch.testing.assert_close(outputs[0].float(), exact[0], rtol=0.01, atol=0.01)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_computed_in_float32(cuda: torch.device, cell: Any, dtype: torch.dtype) -> None:
    tensors = [tensor.to(dtype) for tensor in on_device(cell, (4, 6, 3, 8), cuda)]
    output = cell(*tensors, backend="native")[0]
    expected = cell.reference(*(tensor.float() for tensor in tensors))[0]
    assert output.dtype == dtype
    torch.testing.assert_close(output, expected.to(dtype))


@pytest.mark.parametrize("layer_class", [LSTM, GRU, RNN])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_packed_weights_follow_changes(cuda: torch.device, layer_class: Any, layer_norm: bool) -> None:
    options = {"peephole": True} if layer_class is LSTM else {}
    layer = layer_class(3, 7, 2, layer_norm=layer_norm, dtype=torch.float64, device=cuda, **options).eval()
    x = torch.randn(4, 5, 3, dtype=torch.float64, device=cuda)
    with torch.no_grad():
        expected = layer(x)[0]
        state = layer.step(x[:, 0])[1]
        expected_step = layer.step(x[:, 1], state)[0]
        with layer.packed():
            layer.weight_hh_l0.data.mul_(2)  # leaves no trace, so that what was packed is seen to be used
            torch.testing.assert_close(layer(x)[0], expected, rtol=0, atol=1e-12)
            torch.testing.assert_close(layer.step(x[:, 1], state)[0], expected_step, rtol=0, atol=1e-12)
            layer.weight_hh_l0.add_(0)
            found, found_step = layer(x)[0], layer.step(x[:, 1], state)[0]
        torch.testing.assert_close(found, layer(x)[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(found_step, layer.step(x[:, 1], state)[0], rtol=0, atol=1e-12)
        assert not torch.allclose(layer(x)[0], expected)


def test_saved_shapes_are_those_of_tracing(cuda: torch.device, every_cell: Any) -> None:
    """What is kept for backward has the shape that torch.compile is told for tensors on a GPU."""
    native = getattr(ops, every_cell.op).__globals__[f"native_{every_cell.op}"]
    for noise in ({}, every_cell.noise(3, 5)):
        noise = {name: moved(value, cuda, torch.float64) for name, value in noise.items()}
        tensors = on_device(every_cell, (3, 4, 2, 5), cuda)
        arguments = (
            *every_cell.private_tensors(tensors),
            *every_cell.private_rest(noise, None, False, torch.float64),
            None,
            True,
        )
        size = native.saved_size(torch.device("cuda"), 5, noisy=bool(noise), layer_norm=every_cell.layer_norm)
        assert native.forward_op(*arguments)[-1].shape == (4, 3, size)


def test_wrong_arguments_are_named(cuda: torch.device, lstm_cell: Any) -> None:
    tensors = on_device(lstm_cell, (2, 3, 2, 4), cuda)
    native = ops.lstm.__globals__["native_lstm"]
    constants = (None, None, None, 0.0, 0.0, False)
    with pytest.raises(RuntimeError, match="lstm: packed expected what was packed from these weights"):
        native.forward_op(*tensors, None, *constants, tensors[3], False)
    results = native.forward_op(*tensors, None, *constants, None, True)
    given = (*tensors, None)
    with pytest.raises(RuntimeError, match=r"lstm_backward: saved expected \[T, B, numbers saved \* H\]"):
        native.backward_op(
            None, None, None, *given, results[0], results[-1][:, :, :4], True, True, *constants
        )
    integers = [tensor.long() for tensor in tensors]
    with pytest.raises(RuntimeError, match="lstm: x expected float32 or float64, got Long"):
        native.forward_op(*integers, None, *constants, None, False)


# ---------------------------------------------------------------------------------------------- of a GPU only


def test_agrees_with_torch(gpu: torch.device, torch_cell: Any) -> None:
    """cuDNN's layers."""
    tensors = on_device(torch_cell, (8, 30, 5, 32), gpu, torch.float32)
    states = len(torch_cell.state_names)
    layer = torch_cell.peer(5, 32, batch_first=True, device=gpu, **torch_cell.options)
    with torch.no_grad():
        for parameter, value in zip(layer.parameters(), tensors[1 + states :], strict=True):
            parameter.copy_(value)
        given = tuple(state[None] for state in tensors[1 : 1 + states])
        expected = layer(tensors[0], given if states > 1 else given[0])[0]
        found = torch_cell(*tensors, backend="native")[0]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_gives_the_same_bits_twice(gpu: torch.device, cell: Any) -> None:
    tensors: list[Tensor | None] = [*on_device(cell, (17, 50, 9, 33), gpu, torch.float32)]
    first = results_and_gradients(cell, cell, tensors, {"backend": "native"})
    second = results_and_gradients(cell, cell, tensors, {"backend": "native"})
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_runs_on_the_current_stream(gpu: torch.device, cell: Any) -> None:
    tensors = on_device(cell, (64, 200, 32, 128), gpu, torch.float32)
    expected = cell(*tensors, backend="native")[0]
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)  # the input is written behind this, in order on the same stream
        tensors[0] = tensors[0] * 2 / 2
        found = cell(*tensors, backend="native")[0]
    stream.synchronize()
    torch.testing.assert_close(found, expected)


def test_runs_in_a_graph(gpu: torch.device, check_in_a_graph: Any, cell: Any) -> None:
    """Forward and backward are captured by the caller, and replayed with other inputs."""
    leaves = [tensor.requires_grad_() for tensor in on_device(cell, (4, 9, 3, 16), gpu, torch.float32)]

    def run() -> list[Tensor]:
        output = cell(*leaves, backend="native")[0]
        return [output, *torch.autograd.grad(output.square().sum(), leaves)]

    check_in_a_graph(run, leaves[0])


def test_keeps_long_sequences_in_chunks(gpu: torch.device) -> None:
    tensors = [
        torch.randn(shape, device=gpu) * 512**-0.5  # larger weights magnify rounding
        for shape in ((64, 300, 4), (64, 512), (64, 512), (2048, 4), (2048, 512))
    ]  # 64 * 2048 * 300 > 2^24
    before = [tensor.clone() for tensor in tensors]
    found = ops.lstm(*tensors, backend="native")[0]
    torch.testing.assert_close(found, reference.lstm(*tensors)[0], rtol=1e-4, atol=1e-5)
    assert all(torch.equal(tensor, old) for tensor, old in zip(tensors, before, strict=True))


def test_more_than_2_to_the_31_elements(gpu: torch.device) -> None:
    """Every offset beyond 2^31 is reached: x has 2^31 + 2^25 elements, the output as many."""
    if torch.cuda.mem_get_info()[0] < 48 << 30:
        pytest.skip("takes 48 GiB of GPU memory")
    batch_size, steps, size = 2080, 32768, 32
    x = torch.zeros(batch_size, steps, size, device=gpu)
    x[-1] = torch.randn(steps, size, device=gpu)
    h0 = torch.zeros(batch_size, size, device=gpu)
    weights = [torch.randn(size, size, device=gpu) / 8 for _ in range(2)]
    with torch.no_grad():
        found = ops.rnn(x, h0, *weights, backend="native")[0][-1]
        expected = ops.rnn(x[-1:].clone(), h0[:1], *weights, backend="native")[0][0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_refuses_tensors_of_another_device(gpu: torch.device, cell: Any) -> None:
    tensors = on_device(cell, (2, 3, 2, 4), gpu)
    place = cell.place("weight_hh")
    tensors[place] = tensors[place].cpu()
    with pytest.raises(ValueError, match="weight_hh"):
        cell(*tensors, backend="native")


def test_runs_on_the_device_of_its_tensors(gpu: torch.device, cell: Any) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("takes two GPUs")
    tensors = on_device(cell, (4, 6, 3, 5), torch.device("cuda", 1))
    found = cell(*tensors, backend="native")[0]
    assert found.device == torch.device("cuda", 1)
    torch.testing.assert_close(found, cell.reference(*tensors)[0], rtol=0, atol=1e-12)
