"""fuse(model, replace=True): layers of seqlight.nn in the place of torch's, with their parameters."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence
from torch.utils._pytree import tree_leaves

from seqlight.nn import Recurrent, fuse, fusion_report, unfuse

CELLS: list[tuple[type[nn.RNNBase], dict[str, Any]]] = [
    (nn.LSTM, {"batch_first": True}),
    (nn.LSTM, {"num_layers": 2, "bidirectional": True}),
    (nn.GRU, {"bias": False}),
    (nn.GRU, {"batch_first": True, "num_layers": 2}),
    (nn.RNN, {"nonlinearity": "relu"}),
]
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
every_cell = pytest.mark.parametrize(("cell", "options"), CELLS)


class Model(nn.Module):
    def __init__(self, cell: type[nn.RNNBase], **options: Any) -> None:
        super().__init__()
        self.layer = cell(3, 5, **options)
        self.head = nn.Linear(5 * (1 + self.layer.bidirectional), 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0])


@every_cell
def test_same_parameters_keys_and_results(cell: type[nn.RNNBase], options: dict[str, Any]) -> None:
    plain = Model(cell, **options).double()
    model = copy.deepcopy(plain)
    parameters = [id(parameter) for parameter in model.parameters()]
    assert fuse(model, replace=True) is model
    assert isinstance(model.layer, Recurrent) and not isinstance(model.layer, nn.RNNBase)
    assert [id(parameter) for parameter in model.parameters()] == parameters
    assert list(model.state_dict()) == list(plain.state_dict())
    assert str(fusion_report(model)).startswith("1 of 1 recurrent layers run")
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    close = {"rtol": 0, "atol": 1e-9}
    torch.testing.assert_close(model(x), plain(x), **close)
    found, expected = model.layer(x), plain.layer(x)
    torch.testing.assert_close(found, expected, **close)
    states = found[1]
    torch.testing.assert_close(model.layer(x, hx=states), plain.layer(x, hx=states), **close)
    one, of_one = x[0], states[:, 0] if isinstance(states, Tensor) else tuple(part[:, 0] for part in states)
    torch.testing.assert_close(model.layer(one), plain.layer(one), **close)
    torch.testing.assert_close(model.layer(one, of_one), plain.layer(one, of_one), **close)
    packed = pack_sequence([x[0, :3], x[1], x[2, :4]], enforce_sorted=False)
    (output, final), (their_output, their_final) = model.layer(packed), plain.layer(packed)
    torch.testing.assert_close(
        [*pad_packed_sequence(output), *tree_leaves(final)],
        [*pad_packed_sequence(their_output), *tree_leaves(their_final)],
        **close,
    )
    again = pickle.loads(pickle.dumps(model))
    assert torch.equal(again(x), model(x))
    unfuse(model)
    assert type(model.layer) is cell
    assert [id(parameter) for parameter in model.parameters()] == parameters
    assert model.layer.batch_first == plain.layer.batch_first
    torch.testing.assert_close(model(x), plain(x), rtol=0, atol=0)


@every_cell
def test_compiles_whole_and_exports(cell: type[nn.RNNBase], options: dict[str, Any]) -> None:
    torch._dynamo.reset()
    plain = Model(cell, **options)
    model = fuse(copy.deepcopy(plain), replace=True)
    x = torch.randn(4, 6, 3)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), plain(x))
    program = torch.export.export(model.eval(), (x,))
    assert "seqlight" in str(program.graph)
    torch.testing.assert_close(program.module()(x), plain(x))


def test_the_layer_itself_shared_layers_and_those_that_stay() -> None:
    layer = nn.LSTM(3, 5, batch_first=True).eval()
    made = fuse(layer, replace=True)
    assert made is not layer and made.weight_hh_l0 is layer.weight_hh_l0 and not made.training
    back = unfuse(made)
    assert type(back) is nn.LSTM and back.weight_hh_l0 is layer.weight_hh_l0 and not back.training

    shared = nn.GRU(3, 3)
    model = nn.ModuleList([shared, nn.Sequential(shared)])
    fuse(model, replace=True)
    assert model[0] is model[1][0]
    assert isinstance(model[0], Recurrent)

    class Named(nn.LSTM):
        pass

    hooked, computed = nn.LSTM(3, 5), nn.LSTM(3, 5)
    hooked.register_forward_hook(lambda *_: None)
    nn.utils.parametrizations.weight_norm(computed, "weight_hh_l0")
    model = nn.ModuleList([Named(3, 5), hooked, computed])
    with pytest.warns(UserWarning, match=r"not exactly torch's; .* has hooks; .* computed weights; fuse it"):
        fuse(model, replace=True)
    assert not any(isinstance(layer, Recurrent) for layer in model)
    fuse(model)
    assert all(layer.fused for layer in fusion_report(model).layers)
