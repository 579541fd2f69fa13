"""The encoder-decoder: what the decoder is told, and what is refused."""

import pytest
import torch

from seqlight.nn import GRU, LSTM, RNN, EncoderDecoder

LAYERS = [RNN, GRU, LSTM]


def network(layer_class, **kwargs):
    torch.manual_seed(0)
    layers = layer_class(3, 5, 2), layer_class(2, 5, 2)
    return EncoderDecoder(*layers, output_size=4, **kwargs)


@pytest.mark.parametrize("layer_class", LAYERS)
def test_is_the_two_layers_one_after_the_other(layer_class):
    net = network(layer_class)
    x, inputs = torch.randn(6, 9, 3), torch.randn(6, 4, 2)
    output, state = net(x, inputs)
    _, encoded = net.encoder(x)
    expected, expected_state = net.decoder(inputs, encoded)
    assert torch.equal(output, net.head(expected)) and output.shape == (6, 4, 4)
    torch.testing.assert_close(state, expected_state)


@pytest.mark.parametrize("layer_class", LAYERS)
def test_steps_are_the_whole(layer_class):
    net = network(layer_class)
    x, inputs = torch.randn(6, 9, 3), torch.randn(6, 4, 2)
    whole, _ = net(x, inputs)
    state = net.encode(x)
    steps = []
    for step in range(4):
        output, state = net.decode_step(inputs[:, step], state)
        steps.append(output)
    torch.testing.assert_close(torch.stack(steps, dim=1), whole, rtol=1e-4, atol=1e-5)


def test_past_of_different_lengths():
    net = network(GRU)
    x, inputs = torch.randn(2, 9, 3), torch.randn(2, 4, 2)
    both, _ = net(x, inputs, lengths=torch.tensor([9, 5]))
    short, _ = net(x[1:, :5], inputs[1:])
    torch.testing.assert_close(both[1:], short)


def test_dropout_in_training_alone():
    net = network(GRU, dropout=0.5)
    x, inputs = torch.randn(2, 9, 3), torch.randn(2, 4, 2)
    assert not torch.equal(net(x, inputs)[0], net(x, inputs)[0])
    net.eval()
    assert torch.equal(net(x, inputs)[0], net(x, inputs)[0])


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        (
            (GRU(3, 5), torch.nn.GRU(3, 5)),
            TypeError,
            "decoder expected a recurrent layer of seqlight.nn, got GRU",
        ),
        ((GRU(3, 5), LSTM(3, 5)), TypeError, "of one kind.* got GRU and LSTM"),
        ((GRU(3, 5), GRU(3, 6)), ValueError, "same hidden_size, got 5 and 6"),
        ((GRU(3, 5), GRU(3, 5, 2)), ValueError, "same num_layers, got 1 and 2"),
        ((GRU(3, 5, bidirectional=True), GRU(3, 5)), ValueError, "encoder expected with bidirectional=False"),
    ],
)
def test_layers_that_do_not_fit(layers, error, message):
    with pytest.raises(error, match=message):
        EncoderDecoder(*layers, output_size=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"output_size": 0}, "output_size"), ({"output_size": 1, "dropout": 2}, "dropout")],
)
def test_numbers_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        EncoderDecoder(GRU(3, 5), GRU(3, 5), **arguments)
