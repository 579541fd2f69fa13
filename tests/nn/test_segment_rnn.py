"""SegmentRNN: the equations, segments that do not divide the window, channels, errors."""

import pytest
import torch
from torch import nn

from seqlight.nn import ChannelIndependent, SegmentRNN

SIZES = {"segment_length": 4, "hidden_size": 6}


def by_torch(net, x, torch_cell):
    """The same by torch's layers and loops over rows and segments."""
    w, length = net.segment_length, x.shape[1]
    core = torch_cell(6, 6, batch_first=True).to(x.dtype)
    core.load_state_dict(net.core.state_dict())
    missing = -length % w
    x = torch.cat([x.new_zeros(x.shape[0], missing, x.shape[2]), x], dim=1)
    rows = []
    for number, row in enumerate(x):
        segments = [torch.relu(net.embedding(part.flatten())) for part in row.split(w)]
        _, state = core(torch.stack(segments).unsqueeze(0))
        future = []
        for position in net.positions:
            if net.channel_embedding is not None:
                position = torch.cat([position, net.channel_embedding[number % net.channels]])
            out, _ = core(position.view(1, 1, -1), state)
            future.append(net.head(out[0, 0]).view(w, -1))
        rows.append(torch.cat(future)[: net.prediction_length].flatten())
    return torch.stack(rows).unsqueeze(1)


@pytest.mark.parametrize(("cell", "torch_cell"), [("gru", nn.GRU), ("lstm", nn.LSTM), ("rnn", nn.RNN)])
@pytest.mark.parametrize(("length", "horizon"), [(12, 8), (10, 7), (3, 2)])
@pytest.mark.parametrize("channels", [1, 3])
def test_equations(cell, torch_cell, length, horizon, channels):
    torch.manual_seed(0)
    net = SegmentRNN(2, 3, length, horizon, cell=cell, channels=channels, **SIZES).double()
    x = torch.randn(6, length, 2, dtype=torch.float64)
    output, state = net(x)
    assert output.shape == (6, 1, horizon * 3) and state is None
    torch.testing.assert_close(output, by_torch(net, x, torch_cell))


@pytest.mark.parametrize("skip_size", [1, 2])
def test_skip_adds_a_linear_map_of_the_first_channels(skip_size):
    torch.manual_seed(0)
    net = SegmentRNN(2, 3, 10, 7, skip_size=skip_size, **SIZES).double()
    x = torch.randn(6, 10, 2, dtype=torch.float64)
    beside = nn.functional.linear(x[:, :, :skip_size].flatten(1), net.skip.weight, net.skip.bias)
    torch.testing.assert_close(net(x)[0], by_torch(net, x, nn.GRU) + beside.unsqueeze(1))


def test_every_step_of_the_window_and_no_other_row_counts():
    net = SegmentRNN(1, 1, 10, 7, channels=3, **SIZES).double()
    x = torch.randn(6, 10, 1, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(x)[0][4].sum(), x)
    assert (gradient[4] != 0).all()
    assert not gradient[[0, 1, 2, 3, 5]].any()


def test_channels_of_a_window_are_told_apart():
    torch.manual_seed(0)
    net = ChannelIndependent(SegmentRNN(1, 1, 8, 4, channels=2, **SIZES), 2, 4)
    x = torch.randn(5, 8, 1).expand(5, 8, 2)
    both = net(x)[0].view(5, 4, 2)
    assert not torch.allclose(both[..., 0], both[..., 1])
    with torch.no_grad():
        net.network.channel_embedding.zero_()
    both = net(x)[0].view(5, 4, 2)
    torch.testing.assert_close(both[..., 0], both[..., 1])


def test_dropout_is_of_training_only():
    net = SegmentRNN(1, 1, 8, 4, dropout=0.5, **SIZES)
    x = torch.randn(3, 8, 1)
    assert not torch.equal(net(x)[0], net(x)[0])
    net.eval()
    assert torch.equal(net(x)[0], net(x)[0])


def test_errors():
    with pytest.raises(
        ValueError, match=r"SegmentRNN: segment_length expected an integer of at least 1, got 0"
    ):
        SegmentRNN(1, 1, 8, 4, segment_length=0)
    with pytest.raises(
        ValueError, match=r"SegmentRNN: skip_size expected an integer from 0 to input_size = 1, got 2"
    ):
        SegmentRNN(1, 1, 8, 4, skip_size=2)
    with pytest.raises(ValueError, match=r"SegmentRNN: cell expected one of gru, lstm, rnn, got 'tcn'"):
        SegmentRNN(1, 1, 8, 4, cell="tcn")
    with pytest.raises(ValueError, match=r"SegmentRNN: hidden_size expected an even number.* got 5"):
        SegmentRNN(1, 1, 8, 4, channels=2, hidden_size=5)
    with pytest.raises(ValueError, match=r"^x: expected 8 steps, got 9"):
        SegmentRNN(1, 1, 8, 4)(torch.zeros(1, 9, 1))
