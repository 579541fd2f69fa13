"""Where there are no kernels plain cells, ours and fused ones, run torch's layer, never a Python loop."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import rnn as torch_rnn
from torch.utils._pytree import tree_leaves, tree_map

from seqlight import use_backend
from seqlight.nn import GRU, LSTM, RNN, Recurrent, fuse
from seqlight.ops import backend, gru, lstm, rnn
from seqlight.ops.recurrent_native import NativeCell

PLAIN: dict[str, Any] = {
    "lstm": lambda: LSTM(3, 5),
    "lstm without bias": lambda: LSTM(3, 5, 2, bias=False, bidirectional=True),
    "gru": lambda: GRU(3, 5, 2, bidirectional=True),
    "rnn": lambda: RNN(3, 5, 2),
    "relu rnn": lambda: RNN(3, 5, nonlinearity="relu", bidirectional=True),
}
#: What torch lacks: by the rule, the reference.
OTHERS: dict[str, Any] = {
    "peephole": lambda: LSTM(3, 5, peephole=True),
    "layer norm": lambda: GRU(3, 5, layer_norm=True),
    "zoneout": lambda: RNN(3, 5, zoneout=0.2),
    "recurrent dropout": lambda: GRU(3, 5, recurrent_dropout=0.2),
}
CALLS = ["whole", "lengths", "lengths of the device", "states", "states and lengths"]


class Counted:
    """How often torch's layer and the reference ran."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.torch = self.reference = 0
        for name in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
            monkeypatch.setattr(torch, name, self._count("torch", getattr(torch, name)))
            vector = torch_rnn._VF
            monkeypatch.setattr(vector, name, self._count("torch", getattr(vector, name)), raising=False)
        reference = NativeCell.reference

        def counted(cell: NativeCell, *arguments: Any) -> Any:
            self.reference += 1
            return reference(cell, *arguments)

        monkeypatch.setattr(NativeCell, "reference", counted)

    def _count(self, name: str, function: Any) -> Any:
        def counted(*arguments: Any) -> Any:
            setattr(self, name, getattr(self, name) + 1)
            return function(*arguments)

        return counted


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


@pytest.fixture(params=["stand-in", "cpu"])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """A device without kernels; and the CPU where the extension was not built."""
    if request.param == "stand-in":
        request.getfixturevalue("stand_in")
        monkeypatch.delitem(backend._native_ops, "standin")
        yield torch.device("standin", 0)
    else:
        monkeypatch.setattr(backend, "_native_ops", {})
        yield torch.device("cpu")


def run(layer: nn.Module, x: Tensor, kind: str) -> list[Tensor]:
    """Results and gradients of a call of the kind; the rows have lengths 6, 0, 3, 5 where it has lengths."""
    options: dict[str, Any] = {}
    x = x.detach().requires_grad_()
    if "lengths" in kind:
        lengths = torch.tensor([6, 0, 3, 5])
        options["lengths"] = lengths.to(x.device) if "device" in kind else lengths
    if "states" in kind:
        directions = 2 if layer.bidirectional else 1
        generator = torch.Generator().manual_seed(2)
        shape = (layer.num_layers * directions, 4, 5)
        states = [torch.randn(shape, generator=generator, dtype=x.dtype).to(x.device) for _ in range(2)]
        options["state"] = tuple(states) if isinstance(layer, LSTM) else states[0]
    output, state = layer(x, **options)
    results = [output, *tree_leaves(state)]
    loss = torch.stack([result.square().sum() for result in results]).sum()
    return [*results, *torch.autograd.grad(loss, [x, *layer.parameters()])]


def on_cpu(values: Any) -> Any:
    return tree_map(lambda tensor: tensor.detach().cpu(), values)


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("name", PLAIN)
def test_plain_cells_run_torch_s_layer(
    native: object, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, name: str, kind: str
) -> None:
    torch.manual_seed(0)
    layer = PLAIN[name]().double().eval()  # cuDNN gives gradients in training alone; ours always
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    expected = run(layer, x, kind)
    counted = Counted(monkeypatch)
    for where in ("stand-in", "cpu"):
        with monkeypatch.context() as patch:
            if where == "stand-in":
                request.getfixturevalue("stand_in")
                patch.delitem(backend._native_ops, "standin")
                there = torch.device("standin", 0)
            else:
                patch.setattr(backend, "_native_ops", {})
                there = torch.device("cpu")
            before = counted.torch
            found = run(copy.deepcopy(layer).to(there), x.to(there), kind)
        assert counted.torch - before == layer.num_layers * layer.num_directions
        torch.testing.assert_close(on_cpu(found), on_cpu(expected), rtol=0, atol=1e-11)
    assert counted.reference == 0


@pytest.mark.parametrize("name", PLAIN)
def test_steps_precisions_and_autocast(device: torch.device, counted: Counted, name: str) -> None:
    layer: Recurrent[Any] = PLAIN[name]().to(device)
    x = torch.randn(4, 6, 3).to(device)
    expected = on_cpu(layer(x)[0])
    if not layer.bidirectional:
        step, _state = layer.step(x[:, 0])
        torch.testing.assert_close(on_cpu(step), expected[:, 0])
    if device.type == "cpu":  # the stand-in has no autocast
        with torch.autocast("cpu", torch.bfloat16):
            output = layer(x)[0]
        assert output.dtype == torch.bfloat16
        torch.testing.assert_close(output.float(), expected, rtol=0, atol=5e-3)
    half = layer.to(torch.bfloat16)(x.bfloat16())[0]
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(on_cpu(half).float(), expected, rtol=0, atol=2e-2)
    assert counted.reference == 0


@pytest.mark.parametrize("name", OTHERS)
def test_what_torch_lacks_runs_the_reference(device: torch.device, counted: Counted, name: str) -> None:
    layer = OTHERS[name]().to(device)
    layer(torch.randn(4, 6, 3).to(device))
    assert (counted.torch, counted.reference) == (0, 1)


@pytest.mark.parametrize("name", PLAIN)
def test_the_reference_when_it_is_asked_for(device: torch.device, counted: Counted, name: str) -> None:
    layer = PLAIN[name]().to(device)
    with use_backend("reference"):
        layer(torch.randn(4, 6, 3).to(device))
    assert (counted.torch, counted.reference) == (0, layer.num_layers * layer.num_directions)


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU, nn.RNN])
def test_fused_layers_run_torch_s_layer(
    device: torch.device, counted: Counted, cell: type[nn.RNNBase]
) -> None:
    """All layers and directions in one call."""
    theirs = cell(3, 5, 2, bidirectional=True).to(device)
    x = torch.randn(6, 4, 3).to(device)
    expected = theirs(x)
    counted.torch = 0
    found = fuse(theirs)(x)
    assert (counted.torch, counted.reference) == (1, 0)
    torch.testing.assert_close(on_cpu(found), on_cpu(expected), rtol=0, atol=0)


@pytest.mark.parametrize("one_bias", ["bias_ih", "bias_hh"])
def test_ops_with_one_bias(monkeypatch: pytest.MonkeyPatch, one_bias: str) -> None:
    """torch has two or none; the ops take either."""
    h = torch.randn(4, 5, dtype=torch.float64)
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    for op, gates, states in ((lstm, 4, (h, h)), (gru, 3, (h,)), (rnn, 1, (h,))):
        weights = torch.randn(gates * 5, 3).double(), torch.randn(gates * 5, 5).double()
        bias = {one_bias: torch.randn(gates * 5, dtype=torch.float64)}
        expected = op(x, *states, *weights, **bias)
        with monkeypatch.context() as patch:
            patch.setattr(backend, "_native_ops", {})
            counted = Counted(patch)
            torch.testing.assert_close(op(x, *states, *weights, **bias), expected, rtol=0, atol=1e-12)
            assert (counted.torch, counted.reference) == (1, 0)


def test_further_derivatives_compiling_and_exporting(monkeypatch: pytest.MonkeyPatch) -> None:
    torch._dynamo.reset()
    layer = LSTM(3, 5).double()
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    expected = layer(x)[0]
    tangent = torch.func.jvp(lambda x: layer(x)[0], (x,), (x,))[1]
    monkeypatch.setattr(backend, "_native_ops", {})
    torch.testing.assert_close(torch.func.jvp(lambda x: layer(x)[0], (x,), (x,))[1], tangent)
    torch.testing.assert_close(torch.func.vmap(lambda x: layer(x[None])[0][0])(x), expected)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x)[0], expected)
    torch.testing.assert_close(torch.export.export(layer, (x,)).module()(x)[0], expected)
