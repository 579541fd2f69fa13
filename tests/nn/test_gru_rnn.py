"""seqlight.nn.GRU and RNN: equality with torch.nn, conversion, states, chunks, steps, packed sequences."""

import copy
import pickle
import re
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

from seqlight import use_backend
from seqlight.nn import GRU, LSTM, RNN

OPTIONS = [
    {},
    {"bias": False},
    {"num_layers": 3},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 2, "bidirectional": True, "bias": False},
]
CELLS = [(GRU, nn.GRU, {}), (RNN, nn.RNN, {}), (RNN, nn.RNN, {"nonlinearity": "relu"})]

each_cell = pytest.mark.parametrize(("ours", "theirs", "of_cell"), CELLS, ids=["GRU", "RNN tanh", "RNN relu"])
each_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


def pair(ours: type, theirs: type, **options: Any) -> tuple[Any, Any]:
    torch.manual_seed(1)
    layer = ours(3, 7, dtype=torch.float64, **options)
    torch.manual_seed(1)
    return layer, theirs(3, 7, batch_first=True, dtype=torch.float64, **options)


def random_state(layer: Any, batch_size: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(layer.num_layers * layer.num_directions, batch_size, layer.hidden_size, dtype=dtype)


def assert_close(found: Any, expected: Any, tolerance: float = 1e-13) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@each_cell
@each_option
def test_parameters_are_those_of_torch(ours: type, theirs: type, of_cell: dict, options: dict) -> None:
    layer, peer = pair(ours, theirs, **of_cell, **options)
    assert list(layer.state_dict()) == list(peer.state_dict())
    for one, other in zip(layer.parameters(), peer.parameters(), strict=True):
        assert torch.equal(one, other)  # the same draws from the same seed
    layer.load_state_dict(peer.state_dict(), strict=True)
    peer.load_state_dict(layer.state_dict(), strict=True)


@each_cell
@each_option
@pytest.mark.parametrize("with_state", [False, True])
def test_equals_torch(ours: type, theirs: type, of_cell: dict, options: dict, with_state: bool) -> None:
    layers = pair(ours, theirs, **of_cell, **options)
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    found = []
    for layer in layers:
        torch.manual_seed(2)
        state = random_state(layers[0], 4).requires_grad_() if with_state else None
        leaf = x.clone().requires_grad_()
        output, h = layer(leaf, state)
        wanted = [leaf, *([state] if with_state else []), *layer.parameters()]
        found.append((output, h, *torch.autograd.grad(output.sin().sum() + h.square().sum(), wanted)))
    assert_close(found[0], found[1])


@each_cell
@pytest.mark.parametrize("packing", ["unsorted", "sorted", "from list"])
@pytest.mark.parametrize("with_state", [False, True])
def test_packed_sequence_as_torch_takes_it(
    ours: type, theirs: type, of_cell: dict, packing: str, with_state: bool
) -> None:
    layer, peer = pair(ours, theirs, num_layers=2, bidirectional=True, **of_cell)
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    lengths = {"unsorted": [2, 6, 1, 4], "sorted": [5, 4, 4, 1], "from list": [3, 1, 6, 2]}[packing]
    if packing == "from list":
        rows = [row[:length] for row, length in zip(x, lengths, strict=True)]
        packed = pack_sequence(rows, enforce_sorted=False)
    else:
        packed = pack_padded_sequence(
            x, torch.tensor(lengths), batch_first=True, enforce_sorted=packing == "sorted"
        )
    state = random_state(layer, 4) if with_state else None
    (output, h), (expected, expected_h) = layer(packed, state), peer(packed, state)
    assert isinstance(output, PackedSequence)
    assert_close((output.data, h), (expected.data, expected_h))
    assert torch.equal(output.batch_sizes, expected.batch_sizes)
    for indices, right in zip(output[2:], expected[2:], strict=True):
        assert (indices is None) == (right is None)
        assert right is None or torch.equal(indices, right)


@each_cell
@each_option
def test_lengths_equal_each_row_alone(ours: type, theirs: type, of_cell: dict, options: dict) -> None:
    layer, _ = pair(ours, theirs, **of_cell, **options)
    x, lengths = torch.randn(5, 6, 3, dtype=torch.float64), torch.tensor([6, 1, 4, 0, 3])
    state = random_state(layer, 5)
    output, h = layer(x, state, lengths)
    for row, length in enumerate(lengths.tolist()):
        own = state[:, row : row + 1]
        if length == 0:
            assert torch.equal(h[:, row : row + 1], own)
        else:
            alone, alone_h = layer(x[row : row + 1, :length], own)
            assert_close((output[row : row + 1, :length], h[:, row : row + 1]), (alone, alone_h))
        assert (output[row, length:] == 0).all()


@each_cell
@given(cuts=st.sets(st.integers(1, 29)), num_layers=st.integers(1, 3))
@settings(max_examples=20)
def test_chunked_equals_whole(
    ours: type, theirs: type, of_cell: dict, cuts: set[int], num_layers: int
) -> None:
    torch.manual_seed(3)
    layer = ours(3, 7, num_layers, **of_cell)
    x = torch.randn(4, 30, 3)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        layer.to(dtype)
        whole, whole_state = layer(x.to(dtype))
        state, outputs = None, []
        for begin, end in pairwise([0, *sorted(cuts), 30]):
            output, state = layer(x[:, begin:end].to(dtype), state)
            outputs.append(output)
        assert_close((torch.cat(outputs, 1), state), (whole, whole_state), tolerance)


@each_cell
def test_gradients_flow_through_handed_on_states(ours: type, theirs: type, of_cell: dict) -> None:
    layer = ours(3, 7, 2, dtype=torch.float64, **of_cell)
    x = torch.randn(4, 10, 3, dtype=torch.float64)
    whole = torch.autograd.grad(layer(x)[0].sin().sum(), list(layer.parameters()))
    first, state = layer(x[:, :4])
    second, _ = layer(x[:, 4:], state)
    chunked = torch.autograd.grad(first.sin().sum() + second.sin().sum(), list(layer.parameters()))
    assert_close(chunked, whole, 1e-12)


@each_cell
@pytest.mark.parametrize("num_layers", [1, 2])
def test_step_equals_forward(ours: type, theirs: type, of_cell: dict, num_layers: int) -> None:
    layer = ours(3, 7, num_layers, dtype=torch.float64, **of_cell)
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    whole, whole_state = layer(x)
    state = None
    for t in range(6):
        output, state = layer.step(x[:, t], state)
        assert output.shape == (4, 7)
        assert_close(output, whole[:, t])
    assert_close(state, whole_state)


@each_cell
@each_option
def test_from_torch_and_to_torch(ours: type, theirs: type, of_cell: dict, options: dict) -> None:
    torch.manual_seed(4)
    original = theirs(3, 7, **of_cell, **options).double().eval()  # batch_first=False
    original.weight_hh_l0.requires_grad_(False)
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    layer = ours.from_torch(original)
    assert not layer.training and not layer.weight_hh_l0.requires_grad and layer.weight_ih_l0.requires_grad
    assert_close(layer(x.transpose(0, 1))[0], original(x)[0].transpose(0, 1))
    back = layer.to_torch()
    assert type(back) is theirs and back.batch_first and not back.training
    assert not back.weight_hh_l0.requires_grad
    assert_close(back(x.transpose(0, 1))[0], original(x)[0].transpose(0, 1))
    for name, parameter in original.named_parameters():
        assert torch.equal(back.get_parameter(name), parameter)
    with torch.no_grad():
        original.weight_ih_l0.zero_()
    assert layer.weight_ih_l0.abs().max() > 0  # copies


def test_conversions_that_cannot_be() -> None:
    with pytest.raises(
        TypeError, match=re.escape("GRU.from_torch: module expected a torch.nn.GRU, got LSTM")
    ):
        GRU.from_torch(nn.LSTM(3, 7))
    with pytest.raises(TypeError, match=re.escape("RNN.from_torch: module expected a torch.nn.RNN, got GRU")):
        RNN.from_torch(nn.GRU(3, 7))


@each_cell
def test_dropout_acts_between_layers_in_training_only(ours: type, theirs: type, of_cell: dict) -> None:
    layer = ours(3, 7, 2, dropout=0.5, **of_cell)
    x = torch.randn(4, 6, 3)
    first = ours(3, 7, **of_cell)
    first.load_state_dict({k: v for k, v in layer.state_dict().items() if k.endswith("l0")})
    torch.manual_seed(5)
    once, h = layer(x)
    torch.manual_seed(5)
    assert torch.equal(once, layer(x)[0])
    assert not torch.equal(once, layer(x)[0])
    assert torch.equal(h[0], first(x)[1][0])  # nothing is dropped before or within the first layer
    layer.eval()
    plain = ours(3, 7, 2, **of_cell)
    plain.load_state_dict(layer.state_dict())
    assert torch.equal(layer(x)[0], plain(x)[0])


@each_cell
@pytest.mark.parametrize(("batch_size", "steps"), [(0, 4), (1, 1), (3, 1)])
def test_smallest_sizes(ours: type, theirs: type, of_cell: dict, batch_size: int, steps: int) -> None:
    layer = ours(3, 7, 2, bidirectional=True, **of_cell)
    output, h = layer(torch.randn(batch_size, steps, 3))
    assert output.shape == (batch_size, steps, 14) and h.shape == (4, batch_size, 7)
    (output.sum() + h.sum()).backward()
    assert all(p.grad.isfinite().all() for p in layer.parameters())


@each_cell
def test_survives_pickling_copying_and_casting(ours: type, theirs: type, of_cell: dict) -> None:
    layer = ours(3, 7, 2, bidirectional=True, dropout=0.1, **of_cell).eval()
    x = torch.randn(4, 6, 3)
    expected = layer(x)[0]
    for twin in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert torch.equal(twin(x)[0], expected)
    assert layer.double()(x.double())[0].dtype == torch.float64
    ending = ", nonlinearity=relu" if of_cell else ""
    assert repr(layer) == f"{ours.__name__}(3, 7, num_layers=2, dropout=0.1, bidirectional=True{ending})"
    meta = ours(3, 7, device="meta", dtype=torch.bfloat16, **of_cell)
    assert meta.weight_ih_l0.device.type == "meta" and meta.weight_ih_l0.dtype == torch.bfloat16


@pytest.mark.parametrize("layer_class", [GRU, RNN, LSTM])
def test_useless_dropout_warns_at_the_callers_line(layer_class: type) -> None:
    message = re.escape(f"{layer_class.__name__}: dropout acts between layers, so dropout=0.5 does nothing")
    with pytest.warns(UserWarning, match=message) as caught:
        layer_class(3, 7, dropout=0.5)
    assert caught[0].filename == __file__


X, STATE = torch.zeros(4, 6, 3), torch.zeros(2, 4, 7)
# {layer} and {op} stand for their names.
WRONG_CALL: list[tuple[tuple, type[Exception], str]] = [
    (
        (torch.zeros(6, 3),),
        ValueError,
        "{layer}: x expected [B, T, C] with C = 3, got [6, 3]; for one sequence use ",
    ),
    (
        (torch.zeros(4, 0, 3),),
        ValueError,
        "{op}: x expected [B, T, I] with at least one time step, got [4, 0, 3]",
    ),
    (([1.0],), TypeError, "{layer}: x expected a torch.Tensor or PackedSequence, got list"),
    ((X, (STATE, STATE)), TypeError, "{layer}: state expected a torch.Tensor h, got tuple"),
    (
        (X, STATE[:1]),
        ValueError,
        "{layer}: state h expected [num_layers * directions, B, H] = [2, 4, 7], got [1, 4, 7]",
    ),
    ((X.double(),), TypeError, "{op}: weight_ih expected the dtype of x, torch.float64, got torch.float32"),
    (
        (X, None, torch.tensor([6, 6, 6, 7])),
        ValueError,
        "{op}: lengths expected values in 0..T = 0..6, got 7 in row 3",
    ),
    (
        (pack_sequence([torch.zeros(2, 3)] * 4), None, torch.tensor([2] * 4)),
        ValueError,
        "{layer}: lengths expected None with a PackedSequence, which has its own",
    ),
]


@pytest.mark.parametrize(("arguments", "kind", "message"), WRONG_CALL, ids=[m[:50] for *_, m in WRONG_CALL])
@pytest.mark.parametrize("layer_class", [GRU, RNN])
def test_wrong_call(layer_class: type, arguments: tuple, kind: type[Exception], message: str) -> None:
    name = layer_class.__name__
    with pytest.raises(kind, match="^" + re.escape(message.format(layer=name, op=name.lower()))):
        layer_class(3, 7, 2)(*arguments)


@pytest.mark.parametrize("layer_class", [GRU, RNN])
def test_wrong_construction_and_step(layer_class: type) -> None:
    name = layer_class.__name__
    with pytest.raises(ValueError, match=f"{name}: hidden_size expected an integer of at least 1, got 0"):
        layer_class(3, 0)
    with pytest.raises(RuntimeError, match=f"{name}: step cannot run a bidirectional layer"):
        layer_class(3, 7, bidirectional=True).step(torch.zeros(4, 3))
    with pytest.raises(ValueError, match="RNN: nonlinearity expected 'tanh' or 'relu', got 'softsign'"):
        RNN(3, 7, nonlinearity="softsign")


@each_cell
def test_backend_holds_for_the_layer(ours: type, theirs: type, of_cell: dict) -> None:
    layer, x = ours(3, 7, 2, dtype=torch.float64, **of_cell), torch.randn(4, 6, 3, dtype=torch.float64)
    with use_backend("reference"):
        exact = layer(x)
    assert_close(layer(x), exact)


@each_cell
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_kernels_run(
    native: ModuleType, ours: type, theirs: type, of_cell: dict, dtype: torch.dtype, compiled: bool
) -> None:
    torch._dynamo.reset()
    layer = ours(3, 7, 2, dtype=dtype, **of_cell)
    run = torch.compile(layer, fullgraph=True, backend="aot_eager") if compiled else layer
    before = native.call_counts()
    output, h = run(torch.randn(4, 6, 3, dtype=dtype))
    assert output.dtype == h.dtype == dtype
    output.sum().backward()
    moved = {name: count - before.get(name, 0) for name, count in native.call_counts().items()}
    kind, op = "float64" if dtype == torch.float64 else "float32", ours.__name__.lower()
    assert {name: count for name, count in moved.items() if count} == {
        f"{op}_forward.{kind}": 2,
        f"{op}_backward.{kind}": 2,
    }
    assert all(p.grad.dtype == dtype and p.grad.isfinite().all() for p in layer.parameters())


@each_cell
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_layer_compiles_once_for_all_later_sizes_and_exports(
    native: ModuleType, ours: type, theirs: type, of_cell: dict
) -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    layer = ours(3, 7, 2, bidirectional=True, **of_cell)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    graphs = []
    for batch_size, steps in ((4, 5), (6, 7), (3, 9)):
        x = torch.randn(batch_size, steps, 3)
        output, h = compiled(x)
        torch.testing.assert_close((output, h), layer(x), rtol=0, atol=1e-6)
        (output.sum() + h.sum()).backward()
        graphs.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    assert graphs == [1, 2, 2]

    dims = {0: torch.export.Dim("batch"), 1: torch.export.Dim("time")}
    program = torch.export.export(layer, (torch.randn(4, 5, 3),), dynamic_shapes={"x": dims})
    x = torch.randn(2, 9, 3)
    with torch.no_grad():
        exported, expected_results = program.module()(x), layer(x)
    torch.testing.assert_close(exported, expected_results, rtol=0, atol=0)
