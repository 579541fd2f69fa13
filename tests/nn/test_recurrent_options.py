"""Layer norm, recurrent dropout and zoneout of seqlight.nn.LSTM, GRU and RNN."""

import copy
import pickle
import re
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqlight import use_backend
from seqlight.nn import GRU, LSTM, RNN

LAYERS: list[tuple[Any, dict[str, Any]]] = [
    (LSTM, {}),
    (LSTM, {"peephole": True}),
    (GRU, {}),
    (RNN, {}),
    (RNN, {"nonlinearity": "relu"}),
]
NOISY = {"layer_norm": True, "recurrent_dropout": 0.4, "zoneout": 0.2}

each_layer = pytest.mark.parametrize(("layer_class", "of_cell"), LAYERS, ids=str)
untraced = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


def flat(result: tuple[Tensor, Any]) -> tuple[Tensor, ...]:
    """Output and states in one tuple."""
    output, state = result
    return (output, *state) if isinstance(state, tuple) else (output, state)


def assert_close(found: Any, expected: Any, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.fixture
def op_calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The keyword arguments of every call that a layer makes of its op."""
    calls: list[dict[str, Any]] = []
    for layer_class in (LSTM, GRU, RNN):
        original = layer_class.op

        def spy(*tensors: Tensor, original: Any = original, **options: Any) -> Any:
            calls.append(options)
            return original(*tensors, **options)

        monkeypatch.setattr(layer_class, "op", staticmethod(spy))
    return calls


@each_layer
def test_gains_start_at_one_and_the_other_draws_stay(layer_class: Any, of_cell: dict[str, Any]) -> None:
    layers = []
    for layer_norm in (True, False):
        torch.manual_seed(1)
        layers.append(layer_class(3, 7, 2, bidirectional=True, layer_norm=layer_norm, **of_cell))
    normed, plain = (layer.state_dict() for layer in layers)
    norms = {name: normed.pop(name) for name in list(normed) if "layer_norm" in name}
    suffixes = ("l0", "l0_reverse", "l1", "l1_reverse")
    assert list(norms) == [f"weight_layer_norm_{suffix}" for suffix in suffixes]
    assert list(normed) == list(plain) and all(torch.equal(normed[name], plain[name]) for name in plain)
    gains, biases = {LSTM: (9, 1), GRU: (6, 0), RNN: (1, 1)}[layer_class]
    for tensor in norms.values():
        assert torch.equal(tensor, torch.cat([torch.ones(gains, 7), torch.zeros(biases, 7)]))


@each_layer
def test_each_call_draws_a_mask_and_a_seed_per_layer_and_direction(
    op_calls: list[dict[str, Any]], layer_class: Any, of_cell: dict[str, Any]
) -> None:
    layer = layer_class(3, 50, 2, bidirectional=True, recurrent_dropout=0.4, zoneout=0.2, **of_cell)
    x = torch.randn(40, 3, 3)
    layer(x)
    layer(x)
    masks = [call["hidden_mask"] for call in op_calls]
    seeds = {int(call["zoneout_seed"]) for call in op_calls}
    assert len(masks) == len(seeds) == 8
    for number, mask in enumerate(masks):
        assert mask.shape == (40, 50) and mask.unique().tolist() == pytest.approx([0, 1 / 0.6])
        assert (mask == 0).double().mean().item() == pytest.approx(0.4, abs=5 * (0.24 / 2000) ** 0.5)
        assert not any(torch.equal(mask, other) for other in masks[:number])
    op_calls.clear()
    layer.eval()
    layer(x, lengths=torch.full((40,), 3))
    assert len(op_calls) == 4
    assert not any(call.get("hidden_mask") is not None for call in op_calls)
    assert not any(call.get("zoneout_seed") is not None for call in op_calls)


@each_layer
@pytest.mark.parametrize("shape", [{}, {"num_layers": 2}, {"num_layers": 2, "bidirectional": True}], ids=str)
@pytest.mark.parametrize("options", [{}, {"bias": False, "layer_norm": True, "zoneout": 0.2}], ids=str)
def test_direct_calls_of_the_native_ops_give_what_checked_ones_give(
    layer_class: Any, of_cell: dict[str, Any], shape: dict[str, Any], options: dict[str, Any]
) -> None:
    """With lengths a call goes through the op's own checks; without, straight to the kernel."""
    layer = layer_class(3, 7, **shape, **options, **of_cell, dtype=torch.float64).eval()
    x = torch.randn(4, 5, 3, dtype=torch.float64, requires_grad=True)
    all_steps = torch.full((4,), 5)
    state = None
    for _ in range(2):  # from zeros, then from a state
        results, expected = layer(x, state), layer(x, state, all_steps)
        assert_close(flat(results), flat(expected), 0)
        variables = [x, *layer.parameters()]
        gradients = [
            torch.autograd.grad(sum(part.sin().sum() for part in flat(result)), variables)
            for result in (results, expected)
        ]
        assert_close(*gradients, 1e-14)
        with torch.no_grad():
            _, state = layer(x)
    if not layer.bidirectional:
        output, last = layer.step(x[:, 0], state)
        assert_close((output.unsqueeze(1), *flat((output, last))[1:]), flat(layer(x[:, :1], state)), 0)


def test_run_layer_replaced_in_a_subclass_or_on_a_layer_is_called(native: ModuleType) -> None:
    class Doubled(LSTM):
        def run_layer(self, x: Tensor, states: Any, arguments: Any) -> Any:
            return super().run_layer(2 * x, states, arguments)

    torch.manual_seed(0)
    layer, x = LSTM(3, 5), torch.randn(2, 4, 3)
    doubled = Doubled(3, 5)
    doubled.load_state_dict(layer.state_dict())
    with torch.no_grad():
        expected = layer(2 * x)[0]
        assert torch.equal(doubled(x)[0], expected)
        original = layer.run_layer
        layer.run_layer = lambda x, *others: original(2 * x, *others)  # type: ignore[method-assign]
        assert torch.equal(layer(x)[0], expected)


def test_nothing_is_drawn_where_nothing_is_dropped() -> None:
    layer, before = LSTM(3, 7, layer_norm=True), torch.get_rng_state()
    layer(torch.ones(2, 3, 3))
    assert torch.equal(torch.get_rng_state(), before)


def test_one_mask_for_all_steps_of_a_sequence() -> None:
    """A unit that the recurrent product never sees gives tanh(bias) at every step, the others do not."""
    layer = RNN(1, 30, recurrent_dropout=0.3, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
        layer.weight_hh_l0.copy_(torch.eye(30))
        layer.bias_ih_l0.fill_(1.0)
        layer.bias_hh_l0.zero_()
    state = torch.full((1, 20, 30), 0.5, dtype=torch.float64)
    output, _ = layer(torch.zeros(20, 6, 1, dtype=torch.float64), state)
    dropped = (output - torch.tensor(1.0, dtype=torch.float64).tanh()).abs() < 1e-12
    assert torch.equal(dropped, dropped[:, :1].expand(-1, 6, -1))
    assert dropped[:, 0].double().mean().item() == pytest.approx(0.3, abs=5 * (0.21 / 600) ** 0.5)
    kept = ~dropped[:, 0]
    assert_close(output[:, 0][kept], (1 + 0.5 / 0.7 * torch.ones_like(output[:, 0][kept])).tanh())


@each_layer
@pytest.mark.parametrize("options", [{"layer_norm": True}, NOISY], ids=["layer norm", "all"])
def test_native_equals_reference_with_the_same_seed(
    native: ModuleType, layer_class: Any, of_cell: dict[str, Any], options: dict[str, Any]
) -> None:
    layer = layer_class(3, 7, 2, bidirectional=True, dtype=torch.float64, **options, **of_cell)
    x, lengths = torch.randn(5, 6, 3, dtype=torch.float64), torch.tensor([6, 0, 3, 1, 5])
    found = []
    for backend in ("native", "reference"):
        torch.manual_seed(7)
        with use_backend(backend):
            results = flat(layer(x, None, lengths))
            loss = sum(result.sin().sum() for result in results)
            found.append((*results, *torch.autograd.grad(loss, list(layer.parameters()))))
    assert_close(found[0], found[1], 1e-10)


@each_layer
def test_the_same_torch_seed_gives_the_same_training(layer_class: Any, of_cell: dict[str, Any]) -> None:
    layer, x = layer_class(3, 7, **NOISY, **of_cell), torch.randn(4, 6, 3)
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        runs.append(layer(x)[0])
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


@each_layer
def test_evaluation_is_the_mean_of_training(layer_class: Any, of_cell: dict[str, Any]) -> None:
    """Of one step, whose state is linear in what zoneout draws."""
    layer = layer_class(3, 7, zoneout=0.3, dtype=torch.float64, **of_cell)
    x = torch.randn(1, 1, 3, dtype=torch.float64).expand(4000, 1, 3)
    torch.manual_seed(0)
    parts = tuple(
        torch.randn(1, 1, 7, dtype=torch.float64).expand(1, 4000, 7) for _ in range(layer.state_count)
    )
    state = parts if len(parts) > 1 else parts[0]
    trained = layer(x, state)[0]
    layer.eval()
    evaluated = layer(x, state)[0]
    assert trained.std(dim=0).max() > 0.01
    torch.testing.assert_close(trained.mean(dim=0), evaluated[0], rtol=0, atol=0.05)
    assert torch.equal(layer(x, state)[0], evaluated)


def test_zoneout_may_be_set_between_calls() -> None:
    layer, x = LSTM(3, 5), torch.randn(4, 10, 3)
    assert torch.equal(layer(x)[0], layer(x)[0])
    layer.zoneout = 0.5
    assert not torch.equal(layer(x)[0], layer(x)[0])
    torch.manual_seed(0)
    expected = LSTM(3, 5, zoneout=0.5)
    expected.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer.eval()(x), expected.eval()(x), rtol=0, atol=0)
    assert "zoneout=0.5" in repr(layer)
    with pytest.raises(ValueError, match="zoneout expected"):
        layer.zoneout = 1.5
    assert layer.zoneout == 0.5


def test_pair_of_zoneouts_is_for_h_and_c() -> None:
    torch.manual_seed(1)
    x = torch.randn(4, 1, 3)
    state = (torch.randn(1, 4, 7), torch.randn(1, 4, 7))
    layers = {pair: LSTM(3, 7, zoneout=pair).eval() for pair in ((0.0, 0.0), (0.3, 0.0), (0.0, 0.3))}
    for layer in layers.values():
        layer.load_state_dict(layers[0.0, 0.0].state_dict())
    h, c = layers[0.0, 0.0](x, state)[1]
    of_h, of_c = layers[0.3, 0.0](x, state)[1], layers[0.0, 0.3](x, state)[1]
    assert_close(of_h, (h + 0.3 * (state[0] - h), c), 1e-6)
    assert_close(of_c, (h, c + 0.3 * (state[1] - c)), 1e-6)


@each_layer
def test_in_evaluation_chunks_and_steps_equal_the_whole(layer_class: Any, of_cell: dict[str, Any]) -> None:
    layer = layer_class(3, 7, 2, dtype=torch.float64, **NOISY, **of_cell).eval()
    x = torch.randn(4, 12, 3, dtype=torch.float64)
    whole = flat(layer(x))
    state, outputs = None, []
    for begin, end in pairwise((0, 1, 5, 12)):
        output, state = layer(x[:, begin:end], state)
        outputs.append(output)
    assert_close(flat((torch.cat(outputs, 1), state)), whole)
    state, outputs = None, []
    for t in range(12):
        output, state = layer.step(x[:, t], state)
        outputs.append(output)
    assert_close(flat((torch.stack(outputs, 1), state)), whole)


@each_layer
def test_in_evaluation_lengths_and_packing_equal_each_row_alone(
    layer_class: Any, of_cell: dict[str, Any]
) -> None:
    layer = layer_class(3, 7, 2, bidirectional=True, dtype=torch.float64, **NOISY, **of_cell).eval()
    x, lengths = torch.randn(4, 6, 3, dtype=torch.float64), torch.tensor([3, 6, 1, 4])
    output, *states = flat(layer(x, None, lengths))
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    packed_output, *packed_states = flat(layer(packed))
    assert_close(pad_packed_sequence(packed_output, batch_first=True)[0], output)
    assert_close(packed_states, states)
    for row, length in enumerate(lengths.tolist()):
        alone, *alone_states = flat(layer(x[row : row + 1, :length]))
        assert_close(output[row : row + 1, :length], alone)
        assert_close([state[:, row : row + 1] for state in states], alone_states)


@each_layer
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_trains_on_padded_and_packed_batches(
    layer_class: Any, of_cell: dict[str, Any], dtype: torch.dtype
) -> None:
    layer = layer_class(3, 7, 2, bidirectional=True, dtype=dtype, **NOISY, **of_cell)
    x = torch.randn(4, 6, 3, dtype=dtype)
    packed = pack_padded_sequence(x, torch.tensor([3, 6, 1, 4]), batch_first=True, enforce_sorted=False)
    for output in (layer(x)[0], layer(packed)[0].data):
        layer.zero_grad()
        output.float().square().sum().backward()
        for name, parameter in layer.named_parameters():
            assert parameter.grad.isfinite().all() and parameter.grad.abs().max() > 0, name


def test_layer_keeps_six_h_for_backward_and_no_zero_state(native: ModuleType) -> None:
    batch_size, steps, hidden_size = 8, 12, 16
    layer, x = LSTM(3, hidden_size, peephole=True), torch.randn(batch_size, steps, 3)
    own = {tensor.untyped_storage().data_ptr() for tensor in (x, *layer.parameters())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        layer(x)[0].sum()
    assert 0 < sum(kept.values()) <= 4 * (6 * hidden_size * batch_size * steps + 16)


@untraced
@each_layer
@pytest.mark.parametrize("training", [True, False])
def test_compiles_whole_with_noise(
    native: ModuleType, layer_class: Any, of_cell: dict[str, Any], training: bool
) -> None:
    torch._dynamo.reset()
    layer = layer_class(3, 7, 2, bidirectional=True, **NOISY, **of_cell).train(training)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = torch.randn(4, 6, 3)
    outputs = [compiled(x)[0] for _ in range(2)]
    assert torch.equal(*outputs) is not training
    if not training:
        assert_close(outputs[0], layer(x)[0], 1e-5)
    outputs[0].sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())


@each_layer
def test_exports_in_evaluation(native: ModuleType, layer_class: Any, of_cell: dict[str, Any]) -> None:
    layer = layer_class(3, 7, 2, **NOISY, **of_cell).eval()
    dims = {0: torch.export.Dim("batch"), 1: torch.export.Dim("time")}
    program = torch.export.export(layer, (torch.randn(4, 5, 3),), dynamic_shapes={"x": dims})
    x = torch.randn(2, 9, 3)
    with torch.no_grad():
        assert_close(program.module()(x), layer(x), 1e-6)


@each_layer
def test_survives_pickling_copying_and_state_dicts(layer_class: Any, of_cell: dict[str, Any]) -> None:
    layer = layer_class(3, 7, **NOISY, **of_cell).eval()
    with torch.no_grad():
        layer.weight_layer_norm_l0.uniform_(0.5, 2)
    x = torch.randn(4, 6, 3)
    expected = layer(x)[0]
    fresh = layer_class(3, 7, **NOISY, **of_cell).eval()
    fresh.load_state_dict(layer.state_dict())
    for twin in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer), fresh):
        assert torch.equal(twin(x)[0], expected)


def test_repr_lists_the_options() -> None:
    assert repr(GRU(3, 7, **NOISY)) == "GRU(3, 7, layer_norm=True, recurrent_dropout=0.4, zoneout=0.2)"
    assert repr(LSTM(3, 7, zoneout=(0.1, 0.05))) == "LSTM(3, 7, zoneout=(0.1, 0.05))"
    assert repr(RNN(3, 7)) == "RNN(3, 7)"


@pytest.mark.parametrize(
    ("layer", "option"),
    [
        (LSTM(3, 7, peephole=True), "peephole"),
        (LSTM(3, 7, layer_norm=True), "layer_norm"),
        (LSTM(3, 7, zoneout=(0.0, 0.1)), "zoneout"),
        (GRU(3, 7, recurrent_dropout=0.1), "recurrent_dropout"),
        (GRU(3, 7, layer_norm=True), "layer_norm"),
        (RNN(3, 7, zoneout=0.1), "zoneout"),
        (RNN(3, 7, layer_norm=True), "layer_norm"),
    ],
    ids=str,
)
def test_torch_has_no_such_option(layer: Any, option: str) -> None:
    name = type(layer).__name__
    message = f"{name}.to_torch: torch.nn.{name} has no {option}; the layer expected without, got {option}="
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        layer.to_torch()


def test_zero_options_convert() -> None:
    assert LSTM(3, 7, zoneout=(0.0, 0.0), recurrent_dropout=0.0).to_torch().hidden_size == 7


@pytest.mark.parametrize(
    ("layer_class", "options", "kind", "message"),
    [
        (
            LSTM,
            {"zoneout": 1.0},
            ValueError,
            "LSTM: zoneout expected a probability p with 0 <= p < 1, got 1.0",
        ),
        (
            LSTM,
            {"zoneout": (0.1, -0.1)},
            ValueError,
            "LSTM: zoneout expected a probability p with 0 <= p < 1, ",
        ),
        (LSTM, {"zoneout": (0.1,)}, ValueError, "LSTM: zoneout expected a number or 2 of them, got (0.1,)"),
        (GRU, {"zoneout": (0.1, 0.1)}, ValueError, "GRU: zoneout expected a number, got (0.1, 0.1)"),
        (GRU, {"zoneout": "0.1"}, TypeError, "GRU: zoneout expected a number, got str"),
        (
            RNN,
            {"recurrent_dropout": 1.0},
            ValueError,
            "RNN: recurrent_dropout expected a probability p with 0 <",
        ),
        (
            RNN,
            {"recurrent_dropout": None},
            TypeError,
            "RNN: recurrent_dropout expected a number, got NoneType",
        ),
    ],
)
def test_wrong_construction(
    layer_class: Any, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match="^" + re.escape(message)):
        layer_class(3, 7, **options)
