"""Orthogonal recurrent weights and the forget gate's bias, in layers and forecasters."""

import pytest
import torch
from torch import nn

import seqlight
from seqlight.models import GRUForecaster, LSTMForecaster, RNNForecaster
from seqlight.nn import GRU, LSTM, RNN, init_recurrent_

LAYERS = {
    "rnn": lambda **options: RNN(3, 6, num_layers=2, bidirectional=True, **options),
    "lstm": lambda **options: LSTM(3, 6, num_layers=2, peephole=True, **options),
    "gru": lambda **options: GRU(3, 6, num_layers=2, **options),
}


def gates(parameter):
    return parameter.detach().split(6)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_orthogonal_recurrent_weights(kind, dtype):
    torch.manual_seed(0)
    uniform = LAYERS[kind](dtype=dtype)
    torch.manual_seed(0)
    layer = LAYERS[kind](recurrent_init="orthogonal", dtype=dtype)
    tolerance = 1e-5 if dtype == torch.float32 else 0.05
    for (name, parameter), plain in zip(layer.named_parameters(), uniform.parameters(), strict=True):
        if not name.startswith("weight_hh"):
            assert torch.equal(parameter, plain), name  # drawn as ever
            continue
        for gate in gates(parameter):
            torch.testing.assert_close(
                gate.float() @ gate.float().T, torch.eye(6), rtol=0, atol=tolerance, msg=name
            )
    blocks = [gate for name, p in layer.named_parameters() if "weight_hh" in name for gate in gates(p)]
    assert len({block[0, 0].item() for block in blocks}) > len(blocks) // 2  # not one for all


def test_orthogonal_weights_keep_the_gradient_of_a_linear_recurrence():
    """Through a hundred steps of h_t = W h_(t-1), the gradient has the norm that it came with."""
    torch.manual_seed(0)
    norms = {}
    for name in ("uniform", "orthogonal"):
        weight = RNN(1, 20, recurrent_init=name).weight_hh_l0.detach()
        norms[name] = (torch.linalg.matrix_power(weight, 100) @ torch.ones(20)).norm() / 20**0.5
    assert norms["orthogonal"] == pytest.approx(1.0, rel=1e-3)
    assert norms["uniform"] < 1e-10


def test_forget_bias():
    torch.manual_seed(0)
    plain = LSTM(3, 6, num_layers=2, bidirectional=True)
    torch.manual_seed(0)
    layer = LSTM(3, 6, num_layers=2, bidirectional=True, forget_bias=1.5)
    for suffix in ("l0", "l0_reverse", "l1", "l1_reverse"):
        ih, hh = (gates(getattr(layer, f"bias_{part}_{suffix}")) for part in ("ih", "hh"))
        assert (ih[1] + hh[1]).tolist() == [1.5] * 6
        for gate in (0, 2, 3):
            assert torch.equal(ih[gate], gates(getattr(plain, f"bias_ih_{suffix}"))[gate])
    torch.manual_seed(0)
    layer.reset_parameters()
    assert gates(layer.bias_ih_l0)[1].tolist() == [1.5] * 6


def test_layers_of_torch_take_it_too():
    torch.manual_seed(0)
    theirs = nn.LSTM(3, 6)
    init_recurrent_(theirs, "orthogonal", forget_bias=1.0)
    gate = gates(theirs.weight_hh_l0)[2]
    torch.testing.assert_close(gate @ gate.T, torch.eye(6), rtol=0, atol=1e-5)
    assert gates(theirs.bias_ih_l0)[1].tolist() == [1.0] * 6
    assert seqlight.nn.LSTM.from_torch(theirs).to_torch().bias_ih_l0.equal(theirs.bias_ih_l0)


def test_repr_shows_what_was_asked_for():
    text = repr(LSTM(3, 6, recurrent_init="orthogonal", forget_bias=1.0))
    assert "recurrent_init=orthogonal" in text and "forget_bias=1.0" in text
    assert repr(LSTM(3, 6)) == "LSTM(3, 6)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RNN(1, 2, recurrent_init="identity"), "RNN: recurrent_init expected one of 'uniform'"),
        (lambda: LSTM(1, 2, bias=False, forget_bias=1.0), "LSTM: forget_bias expected None with bias=False"),
        (lambda: init_recurrent_(GRU(1, 2), forget_bias=1.0), "GRU: forget_bias expected None, for"),
    ],
)
def test_mistakes_are_explained(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("kind", [RNNForecaster, LSTMForecaster, GRUForecaster])
def test_forecasters_pass_it_on(kind):
    options = {"forget_bias": 2.0} if kind is LSTMForecaster else {}
    model = kind(context_length=4, prediction_length=1, hidden_size=6, recurrent_init="orthogonal", **options)
    core = model.network.core
    gate = gates(core.weight_hh_l0)[0]
    torch.testing.assert_close(gate @ gate.T, torch.eye(6), rtol=0, atol=1e-5)
    if options:
        assert gates(core.bias_ih_l0)[1].tolist() == [2.0] * 6
