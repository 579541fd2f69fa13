"""Layers one upon the other, and the batch normalisation between them."""

import pytest
import torch
from torch import nn

from seqlight.nn import GRU, LSTM, RNN, RecurrentStack, SequenceBatchNorm


def stack(**kwargs):
    torch.manual_seed(0)
    return RecurrentStack([GRU(3, 5), LSTM(5, 4, num_layers=2), RNN(4, 1)], **kwargs)


def test_layers_follow_each_other():
    net = stack()
    x = torch.randn(6, 9, 3)
    output, state = net(x)
    expected = x
    for layer, after in zip(net.layers, state, strict=True):
        expected, layer_state = layer(expected)
        torch.testing.assert_close(after, layer_state)
    assert torch.equal(output, expected) and output.shape == (6, 9, 1)
    assert (net.input_size, net.hidden_size) == (3, 1)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_chunks_and_steps_are_the_whole(batch_norm):
    net = stack(batch_norm=batch_norm, dropout=0.3)
    net(5 + 2 * torch.randn(6, 9, 3))  # for statistics that are not 0 and 1
    net.eval()
    x = torch.randn(6, 9, 3)
    whole, end = net(x)
    first, state = net(x[:, :4])
    second, state = net(x[:, 4:7], state)
    outputs = [first, second]
    for step in (7, 8):
        output, state = net.step(x[:, step], state)
        outputs.append(output.unsqueeze(1))
    torch.testing.assert_close(torch.cat(outputs, dim=1), whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state, end, rtol=1e-4, atol=1e-5)


def test_batch_norm_stands_between_layers_only():
    net = stack(batch_norm=True)
    assert [norm.norm.num_features for norm in net.norms] == [5, 4]
    x = torch.randn(6, 9, 3)
    output, _ = net(x)
    expected = x
    for index, layer in enumerate(net.layers):
        expected, _ = layer(expected)
        if index < 2:
            mean, variance = expected.mean((0, 1)), expected.var((0, 1), unbiased=False)
            expected = (expected - mean) / (variance + 1e-5).sqrt()
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)


def test_batch_norm_is_torchs_over_batch_and_time():
    ours, theirs = SequenceBatchNorm(3), nn.BatchNorm1d(3)
    for _ in range(3):
        x = 4 + 3 * torch.randn(6, 9, 3)
        torch.testing.assert_close(ours(x), theirs(x.transpose(1, 2)).transpose(1, 2))
    torch.testing.assert_close(ours.norm.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.norm.running_var, theirs.running_var)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(x), theirs(x.transpose(1, 2)).transpose(1, 2))


def test_what_lies_past_a_rows_end_is_in_no_statistics():
    lengths = torch.tensor([4, 9, 1])
    x = torch.randn(3, 9, 2)
    padded = x.clone()
    for row, length in enumerate(lengths.tolist()):
        padded[row, length:] = 1e6
    known = torch.cat([x[row, :length] for row, length in enumerate(lengths.tolist())])
    norm = SequenceBatchNorm(2)
    output = norm(padded, lengths)
    torch.testing.assert_close(norm.norm.running_mean, 0.1 * known.mean(0))
    expected = (known - known.mean(0)) / (known.var(0, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(
        torch.cat([output[row, :length] for row, length in enumerate(lengths.tolist())]),
        expected,
        rtol=1e-4,
        atol=1e-5,
    )
    assert (output[0, 4:] == 0).all() and (output[2, 1:] == 0).all()


def test_lengths_reach_all_layers():
    net = stack(batch_norm=True).eval()
    x = torch.randn(2, 9, 3)
    output, state = net(x, lengths=torch.tensor([9, 5]))
    short, end = net(x[1:, :5])
    torch.testing.assert_close(output[1:, :5], short)
    assert (output[1, 5:] == 0).all()
    torch.testing.assert_close(state[0][:, 1:], end[0])
    torch.testing.assert_close(state[2][:, 1:], end[2])


def test_gradients_through_masked_statistics():
    norm = SequenceBatchNorm(2).double()
    lengths = torch.tensor([3, 1])
    x = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: norm(x, lengths), x)


def test_sync_batch_norm_takes_its_place():
    net = nn.SyncBatchNorm.convert_sync_batchnorm(stack(batch_norm=True))
    assert all(isinstance(norm.norm, nn.SyncBatchNorm) for norm in net.norms)
    assert net.eval()(torch.randn(2, 9, 3))[0].shape == (2, 9, 1)


def test_a_step_in_training_has_no_statistics():
    with pytest.raises(RuntimeError, match="statistics of a single step; call eval"):
        stack(batch_norm=True).step(torch.randn(2, 3))


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ([], ValueError, "at least one, got none"),
        ([nn.GRU(3, 5)], TypeError, r"layers\[0\] expected a recurrent layer of seqlight.nn, got GRU"),
        ([GRU(3, 5), GRU(4, 5)], ValueError, r"layers\[1\] expected with input_size = 5.*, got 4"),
        ([GRU(3, 5, bidirectional=True), GRU(5, 5)], ValueError, "input_size = 10"),
    ],
)
def test_layers_that_do_not_fit(layers, error, message):
    with pytest.raises(error, match=message):
        RecurrentStack(layers)


def test_states_that_do_not_fit():
    x = torch.randn(2, 9, 3)
    with pytest.raises(ValueError, match="state expected 3 parts, one per layer, got 2"):
        stack()(x, (None, None))
    with pytest.raises(TypeError, match="state expected the tuple that forward returned, got Tensor"):
        stack()(x, torch.zeros(1, 2, 5))
    with pytest.raises(ValueError, match="dropout"):
        stack(dropout=-0.1)
