"""Plain calls go to the ops directly; what the ops refuse is explained, and no defect is hidden."""

import itertools
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from seqlight.nn import GRU, LSTM, RNN
from seqlight.ops.recurrent_native import NativeCell

LAYERS: list[tuple[Any, dict[str, Any]]] = [
    (LSTM, {}),
    (LSTM, {"peephole": True, "layer_norm": True}),
    (LSTM, {"zoneout": (0.1, 0.2), "recurrent_dropout": 0.3}),
    (GRU, {}),
    (GRU, {"layer_norm": True, "zoneout": 0.1}),
    (RNN, {"nonlinearity": "relu"}),
    (RNN, {"layer_norm": True, "recurrent_dropout": 0.2}),
]
each_layer = pytest.mark.parametrize(("layer_class", "options"), LAYERS, ids=str)


def in_vain(*_: Any) -> None:
    pytest.fail("went the ordinary way")


@each_layer
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_good_input_never_goes_the_ordinary_way(
    native: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    layer_class: Any,
    options: dict[str, Any],
    dtype: torch.dtype,
) -> None:
    """In evaluation, with gradients and without, packed and not, whatever the sizes and strides."""
    kinds = itertools.product((1, 2), (False, True), (True, False))
    for num_layers, bidirectional, bias in kinds:
        layer = layer_class(3, 5, num_layers, bidirectional=bidirectional, bias=bias, dtype=dtype, **options)
        layer.eval()
        monkeypatch.setattr(layer, "_run", in_vain)
        for batch_size, steps in ((0, 3), (1, 1), (4, 3), (17, 2)):
            dense = torch.randn(batch_size, steps, 3, dtype=dtype)
            others = (dense.transpose(0, 1).contiguous().transpose(0, 1), dense[:1, :1].expand(dense.shape))
            for x in (dense, *(others if batch_size else ())):
                _, state = layer(x)
                layer(x, state)
                layer(x.clone().requires_grad_(), state)
                for packed, inference in itertools.product((False, True), repeat=2):
                    with torch.inference_mode(inference), torch.no_grad():
                        if packed:
                            with layer.packed():
                                run_both(layer, x)
                        else:
                            run_both(layer, x)


def run_both(layer: Any, x: Tensor) -> None:
    _, state = layer(x)
    layer(x, state)
    if not layer.bidirectional:
        _, state = layer.step(x[:, 0])
        layer.step(x[:, 0], state)


@each_layer
def test_training_without_noise_does_not_either(
    native: ModuleType, monkeypatch: pytest.MonkeyPatch, layer_class: Any, options: dict[str, Any]
) -> None:
    noise = {"zoneout", "recurrent_dropout"}
    layer = layer_class(3, 5, **{key: value for key, value in options.items() if key not in noise})
    monkeypatch.setattr(layer, "_run", in_vain)
    output, _ = layer(torch.randn(4, 6, 3))
    output.sum().backward()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("error", [RuntimeError, TypeError, ValueError, AttributeError, KeyError])
def test_a_defect_is_raised(
    native: ModuleType, monkeypatch: pytest.MonkeyPatch, error: type[Exception], packed: bool
) -> None:
    """One that the ordinary way does not have: the op called directly raises, and nothing is wrong."""
    layer, x = LSTM(3, 5).eval(), torch.randn(2, 4, 3)

    def broken(*_: Any, **__: Any) -> None:
        raise error("a defect")

    monkeypatch.setattr(layer, "_run_cell", broken)
    with torch.no_grad():
        for call in (lambda: layer(x), lambda: layer.step(x[:, 0])):
            with pytest.raises(error, match="a defect") as caught:
                if packed:
                    with layer.packed():
                        call()
                else:
                    call()
            if error is not KeyError:
                assert caught.value.__notes__ == [
                    "LSTM: the layer's own checks find nothing wrong with the arguments"
                ]


def test_a_defect_of_the_op_is_raised(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the op is broken")

    layer, x = GRU(3, 5).eval(), torch.randn(2, 4, 3)
    monkeypatch.setattr(NativeCell, "__call__", broken)
    with pytest.raises(RuntimeError, match="the op is broken"):
        layer(x)


def test_computed_weights_go_the_ordinary_way(native: ModuleType) -> None:
    layer, x = LSTM(3, 5).eval(), torch.randn(2, 4, 3)
    expected = layer(x)
    torch.nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    before = native.call_counts().get("lstm_forward.float32", 0)
    torch.testing.assert_close(layer(x), expected)
    assert native.call_counts()["lstm_forward.float32"] == before + 1
