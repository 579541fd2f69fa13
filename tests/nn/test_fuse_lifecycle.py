"""A fused layer through what a model goes through: parametrised, copied, pickled, compiled, quantised."""

import copy
import io
import itertools
import json
import pickle
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from seqlight.nn import LSTM, fuse, fusion_report, unfuse


class Named(nn.LSTM):
    """A subclass that keeps torch's forward."""

    def step(self) -> str:
        return "its own"


class Double(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.ModuleDict({"one": nn.LSTM(3, 5), "two": Named(3, 5), "three": nn.GRU(3, 5)}).double()


X = torch.randn(6, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

ACTIONS: dict[str, Any] = {
    "fuse": lambda layer, peer: fuse(layer),
    "unfuse": lambda layer, peer: unfuse(layer),
    "parametrise": lambda layer, peer: parametrize.register_parametrization(layer, "weight_hh_l0", Double()),
    "second parametrisation": lambda layer, peer: parametrizations.weight_norm(layer, "weight_ih_l0"),
    "remove": lambda layer, peer: (
        parametrize.is_parametrized(layer, "weight_hh_l0")
        and parametrize.remove_parametrizations(layer, "weight_hh_l0")
    ),
    "tie": lambda layer, peer: setattr(layer, "bias_hh_l0", peer.bias_hh_l0),
    "copy": lambda layer, peer: copy.deepcopy(layer),
}


@pytest.mark.parametrize("cell", [nn.LSTM, nn.RNN, Named], ids=lambda cell: cell.__name__)
def test_every_order(cell: type[nn.RNNBase]) -> None:
    """Fuse, parametrise, remove, unfuse, tie, copy in every order: always what torch's own layer gives."""
    peer = nn.LSTM(3, 5) if cell is not nn.RNN else nn.RNN(3, 5)
    names = ["fuse", "parametrise", "remove", "unfuse", "tie"]
    orders = [*itertools.permutations(names), ("fuse", "second parametrisation", "copy", *names)]
    for order in (
        *orders,
        ("parametrise", "fuse", "copy", "second parametrisation", "unfuse", "fuse", "remove"),
    ):
        torch.manual_seed(0)
        layer, theirs = cell(3, 5), cell(3, 5)
        theirs.load_state_dict(layer.state_dict())
        fused = False
        for action in order:
            made = ACTIONS[action](layer, peer)
            layer = made if action in ("fuse", "unfuse", "copy") else layer
            if action not in ("fuse", "unfuse", "copy"):
                ACTIONS[action](theirs, peer)
            fused = {"fuse": True, "unfuse": False}.get(action, fused)
            assert fusion_report(layer).layers[0].fused is fused
            assert isinstance(layer, cell)
            assert list(layer.state_dict()) == list(theirs.state_dict())
            with torch.no_grad():
                torch.testing.assert_close(layer(X.float()), theirs(X.float()), rtol=1e-5, atol=1e-6)
        unfuse(layer)
        if parametrize.is_parametrized(layer):
            for name in list(layer.parametrizations):
                parametrize.remove_parametrizations(layer, name)
        assert type(layer) is cell


def test_gradients_of_parametrised_and_hooked_weights() -> None:
    for hook in (parametrizations.weight_norm, nn.utils.weight_norm, nn.utils.spectral_norm):
        found = []
        for wants_fusing in (True, False):
            torch.manual_seed(0)
            layer = nn.LSTM(3, 5).double().eval()  # spectral norm moves on at each call in training
            if wants_fusing:
                fuse(layer)
            if hook is nn.utils.weight_norm:
                with pytest.warns(FutureWarning, match="weight_norm"):
                    hook(layer, "weight_hh_l0")
            else:
                hook(layer, "weight_hh_l0")
            loss = layer(X)[0].square().sum()
            found.append(torch.autograd.grad(loss, list(layer.parameters())))
        torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-9)


def test_pruned_weights() -> None:
    layers = [nn.GRU(3, 5), fuse(nn.GRU(3, 5))]
    layers[1].load_state_dict(layers[0].state_dict())
    for layer in layers:
        torch.manual_seed(0)
        prune.random_unstructured(layer, "weight_hh_l0", 0.5)
    torch.testing.assert_close(layers[1](X.float()), layers[0](X.float()))
    for layer in layers:
        prune.remove(layer, "weight_hh_l0")
    torch.testing.assert_close(layers[1](X.float()), layers[0](X.float()))


def test_tied_weights_stay_tied() -> None:
    model = nn.ModuleList([nn.GRU(4, 4), nn.GRU(4, 4)])
    model[1].weight_hh_l0 = model[0].weight_hh_l0
    shared = nn.LSTM(3, 5)
    twice = nn.ModuleList([shared, shared])
    fuse(model)
    assert model[1].weight_hh_l0 is model[0].weight_hh_l0
    assert len(list(model.parameters())) == 7
    fuse(twice)
    assert twice[0] is twice[1] is shared
    assert len(fusion_report(twice).layers) == 1
    copied = copy.deepcopy(model)
    assert copied[1].weight_hh_l0 is copied[0].weight_hh_l0


def test_moved_converted_and_loaded() -> None:
    layer = fuse(nn.LSTM(3, 5))
    layer.to(torch.float64)
    torch.testing.assert_close(layer(X), unfuse(copy.deepcopy(layer))(X))
    layer.half()
    assert layer(X.half())[0].dtype == torch.float16
    layer.to("meta")
    assert layer(X.half().to("meta"))[0].shape == (6, 4, 5)
    layer.to_empty(device="cpu")
    other = nn.LSTM(3, 5)
    layer.load_state_dict(other.state_dict(), assign=True)
    torch.testing.assert_close(layer(X.float()), other(X.float()))
    layer.double()
    assert layer.weight_hh_l0.dtype == torch.float64
    for parameter in layer.parameters():
        parameter.requires_grad_(False)
    assert not layer(X)[0].requires_grad


def test_copies_and_pickles_are_fused() -> None:
    model = fuse(network())
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for again in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        torch.load(file, weights_only=False),
        copy.copy(model),
    ):
        assert [layer.fused for layer in fusion_report(again).layers] == [True] * 3
        assert [type(layer) for layer in again.values()] == [type(layer) for layer in model.values()]
        for name in model:
            assert torch.equal(again[name](X)[0], model[name](X)[0])
    assert model["two"].step() == "its own"


LOADING = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "seqlight":
            raise ModuleNotFoundError("No module named 'seqlight'", name="seqlight")
sys.meta_path.insert(0, Nothing())
import torch
model = torch.load(sys.argv[1], weights_only=False)
print(type(model[0]), model(torch.zeros(2, 4, 3))[0].shape)
"""


def test_where_seqlight_is_not_installed(tmp_path: Path) -> None:
    """What was unfused loads; what is fused says what is missing; a state_dict is always torch's."""
    model = fuse(nn.Sequential(nn.LSTM(3, 5)))
    torch.save(model, tmp_path / "fused.pt")
    torch.save(model.state_dict(), tmp_path / "state.pt")
    torch.save(unfuse(model), tmp_path / "plain.pt")
    runs = {}
    for name in ("fused", "plain"):
        command = [sys.executable, "-c", LOADING, str(tmp_path / f"{name}.pt")]
        runs[name] = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "class 'torch.nn.modules.rnn.LSTM'> torch.Size([2, 4, 5])" in runs["plain"].stdout
    assert runs["fused"].returncode != 0
    assert "No module named 'seqlight'" in runs["fused"].stderr
    nn.Sequential(nn.LSTM(3, 5)).load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))


def test_parametrised_layers_refuse_to_be_pickled_as_torch_s_do() -> None:
    layer = fuse(nn.LSTM(3, 5))
    parametrize.register_parametrization(layer, "weight_hh_l0", Double())
    with pytest.raises(RuntimeError, match="only supported through state_dict"):
        pickle.dumps(layer)


def test_compile_breaks_the_graph_as_at_torch_s_layer() -> None:
    counts = []
    for wants_fusing in (False, True):
        torch._dynamo.reset()
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 3), nn.LSTM(3, 5))
        expected = model(X.float())[0]
        if wants_fusing:
            fuse(model)
        counts.append(torch._dynamo.explain(model)(X.float()).graph_break_count)
        compiled = torch.compile(model, backend="aot_eager")
        torch.testing.assert_close(compiled(X.float())[0], expected)
        compiled(X.float())[0].sum().backward()
    assert counts[0] == counts[1]


@pytest.mark.filterwarnings("ignore:torch.ao.quantization:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_quantisation_wants_unfused_layers() -> None:
    model = fuse(nn.Sequential(nn.LSTM(3, 5)))

    def quantised() -> nn.Module:
        return torch.ao.quantization.quantize_dynamic(model, {nn.LSTM}, dtype=torch.qint8)

    with pytest.raises(RuntimeError, match=r"unfuse\(model\) first, then"):
        quantised()
    unfuse(model)
    made = quantised()
    assert "quantized" in type(made[0]).__module__


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:The tensor attributes self._flat_weights:UserWarning")
def test_traced_and_exported_programs_are_torch_s() -> None:
    layer = fuse(nn.LSTM(3, 5).eval())
    with torch.no_grad():
        traced = torch.jit.trace(layer, X.float())
    assert "aten::lstm" in str(traced.graph)
    torch.testing.assert_close(traced(X.float()), layer(X.float()))
    with pytest.raises(RuntimeError, match=r"torch.jit.script .* call seqlight.nn.unfuse\(model\) first"):
        torch.jit.script(nn.Sequential(layer))
    program = torch.export.export(layer, (X.float(),), strict=False)
    assert "seqlight" not in str(program.graph)
    torch.testing.assert_close(program.module()(X.float()), layer(X.float()))


def test_what_is_not_fused_is_said() -> None:
    class Odd(nn.LSTM):
        def permute_hidden(self, hx: Any, permutation: Any) -> Any:
            return super().permute_hidden(hx, permutation)

    patched = nn.GRU(3, 5)
    patched.forward = lambda x: x  # type: ignore[method-assign,assignment]
    model = nn.ModuleDict(
        {
            "a": nn.LSTM(3, 5, proj_size=2),
            "b": Odd(3, 5),
            "c": nn.GRUCell(3, 5),
            "d": patched,
            "e": LSTM(3, 5),
            "f": nn.RNN(3, 5),
        }
    )
    assert str(fusion_report(model)).splitlines()[0] == "1 of 6 recurrent layers run on seqlight's kernels"
    with pytest.warns(UserWarning, match=r"4 of 6 .* remain torch's: a \(proj_size=2; .*b \(its class has a"):
        fuse(model)
    report = fusion_report(model)
    assert {layer.name: layer.fused for layer in report.layers} == dict(
        a=False, b=False, c=False, d=False, e=True, f=True
    )
    shown = str(report).splitlines()
    assert shown[0] == "2 of 6 recurrent layers run on seqlight's kernels"
    assert " ".join(shown[1].split()) == "a LSTM not fused: proj_size=2; the kernels have no projection"
    assert " ".join(shown[6].split()) == "f FusedRNN fused"
    assert type(model["a"]) is nn.LSTM and type(model["b"]) is Odd
    model.to("meta")
    assert "on meta" in str(fusion_report(model).layers[5].reason)
    with pytest.warns(UserWarning, match="the model has no recurrent layer, so nothing changes"):
        fuse(nn.Linear(2, 2))
    assert str(fusion_report(nn.Linear(2, 2))) == "no recurrent layers"
    for function in (fuse, unfuse, fusion_report):
        with pytest.raises(TypeError, match=r"model expected a torch\.nn\.Module, got type"):
            function(nn.LSTM)  # type: ignore[type-var]


class Own(nn.Module):
    """Derived classes of libraries add to torch's forward, and have a base beside it."""

    def forward(self, x: Tensor, hx: Any = None, factor: float = 2.0) -> Any:
        output, states = super().forward(x, hx)  # type: ignore[misc]
        return factor * output, states


class Derived(Own, nn.LSTM):
    pass


def test_a_forward_that_calls_torch_s(native: ModuleType) -> None:
    theirs = Derived(3, 5).double()
    layer = fuse(copy.deepcopy(theirs))
    assert isinstance(layer, Derived)
    before = native.call_counts().get("lstm_forward.float64", 0)
    torch.testing.assert_close(layer(X, factor=3.0), theirs(X, factor=3.0))
    assert native.call_counts()["lstm_forward.float64"] == before + 1
    again = pickle.loads(pickle.dumps(layer))
    assert type(again) is type(layer)
    assert torch.equal(again(X)[0], layer(X)[0])
    parametrize.register_parametrization(layer, "weight_hh_l0", Double())
    parametrize.register_parametrization(theirs, "weight_hh_l0", Double())
    torch.testing.assert_close(layer(X), theirs(X))
    unfuse(layer)
    parametrize.remove_parametrizations(layer, "weight_hh_l0")
    assert type(layer) is Derived


def test_fusing_again_changes_nothing() -> None:
    model = fuse(network())
    kinds = [type(layer) for layer in fuse(model).values()]
    assert [kind.__name__ for kind in kinds] == ["FusedLSTM", "FusedNamed", "FusedGRU"]
    assert [type(layer) for layer in unfuse(unfuse(model)).values()] == [nn.LSTM, Named, nn.GRU]


def test_distributed_data_parallel() -> None:
    """Two processes, fused before or after wrapping, end with the parameters of torch's layers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(__file__).with_name("fused_in_two_processes.py")
    command = [sys.executable, str(script), str(port)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert [kind for kind, _values in found.values()] == ["LSTM", "FusedLSTM", "FusedLSTM"]
    assert found["before"][1] == pytest.approx(found["never"][1], abs=1e-9)
    assert found["after"][1] == pytest.approx(found["never"][1], abs=1e-9)
