"""seqlight.nn.fuse: layers of torch.nn on the kernels compute what torch does, for every way to call them."""

import copy
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.utils._pytree import tree_leaves, tree_map

import seqlight
from seqlight import use_backend
from seqlight.nn import fuse, unfuse

CELLS: list[type[nn.RNNBase]] = [nn.LSTM, nn.GRU, nn.RNN]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"batch_first": True, "bias": False},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 3, "batch_first": True},
]
every_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)
every_option = pytest.mark.parametrize("options", OPTIONS, ids=str)
KINDS = ["batch", "one", "packed", "packed unsorted"]
LENGTHS = torch.tensor([3, 6, 1, 4])


def pair(
    cell: type[nn.RNNBase], dtype: torch.dtype = torch.float64, **options: Any
) -> tuple[nn.RNNBase, nn.RNNBase]:
    """A fused layer and its copy that is torch's own."""
    theirs = cell(3, 5, dtype=dtype, **options)
    return fuse(copy.deepcopy(theirs)), theirs


def kernel_runs(native: ModuleType) -> int:
    return sum(native.call_counts().values())


def inputs(layer: nn.RNNBase, kind: str, dtype: torch.dtype = torch.float64) -> tuple[Any, Any]:
    """Give x and states for a call of the kind."""
    states: Any = tuple(
        torch.randn(layer.num_layers * (1 + layer.bidirectional), 4, 5, dtype=dtype) for _ in range(2)
    )
    x = torch.randn(4, 6, 3, dtype=dtype)
    if kind == "one":
        x, states = x[0], tuple(state[:, 0] for state in states)
    elif not layer.batch_first:
        x = x.transpose(0, 1)
    if not isinstance(layer, nn.LSTM):
        states = states[0]
    return x, states


def call(layer: nn.RNNBase, kind: str, x: Tensor, states: Any) -> tuple[list[Tensor], Any]:
    """Give output and states, and the packed form."""
    if not kind.startswith("packed"):
        output, final = layer(x, states)
        return [output, *tree_leaves(final)], None
    lengths = LENGTHS if kind.endswith("unsorted") else LENGTHS.sort(descending=True).values
    packed = pack_padded_sequence(
        x, lengths, batch_first=layer.batch_first, enforce_sorted=not kind.endswith("unsorted")
    )
    output, final = layer(packed, states)
    assert isinstance(output, PackedSequence)
    padded, found = pad_packed_sequence(output, batch_first=layer.batch_first)
    assert torch.equal(found, lengths)
    return [padded, *tree_leaves(final)], output


def results(layer: nn.RNNBase, kind: str, x: Tensor, states: Any) -> list[Tensor]:
    """Output, states, and the gradients of a loss of all of them by everything."""
    wanted = tree_map(
        lambda tensor: None if tensor is None else tensor.detach().clone().requires_grad_(), (x, states)
    )
    values, _packed = call(layer, kind, *wanted)
    loss = torch.stack([(value * value.cos()).sum() for value in values]).sum()
    sources = [*tree_leaves(wanted), *layer.parameters()]
    sources = [source for source in sources if source is not None]
    return [*values, *torch.autograd.grad(loss, sources)]


@every_cell
@every_option
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("with_states", [False, True])
def test_equals_torch(
    native: ModuleType, cell: type[nn.RNNBase], options: dict[str, Any], kind: str, with_states: bool
) -> None:
    fused, theirs = pair(cell, **options)
    x, states = inputs(theirs, kind)
    states = states if with_states else None
    before = kernel_runs(native)
    found = results(fused, kind, x, states)
    assert kernel_runs(native) - before == 2 * theirs.num_layers * (1 + theirs.bidirectional)
    expected = results(theirs, kind, x, states)
    assert found[0].is_contiguous() or kind.startswith("packed")  # padded by torch
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    with torch.no_grad():
        torch.testing.assert_close(
            call(fused, kind, x, states)[0], call(theirs, kind, x, states)[0], rtol=0, atol=1e-12
        )


@every_cell
def test_float32(cell: type[nn.RNNBase]) -> None:
    fused, theirs = pair(cell, torch.float32, num_layers=2)
    x, states = inputs(theirs, "batch", torch.float32)
    torch.testing.assert_close(
        results(fused, "batch", x, states), results(theirs, "batch", x, states), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@every_cell
def test_half_precision(native: ModuleType, cell: type[nn.RNNBase], dtype: torch.dtype) -> None:
    """Nearer to the exact values than torch's own, which rounds at each step."""
    fused, theirs = pair(cell, dtype, num_layers=2)
    x, _states = inputs(theirs, "batch", dtype)
    exact = copy.deepcopy(theirs).double()(x.double())[0]
    before = kernel_runs(native)
    found = fused(x)[0]
    assert kernel_runs(native) > before
    assert found.dtype == dtype
    assert (found - exact).abs().max() <= (theirs(x)[0] - exact).abs().max() + 1e-3


@every_cell
def test_autocast(native: ModuleType, cell: type[nn.RNNBase]) -> None:
    """Answers have the dtypes of torch's, which for a GRU is that of its states."""
    fused, theirs = pair(cell, torch.float32, num_layers=2)
    x, _states = inputs(theirs, "batch", torch.float32)
    exact = theirs(x)[0]
    before = kernel_runs(native)
    with torch.autocast("cpu", torch.bfloat16):
        output, states = fused(x)
        again = fused(x, states)[0]
        try:
            expected = tree_leaves(theirs(x))
        except RuntimeError as error:
            # oneDNN has no LSTM in bfloat16 for processors without AVX-512; ours answers there as elsewhere
            assert cell is nn.LSTM and "could not create a primitive" in str(error)
            expected = [torch.zeros((), dtype=torch.bfloat16)] * 3
    assert kernel_runs(native) == before + 4
    wanted = torch.float32 if cell is nn.GRU else torch.bfloat16
    assert output.dtype == again.dtype == expected[0].dtype == wanted
    assert [part.dtype for part in tree_leaves((output, states))] == [part.dtype for part in expected]
    torch.testing.assert_close(output.float(), exact, rtol=0, atol=1e-2)
    output.float().sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in fused.parameters())


@every_cell
def test_second_derivatives(cell: type[nn.RNNBase]) -> None:
    fused, theirs = pair(cell)
    x, _states = inputs(theirs, "batch")
    found = []
    for layer in (fused, theirs):
        given = x.clone().requires_grad_()
        (first,) = torch.autograd.grad(layer(given)[0].square().sum(), given, create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), list(layer.parameters())))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-9)


@every_cell
def test_torch_func(cell: type[nn.RNNBase]) -> None:
    """Per-sample gradients, and weights that stand in for the layer's own."""
    fused, theirs = pair(cell, batch_first=True)
    x, _states = inputs(theirs, "batch")
    weights = {name: weight.detach() * 1.1 for name, weight in theirs.named_parameters()}

    def loss(weights: dict[str, Tensor], one: Tensor) -> Tensor:
        return torch.func.functional_call(fused, weights, (one.unsqueeze(0),))[0].square().sum()

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, x)
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            weight.copy_(weights[name])
    for row in range(4):
        gradients = torch.autograd.grad(theirs(x[row : row + 1])[0].square().sum(), list(theirs.parameters()))
        for name, gradient in zip(weights, gradients, strict=True):
            torch.testing.assert_close(found[name][row], gradient, rtol=0, atol=1e-9)


def test_forward_mode() -> None:
    fused, theirs = pair(nn.LSTM, batch_first=True)
    x, _states = inputs(theirs, "batch")
    tangent = torch.randn_like(x)
    found = torch.func.jvp(lambda x: fused(x)[0], (x,), (tangent,))[1]
    step = 1e-6
    expected = (theirs(x + step * tangent)[0] - theirs(x - step * tangent)[0]) / (2 * step)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)


def test_dropout_between_layers() -> None:
    """In training half of what the second layer sees is zero, and the rest doubled; in evaluation nothing."""
    fused, theirs = pair(nn.RNN, num_layers=2, dropout=0.5, nonlinearity="relu")
    x = torch.rand(50, 8, 3, dtype=torch.float64)
    with torch.no_grad():
        for layer in (fused, theirs):
            for name, parameter in layer.named_parameters():
                parameter.zero_()
                if name == "bias_ih_l0":
                    parameter.fill_(1)
                if name == "weight_ih_l1":
                    parameter.copy_(torch.eye(5))
        found = fused(x)[0]
        assert sorted(found.unique().tolist()) == [0, 2]
        assert 0.4 < (found == 0).double().mean() < 0.6
        torch.testing.assert_close(fused.eval()(x), theirs.eval()(x))


def test_what_kernels_do_not_take_runs_in_torch(native: ModuleType) -> None:
    """With torch's results and torch's errors."""
    fused, theirs = pair(nn.LSTM, batch_first=True)
    x, states = inputs(theirs, "batch")
    before = kernel_runs(native)
    with use_backend("reference"):
        torch.testing.assert_close(fused(x, states), theirs(x, states))
    wrong: list[tuple[Any, ...]] = [
        (x[:, :, :2],),
        (x.float(),),
        (x.long(),),
        (x.unsqueeze(0),),
        (x, states[0]),
        (x, (states[0][:, :2], states[1][:, :2])),
        (x, tuple(state.float() for state in states)),
        (x[0], states),
        (x[:, :0],),
        ("x",),
    ]
    for arguments in wrong:
        messages = []
        for layer in (fused, theirs):
            with pytest.raises(Exception) as error:
                layer(*arguments)
            messages.append((error.type, str(error.value)))
        assert messages[0] == messages[1]
    assert kernel_runs(native) == before
    assert fused(x[:0])[0].shape == theirs(x[:0])[0].shape


@every_cell
def test_keywords_lists_and_hooks(cell: type[nn.RNNBase]) -> None:
    fused, theirs = pair(cell)
    x, states = inputs(theirs, "batch")
    expected = theirs(x, states)
    seen = []
    fused.register_forward_pre_hook(lambda layer, arguments: seen.append("before"))
    fused.register_forward_hook(lambda layer, arguments, result: seen.append(result[0].shape))
    fused.register_full_backward_hook(lambda layer, given, taken: seen.append("backward"))
    fused.flatten_parameters()
    x = x.clone().requires_grad_()
    found = fused(x, hx=list(states) if cell is nn.LSTM else states)
    found[0].sum().backward()
    torch.testing.assert_close(fused(input=x, hx=states), expected)
    torch.testing.assert_close(found, expected)
    assert seen == ["before", expected[0].shape, "backward", "before", expected[0].shape]


@pytest.mark.parametrize("batch_first", [False, True])
def test_output_can_be_viewed(batch_first: bool) -> None:
    """As torch's: projects without ``batch_first`` write output.view(steps * batch, size)."""
    fused, theirs = pair(nn.GRU, batch_first=batch_first)
    x, _states = inputs(theirs, "batch")
    torch.testing.assert_close(fused(x)[0].view(24, 5), theirs(x)[0].reshape(24, 5))


def test_inside_a_model_that_trains() -> None:
    """30 steps of an optimiser made before fusing; the losses are torch's."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.LSTM(3, 5, 2, batch_first=True)
            self.decoder = nn.Sequential(nn.GRU(5, 4))
            self.head = nn.Linear(4, 1)

        def forward(self, x: Tensor) -> Tensor:
            output, _state = self.encoder(x)
            return self.head(self.decoder(output)[0])

    torch.manual_seed(0)
    plain = Model().double()
    fused = copy.deepcopy(plain)
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    losses: list[list[float]] = []
    for model in (plain, fused):
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        if model is fused:
            keys, parameters = list(model.state_dict()), [id(parameter) for parameter in model.parameters()]
            assert seqlight.nn.fuse(model) is model
            assert list(model.state_dict()) == keys
            assert [id(parameter) for parameter in model.parameters()] == parameters
        losses.append([])
        for _step in range(30):
            optimizer.zero_grad()
            loss = (model(x)[:, -1] - x[:, 0, :1]).square().mean()
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
    assert losses[0][-1] < 0.7 * losses[0][0]
    torch.testing.assert_close(losses[1], losses[0], rtol=0, atol=1e-9)
    unfuse(fused)
    assert type(fused.encoder) is nn.LSTM and type(fused.decoder[0]) is nn.GRU
