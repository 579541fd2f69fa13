"""seqlight.nn.LSTM: equality with torch.nn.LSTM, conversion, states, chunks, steps, packed sequences."""

import copy
import pickle
import re
from itertools import pairwise, product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

from seqlight import use_backend
from seqlight.nn import LSTM

OPTIONS = [
    {},
    {"bias": False},
    {"num_layers": 3},
    {"bidirectional": True},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 2, "bidirectional": True, "bias": False},
]


def pair(**options: Any) -> tuple[LSTM, nn.LSTM]:
    torch.manual_seed(1)
    ours = LSTM(3, 7, dtype=torch.float64, **options)
    torch.manual_seed(1)
    return ours, nn.LSTM(3, 7, batch_first=True, dtype=torch.float64, **options)


def random_state(layer: LSTM, batch_size: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    shape = (layer.num_layers * layer.num_directions, batch_size, layer.hidden_size)
    return torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype)


def assert_close(ours: Any, expected: Any, tolerance: float = 1e-13) -> None:
    torch.testing.assert_close(ours, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_parameters_are_those_of_torch(options: dict[str, Any]) -> None:
    ours, theirs = pair(**options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)  # the same draws from the same seed
    ours.load_state_dict(theirs.state_dict(), strict=True)
    theirs.load_state_dict(ours.state_dict(), strict=True)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("with_state", [False, True])
def test_equals_torch(options: dict[str, Any], with_state: bool) -> None:
    ours, theirs = pair(**options)
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    found = []
    for layer in (ours, theirs):
        torch.manual_seed(2)
        state = tuple(part.requires_grad_() for part in random_state(ours, 4)) if with_state else None
        leaf = x.clone().requires_grad_()
        output, (h, c) = layer(leaf, state)
        wanted = [leaf, *(state or ()), *layer.parameters()]
        gradients = torch.autograd.grad(output.sin().sum() + h.sum() + c.square().sum(), wanted)
        found.append((output, h, c, *gradients))
    assert_close(found[0], found[1])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("packing", ["unsorted", "sorted", "full", "from list"])
@pytest.mark.parametrize("with_state", [False, True])
def test_packed_sequence_as_torch_takes_it(options: dict[str, Any], packing: str, with_state: bool) -> None:
    ours, theirs = pair(**options)
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    lengths = {
        "unsorted": [2, 6, 1, 4],
        "sorted": [5, 4, 4, 1],
        "full": [6, 6, 6, 6],
        "from list": [3, 1, 6, 2],
    }
    if packing == "from list":
        rows = [row[:length] for row, length in zip(x, lengths[packing], strict=True)]
        packed = pack_sequence(rows, enforce_sorted=False)
    else:
        packed = pack_padded_sequence(
            x, torch.tensor(lengths[packing]), batch_first=True, enforce_sorted=packing != "unsorted"
        )
    state = random_state(ours, 4) if with_state else None
    output, (h, c) = ours(packed, state)
    expected, (expected_h, expected_c) = theirs(packed, state)
    assert isinstance(output, PackedSequence)
    assert_close((output.data, h, c), (expected.data, expected_h, expected_c))
    assert torch.equal(output.batch_sizes, expected.batch_sizes)
    for ours_indices, indices in (
        (output.sorted_indices, expected.sorted_indices),
        (output.unsorted_indices, expected.unsorted_indices),
    ):
        assert (ours_indices is None) == (indices is None)
        assert indices is None or torch.equal(ours_indices, indices)


@pytest.mark.parametrize(
    "options", [*OPTIONS, {"peephole": True, "num_layers": 2, "bidirectional": True}], ids=str
)
def test_lengths_equal_each_row_alone(options: dict[str, Any]) -> None:
    layer, _ = (
        pair(**options) if "peephole" not in options else (LSTM(3, 7, dtype=torch.float64, **options), None)
    )
    x, lengths = torch.randn(5, 6, 3, dtype=torch.float64), torch.tensor([6, 1, 4, 0, 3])
    state = random_state(layer, 5)
    output, (h, c) = layer(x, state, lengths)
    for row, length in enumerate(lengths.tolist()):
        own = tuple(part[:, row : row + 1] for part in state)
        if length == 0:
            assert torch.equal(h[:, row : row + 1], own[0]) and torch.equal(c[:, row : row + 1], own[1])
        else:
            alone, (alone_h, alone_c) = layer(x[row : row + 1, :length], own)
            assert_close(output[row : row + 1, :length], alone)
            assert_close((h[:, row : row + 1], c[:, row : row + 1]), (alone_h, alone_c))
        assert (output[row, length:] == 0).all()


@given(cuts=st.sets(st.integers(1, 29)), peephole=st.booleans(), num_layers=st.integers(1, 3))
@settings(max_examples=40)
def test_chunked_equals_whole(cuts: set[int], peephole: bool, num_layers: int) -> None:
    torch.manual_seed(3)
    layer = LSTM(3, 7, num_layers, peephole=peephole)
    x = torch.randn(4, 30, 3)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        layer.to(dtype)
        whole, whole_state = layer(x.to(dtype))
        state, outputs = None, []
        edges = [0, *sorted(cuts), 30]
        for begin, end in pairwise(edges):
            output, state = layer(x[:, begin:end].to(dtype), state)
            outputs.append(output)
        assert_close((torch.cat(outputs, 1), *state), (whole, *whole_state), tolerance)


@pytest.mark.parametrize("peephole", [False, True])
def test_gradients_flow_through_handed_on_states(peephole: bool) -> None:
    layer = LSTM(3, 7, 2, peephole=peephole, dtype=torch.float64)
    x = torch.randn(4, 10, 3, dtype=torch.float64)
    whole = torch.autograd.grad(layer(x)[0].sin().sum(), list(layer.parameters()))
    first, state = layer(x[:, :4])
    second, _ = layer(x[:, 4:], state)
    chunked = torch.autograd.grad(first.sin().sum() + second.sin().sum(), list(layer.parameters()))
    assert_close(chunked, whole, 1e-12)


@pytest.mark.parametrize(("num_layers", "peephole"), list(product((1, 2), (False, True))))
def test_step_equals_forward(num_layers: int, peephole: bool) -> None:
    layer = LSTM(3, 7, num_layers, peephole=peephole, dtype=torch.float64)
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    whole, whole_state = layer(x)
    state = None
    for t in range(6):
        output, state = layer.step(x[:, t], state)
        assert output.shape == (4, 7)
        assert_close(output, whole[:, t], 1e-13)
    assert_close(state, whole_state, 1e-13)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_from_torch_and_to_torch(options: dict[str, Any]) -> None:
    torch.manual_seed(4)
    original = nn.LSTM(3, 7, **options).double().eval()  # batch_first=False
    original.weight_hh_l0.requires_grad_(False)
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    layer = LSTM.from_torch(original)
    assert not layer.training and not layer.weight_hh_l0.requires_grad and layer.weight_ih_l0.requires_grad
    assert_close(layer(x.transpose(0, 1))[0], original(x)[0].transpose(0, 1))
    back = layer.to_torch()
    assert back.batch_first and not back.training and not back.weight_hh_l0.requires_grad
    for name, parameter in original.named_parameters():
        assert torch.equal(back.get_parameter(name), parameter)
    with torch.no_grad():
        original.weight_ih_l0.zero_()
    assert layer.weight_ih_l0.abs().max() > 0  # copies


def test_conversions_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="module expected with proj_size=0, got proj_size=2"):
        LSTM.from_torch(nn.LSTM(3, 7, proj_size=2))
    with pytest.raises(TypeError, match=re.escape("module expected a torch.nn.LSTM, got GRU")):
        LSTM.from_torch(nn.GRU(3, 7))
    with pytest.raises(ValueError, match=re.escape("torch.nn.LSTM has no peephole")):
        LSTM(3, 7, peephole=True).to_torch()


def test_peephole_parameters_and_their_effect() -> None:
    layer = LSTM(3, 7, 2, bidirectional=True, peephole=True)
    peepholes = {name: p.shape for name, p in layer.named_parameters() if "peephole" in name}
    assert peepholes == {
        f"weight_peephole_l{k}{suffix}": (3, 7) for k in range(2) for suffix in ("", "_reverse")
    }
    x = torch.randn(4, 6, 3)
    before = layer(x)[0]
    plain = LSTM(3, 7, 2, bidirectional=True)
    plain.load_state_dict(layer.state_dict(), strict=False)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if "peephole" in name:
                assert 0 < parameter.abs().max() <= 7**-0.5
                parameter.zero_()
    assert_close(layer(x)[0], plain(x)[0], 1e-7)
    assert (before - layer(x)[0]).abs().max() > 1e-3


def test_dropout_acts_between_layers_in_training_only() -> None:
    layer = LSTM(3, 7, 2, dropout=0.5)
    x = torch.randn(4, 6, 3)
    first = LSTM(3, 7)
    first.load_state_dict({k: v for k, v in layer.state_dict().items() if k.endswith("l0")})
    torch.manual_seed(5)
    once, (h, _) = layer(x)
    torch.manual_seed(5)
    assert torch.equal(once, layer(x)[0])
    assert not torch.equal(once, layer(x)[0])
    assert torch.equal(h[0], first(x)[1][0][0])  # nothing is dropped before or within the first layer
    layer.eval()
    plain = LSTM(3, 7, 2)
    plain.load_state_dict(layer.state_dict())
    assert torch.equal(layer(x)[0], plain(x)[0])


def test_full_dropout_leaves_the_second_layer_its_biases() -> None:
    layer = LSTM(3, 7, 2, dropout=1.0)
    output, _ = layer(torch.randn(4, 6, 3))
    assert_close(output, output[:1].expand(4, -1, -1), 1e-7)


@pytest.mark.parametrize(("batch_size", "steps"), [(0, 4), (1, 1), (3, 1)])
def test_smallest_sizes(batch_size: int, steps: int) -> None:
    layer = LSTM(3, 7, 2, bidirectional=True, peephole=True)
    output, (h, c) = layer(torch.randn(batch_size, steps, 3))
    assert output.shape == (batch_size, steps, 14)
    assert h.shape == c.shape == (4, batch_size, 7)
    (output.sum() + h.sum()).backward()
    assert all(p.grad.isfinite().all() for p in layer.parameters())


def test_survives_pickling_copying_and_casting() -> None:
    layer = LSTM(3, 7, 2, peephole=True, bidirectional=True, dropout=0.1).eval()
    x = torch.randn(4, 6, 3)
    expected = layer(x)[0]
    for twin in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert torch.equal(twin(x)[0], expected)
    assert layer.double()(x.double())[0].dtype == torch.float64
    assert repr(layer) == "LSTM(3, 7, num_layers=2, dropout=0.1, bidirectional=True, peephole=True)"
    assert repr(LSTM(3, 7)) == "LSTM(3, 7)"
    meta = LSTM(3, 7, device="meta", dtype=torch.bfloat16)
    assert meta.weight_ih_l0.device.type == "meta" and meta.weight_ih_l0.dtype == torch.bfloat16


def test_parametrised_weights_are_used() -> None:
    layer = LSTM(3, 7)
    nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    x = torch.randn(4, 6, 3)
    before = layer(x)[0]
    with torch.no_grad():
        layer.parametrizations.weight_hh_l0.original0.mul_(3)
    assert (layer(x)[0] - before).abs().max() > 1e-3
    layer(x)[0].sum().backward()
    assert layer.parametrizations.weight_hh_l0.original1.grad is not None


def test_deterministic_algorithms() -> None:
    layer, x = LSTM(3, 20, peephole=True), torch.randn(40, 12, 3)
    torch.use_deterministic_algorithms(True)
    try:
        runs = [torch.autograd.grad(layer(x)[0].sum(), list(layer.parameters())) for _ in range(3)]
    finally:
        torch.use_deterministic_algorithms(False)
    for run in runs[1:]:
        assert all(torch.equal(one, other) for one, other in zip(run, runs[0], strict=True))


WRONG_CONSTRUCTION: list[tuple[tuple, dict[str, Any], str]] = [
    ((3, 0), {}, "LSTM: hidden_size expected an integer of at least 1, got 0"),
    ((3, -2), {}, "LSTM: hidden_size expected an integer of at least 1, got -2"),
    ((3, 7.5), {}, "LSTM: hidden_size expected an integer of at least 1, got 7.5"),
    ((0, 7), {}, "LSTM: input_size expected an integer of at least 1, got 0"),
    ((3, 7, 0), {}, "LSTM: num_layers expected an integer of at least 1, got 0"),
    ((3, 7, 2), {"dropout": 1.5}, "LSTM: dropout expected a probability between 0 and 1, got 1.5"),
]


@pytest.mark.parametrize(("sizes", "options", "message"), WRONG_CONSTRUCTION)
def test_wrong_construction(sizes: tuple, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        LSTM(*sizes, **options)


def test_useless_dropout_warns() -> None:
    with pytest.warns(UserWarning, match=re.escape("dropout=0.5 does nothing with num_layers=1")):
        LSTM(3, 7, dropout=0.5)


X, STATE = torch.zeros(4, 6, 3), torch.zeros(2, 4, 7)
WRONG_CALL: list[tuple[tuple, type[Exception], str]] = [
    (
        (torch.zeros(6, 3),),
        ValueError,
        "LSTM: x expected [B, T, C] with C = 3, got [6, 3]; for one sequence use ",
    ),
    ((torch.zeros(4, 6, 2),), ValueError, "LSTM: x expected [B, T, C] with C = 3, got [4, 6, 2]"),
    (
        (torch.zeros(4, 0, 3),),
        ValueError,
        "lstm: x expected [B, T, I] with at least one time step, got [4, 0, 3]",
    ),
    (([1.0],), TypeError, "LSTM: x expected a torch.Tensor or PackedSequence, got list"),
    ((X, STATE), TypeError, "LSTM: state expected a tuple (h, c) of two tensors, got Tensor"),
    ((X, (STATE,)), TypeError, "LSTM: state expected a tuple (h, c) of two tensors, got tuple of Tensor"),
    (
        (X, (STATE, None)),
        TypeError,
        "LSTM: state expected a tuple (h, c) of two tensors, got tuple of Tensor, None",
    ),
    (
        (X, (STATE[:1], STATE)),
        ValueError,
        "LSTM: state h expected [num_layers * directions, B, H] = [2, 4, 7], got [1, 4, 7]",
    ),
    (
        (X, (STATE, STATE[:, :3])),
        ValueError,
        "LSTM: state c expected [num_layers * directions, B, H] = [2, 4, 7], got [2, 3, 7]",
    ),
    ((X.double(),), TypeError, "lstm: weight_ih expected the dtype of x, torch.float64, got torch.float32"),
    ((X.to("meta"),), ValueError, "lstm: weight_ih expected on the device of x, meta, got cpu"),
    (
        (X, None, torch.tensor([6, 6, 6, 7])),
        ValueError,
        "lstm: lengths expected values in 0..T = 0..6, got 7 in row 3",
    ),
    ((X, None, torch.tensor([6])), ValueError, "lstm: lengths expected [B] = [4], got [1]"),
    (
        (pack_sequence([torch.zeros(2, 3)] * 4), None, torch.tensor([2] * 4)),
        ValueError,
        "LSTM: lengths expected None with a PackedSequence, which has its own",
    ),
]


@pytest.mark.parametrize(("arguments", "kind", "message"), WRONG_CALL, ids=[m[:60] for *_, m in WRONG_CALL])
def test_wrong_call(arguments: tuple, kind: type[Exception], message: str) -> None:
    layer = LSTM(3, 7, 2)
    with pytest.raises(kind, match="^" + re.escape(message)):
        layer(*arguments)


def test_wrong_step() -> None:
    with pytest.raises(RuntimeError, match="step cannot run a bidirectional layer"):
        LSTM(3, 7, bidirectional=True).step(torch.zeros(4, 3))
    with pytest.raises(ValueError, match=re.escape("x_t expected [B, C] with C = 3, got [4, 6, 3]")):
        LSTM(3, 7).step(X)
    with pytest.raises(TypeError, match=re.escape("x_t expected a torch.Tensor, got float")):
        LSTM(3, 7).step(1.0)


def test_backend_holds_for_the_layer() -> None:
    layer, x = LSTM(3, 7, 2, peephole=True, dtype=torch.float64), torch.randn(4, 6, 3, dtype=torch.float64)
    with use_backend("reference"):
        exact = layer(x)
    assert_close(layer(x), exact)
