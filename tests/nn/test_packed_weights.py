"""``with layer.packed():`` gives what the layer gives outside, packs once, and keeps nothing."""

import copy
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_sequence

from seqlight import use_backend
from seqlight.nn import GRU, LSTM, RNN
from seqlight.ops.recurrent_native import NativeCell

LAYERS: list[tuple[Any, dict[str, Any]]] = [
    (LSTM, {"peephole": True}),
    (LSTM, {"layer_norm": True, "peephole": True}),
    (LSTM, {"zoneout": (0.1, 0.2), "recurrent_dropout": 0.3, "bias": False}),
    (GRU, {}),
    (GRU, {"layer_norm": True, "zoneout": 0.1}),
    (RNN, {}),
    (RNN, {"nonlinearity": "relu", "recurrent_dropout": 0.3}),
    (RNN, {"layer_norm": True}),
]
each_layer = pytest.mark.parametrize(("layer_class", "options"), LAYERS, ids=str)


def flat(result: tuple[Tensor, Any]) -> tuple[Tensor, ...]:
    """Output and states in one tuple."""
    output, state = result
    return (output, *state) if isinstance(state, tuple) else (output, state)


@pytest.fixture
def packings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cells whose weights were packed, one name for each layer and direction."""
    names: list[str] = []
    original = NativeCell.pack

    def spy(cell: NativeCell, *arguments: Any, **options: Any) -> Tensor:
        names.append(cell.name)
        return original(cell, *arguments, **options)

    monkeypatch.setattr(NativeCell, "pack", spy)
    return names


def stream(layer: Any, x: Tensor) -> tuple[Tensor, ...]:
    """Feed x step by step."""
    state, outputs = None, []
    for x_t in x.unbind(1):
        output, state = layer.step(x_t, state)
        outputs.append(output)
    return flat((torch.stack(outputs, 1), state))


@each_layer
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_gives_what_it_gives_outside(
    native: ModuleType,
    packings: list[str],
    layer_class: Any,
    options: dict[str, Any],
    dtype: torch.dtype,
    num_layers: int,
) -> None:
    layer = layer_class(3, 17, num_layers, dtype=dtype, **options).eval()
    x = torch.randn(5, 6, 3, dtype=dtype)
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 0.05}[dtype]
    with torch.no_grad():
        expected, expected_stream = flat(layer(x)), stream(layer, x)
        before = native.call_counts()
        with layer.packed():
            found, found_stream = flat(layer(x)), stream(layer, x)
        after = native.call_counts()
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)
    torch.testing.assert_close(found_stream, expected_stream, rtol=0, atol=tolerance)
    assert len(packings) == num_layers
    op = layer_class.__name__.lower()
    name = f"{op}_forward.{'float64' if dtype == torch.float64 else 'float32'}"
    assert after[name] - before.get(name, 0) == 7 * num_layers


@each_layer
def test_other_inputs_and_sizes(native: ModuleType, layer_class: Any, options: dict[str, Any]) -> None:
    """Two directions, lengths, PackedSequence, and batches of any size with the same packed weights."""
    layer = layer_class(3, 17, 2, bidirectional=True, dtype=torch.float64, **options).eval()
    sequences = pack_sequence([torch.randn(length, 3).double() for length in (4, 2, 7)], enforce_sorted=False)
    with torch.no_grad():
        for batch_size, steps in ((1, 1), (1, 9), (7, 2), (40, 3), (0, 2)):
            x = torch.randn(batch_size, steps, 3, dtype=torch.float64)
            lengths = torch.arange(batch_size) % (steps + 1)
            expected = flat(layer(x, None, lengths))
            with layer.packed():
                found = flat(layer(x, None, lengths))
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
        expected = flat(layer(sequences))
        with layer.packed():
            found = flat(layer(sequences))
        torch.testing.assert_close(found[0].data, expected[0].data, rtol=0, atol=1e-12)
        torch.testing.assert_close(found[1:], expected[1:], rtol=0, atol=1e-12)


@each_layer
def test_training_mode_draws_as_outside(
    native: ModuleType, layer_class: Any, options: dict[str, Any]
) -> None:
    layer, x = layer_class(3, 17, **options), torch.randn(5, 6, 3)
    runs = []
    with torch.no_grad():
        for packed in (False, True):
            torch.manual_seed(3)
            if packed:
                with layer.packed():
                    runs.append((flat(layer(x)), stream(layer, x)))
            else:
                runs.append((flat(layer(x)), stream(layer, x)))
    torch.testing.assert_close(runs[0], runs[1], rtol=0, atol=1e-5)


@each_layer
def test_the_mode_may_change_inside(native: ModuleType, layer_class: Any, options: dict[str, Any]) -> None:
    layer, x = layer_class(3, 17, **options), torch.randn(5, 6, 3)
    with torch.no_grad():
        with layer.packed():
            layer.eval()
            found = flat(layer(x)), stream(layer, x)
        expected = flat(layer(x)), stream(layer, x)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def load(layer: Any, new: dict[str, Tensor]) -> None:
    layer.load_state_dict(new)


def load_assigned(layer: Any, new: dict[str, Tensor]) -> None:
    layer.load_state_dict({name: value.clone() for name, value in new.items()}, assign=True)


def write_in_place(layer: Any, new: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.copy_(new[name])


def write_in_inference_mode(layer: Any, new: dict[str, Tensor]) -> None:
    with torch.inference_mode():
        write_in_place(layer, new)


def write_one(layer: Any, new: dict[str, Tensor]) -> None:
    *_, last = layer.parameters()  # the first ones are written by others
    with torch.no_grad():
        last[0] = 3


def assign_data(layer: Any, new: dict[str, Tensor]) -> None:
    for name, parameter in layer.named_parameters():
        parameter.data = new[name].clone()


def replace_parameters(layer: Any, new: dict[str, Tensor]) -> None:
    for name, value in new.items():
        setattr(layer, name, torch.nn.Parameter(value.clone()))


def optimizer_step(layer: Any, new: dict[str, Tensor], **options: Any) -> None:
    for parameter in layer.parameters():
        parameter.grad = torch.ones_like(parameter)
    torch.optim.SGD(layer.parameters(), lr=0.5, **options).step()
    layer.zero_grad()


def fused_step(layer: Any, new: dict[str, Tensor]) -> None:
    optimizer_step(layer, new, fused=True)


def convert(layer: Any, new: dict[str, Tensor]) -> None:
    layer.to(torch.float64)


def reset(layer: Any, new: dict[str, Tensor]) -> None:
    layer.reset_parameters()


CHANGES = [
    load,
    load_assigned,
    write_in_place,
    write_in_inference_mode,
    write_one,
    assign_data,
    replace_parameters,
    optimizer_step,
    fused_step,
    convert,
    reset,
]


@each_layer
@pytest.mark.parametrize("change", CHANGES)
def test_changed_weights_are_packed_anew(
    native: ModuleType, packings: list[str], layer_class: Any, options: dict[str, Any], change: Any
) -> None:
    layer, other = (layer_class(3, 17, 2, **options).eval() for _ in range(2))
    x = torch.randn(5, 6, 3)
    with torch.no_grad(), layer.packed():
        before = flat(layer(x)), stream(layer, x)
        change(layer, other.state_dict())
        x = x.to(layer.weight_ih_l0.dtype)
        found = flat(layer(x)), stream(layer, x)
        assert len(packings) == 4, "packed at entry and once after the change, two layers each"
    with torch.no_grad():
        expected = flat(layer(x)), stream(layer, x)
    if change is not convert:
        assert (expected[0][0] - before[0][0]).abs().max() > 1e-3
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_weights_of_a_parametrization_and_swapped_ones_are_noticed(native: ModuleType) -> None:
    layer, x = LSTM(3, 17).eval(), torch.randn(5, 6, 3)
    with torch.no_grad(), layer.packed():
        layer(x)
        swapped = {name: 2 * value for name, value in layer.state_dict().items()}
        found = torch.func.functional_call(layer, swapped, (x,))
        again = layer(x)
    with torch.no_grad():
        torch.testing.assert_close(found, torch.func.functional_call(layer, swapped, (x,)))
        torch.testing.assert_close(again, layer(x))
    torch.nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    with torch.no_grad():
        with layer.packed():
            layer(x)
            layer.parametrizations.weight_hh_l0.original0.mul_(2)
            found = layer(x)
        torch.testing.assert_close(found, layer(x))


def test_weights_that_torch_func_swaps_are_not_packed(native: ModuleType) -> None:
    layer, x = LSTM(3, 17, dtype=torch.float64).eval(), torch.randn(5, 6, 3).double()
    weights = {name: value.detach() for name, value in layer.named_parameters()}

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(layer, weights, (x,))[0].sin().sum()

    expected = torch.func.grad(loss)(weights)
    layer.requires_grad_(False)
    with layer.packed():
        found = torch.func.grad(loss)(weights)
    torch.testing.assert_close(found, expected)


def test_weights_made_in_inference_mode(native: ModuleType, packings: list[str]) -> None:
    """They have no versions; what replaces them is noticed."""
    with torch.inference_mode():
        layer, x = GRU(3, 17).eval(), torch.randn(5, 6, 3)
        with layer.packed():
            stream(layer, x)
            assert packings == ["gru"]
            layer.weight_hh_l0 = torch.nn.Parameter(2 * layer.weight_hh_l0)
            found = stream(layer, x)
        torch.testing.assert_close(found, stream(layer, x), rtol=0, atol=1e-5)


def test_what_cannot_be_noticed_lasts_to_the_exit(native: ModuleType) -> None:
    """As the documentation says. If torch came to count these, the words there could go."""
    layer, x = LSTM(3, 17).eval(), torch.randn(5, 6, 3)
    with torch.no_grad():
        before = layer(x)[0]
        with layer.packed():
            layer.weight_hh_l0.data.mul_(2)
            torch.testing.assert_close(layer(x)[0], before, rtol=0, atol=1e-5)
        assert (layer(x)[0] - before).abs().max() > 1e-3


@each_layer
def test_gradients_of_weights_are_refused(
    native: ModuleType, layer_class: Any, options: dict[str, Any]
) -> None:
    layer, x = layer_class(3, 17, dtype=torch.float64, **options).eval(), torch.randn(5, 6, 3).double()
    message = (
        f"{layer_class.__name__}: inside packed\\(\\) no gradients .*torch.no_grad\\(\\) or torch.inference"
    )
    with layer.packed():
        with torch.inference_mode():
            state = layer.step(x[:, 0])[1]
        for call in (lambda: layer(x), lambda: layer.step(x[:, 0]), lambda: layer.step(x[:, 0], state)):
            with pytest.raises(RuntimeError, match=message):
                call()
    layer.requires_grad_(False)
    gradients = []
    for packed in (True, False):
        leaf = x.clone().requires_grad_()
        if packed:
            with layer.packed():
                output = layer(leaf)[0]
        else:
            output = layer(leaf)[0]
        gradients.append(torch.autograd.grad(output.sin().sum(), leaf)[0])
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


def test_nests_and_ends_on_errors(native: ModuleType, packings: list[str]) -> None:
    layer = LSTM(3, 7).eval()
    at_rest = dict(layer.__dict__)
    with layer.packed():
        with layer.packed():
            pass
        assert layer.__dict__ != at_rest
    assert packings == ["lstm"] and layer.__dict__ == at_rest
    with pytest.raises(ZeroDivisionError), layer.packed(), layer.packed():
        _ = 1 / 0
    assert layer.__dict__ == at_rest
    layer.to("meta")
    with layer.packed():
        assert len(packings) == 2  # there is no kernel to pack for


def test_copies_made_inside_are_not_packed(native: ModuleType) -> None:
    layer, x = GRU(3, 7).eval(), torch.randn(2, 4, 3)
    with torch.no_grad(), layer.packed():
        twins = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    for twin in twins:
        assert torch.equal(twin(x)[0], layer(x)[0])
        with torch.no_grad():
            twin.weight_ih_l0.mul_(2)
            assert not torch.equal(twin(x)[0], layer(x)[0])


def test_does_nothing_where_the_reference_runs(native: ModuleType, packings: list[str]) -> None:
    layer, x = LSTM(3, 7).eval(), torch.randn(2, 4, 3)
    with use_backend("reference"), layer.packed():
        before = native.call_counts()
        layer(x)[0].sum().backward()
        with torch.no_grad():
            stream(layer, x)
        assert native.call_counts() == before
    assert packings == []
    with torch.no_grad(), layer.packed(), use_backend("reference"):
        before = native.call_counts()
        stream(layer, x)
        assert native.call_counts() == before


def test_threads_enter_and_leave_at_will(native: ModuleType) -> None:
    layer, x = LSTM(3, 17, layer_norm=True).eval(), torch.randn(4, 20, 3)
    with torch.no_grad():
        expected = stream(layer, x)

    def work(_: int) -> tuple[Tensor, ...]:
        with torch.no_grad(), layer.packed():
            return stream(layer, x)

    at_rest = dict(layer.__dict__)
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(work, range(12)):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert layer.__dict__ == at_rest


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_inside(native: ModuleType, dtype: torch.dtype) -> None:
    layer, x = LSTM(3, 17).eval(), torch.randn(4, 5, 3)
    with torch.no_grad(), torch.autocast("cpu", dtype):
        expected = stream(layer, x)
        with layer.packed():
            found = stream(layer, x)
    assert found[0].dtype == dtype
    torch.testing.assert_close(found, expected)


X_T, STATE = torch.zeros(4, 3), torch.zeros(1, 4, 7)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((X_T[None], (STATE, STATE)), ValueError, "LSTM: x_t expected [B, C] with C = 3, got [1, 4, 3]"),
        ((X_T[:, :2], (STATE, STATE)), ValueError, "LSTM: x_t expected [B, C] with C = 3, got [4, 2]"),
        ((1.0, (STATE, STATE)), TypeError, "LSTM: x_t expected a torch.Tensor, got float"),
        ((X_T, STATE), TypeError, "LSTM: state expected a tuple (h, c) of two tensors, got Tensor"),
        (
            (X_T, (STATE, STATE[0])),
            ValueError,
            "LSTM: state c expected [num_layers * directions, B, H] = [1, 4, 7], got [4, 7]",
        ),
        (
            (X_T, (STATE.expand(2, 4, 7), STATE)),
            ValueError,
            "LSTM: state h expected [num_layers * directions, B, H] = [1, 4, 7], got [2, 4, 7]",
        ),
        (
            (X_T, (STATE[:, :3], STATE)),
            ValueError,
            "LSTM: state h expected [num_layers * directions, B, H] = [1, 4, 7], got [1, 3, 7]",
        ),
        ((X_T.double(), (STATE, STATE)), TypeError, "lstm: h0 expected the dtype of x, torch.float64, got "),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_wrong_step_gets_the_same_error(
    native: ModuleType, arguments: tuple, kind: type[Exception], message: str
) -> None:
    layer = LSTM(3, 7).eval()
    with torch.no_grad(), layer.packed(), pytest.raises(kind, match="^" + re.escape(message)):
        layer.step(*arguments)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiled_calls_inside(native: ModuleType) -> None:
    torch._dynamo.reset()
    layer, x = LSTM(3, 7, peephole=True).eval(), torch.randn(4, 5, 3)
    with torch.no_grad():
        expected = flat(layer(x))
        with layer.packed():
            found = flat(torch.compile(layer, fullgraph=True, backend="aot_eager")(x))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
