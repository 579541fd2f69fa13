"""The loops that a careful user writes for a recurrent cell, to be run eagerly, scripted and compiled.

One product with the input for all time steps, hoisted out of the loop; then one product with the hidden state
and the gates per step. x [B, T, I], states [B, H] and weights as :mod:`seqlight.ops` has them, to output
[B, T, H]. All are TorchScript too, which takes no constant of another module: 1e-5 is the layers' epsilon.
"""

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear


def peephole_lstm(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
    weight_peephole: Tensor,
) -> Tensor:
    """LSTM with peephole connections, gates i, f, g, o."""
    from_input = linear(x.transpose(0, 1), weight_ih, bias_ih + bias_hh)
    recurrent = weight_hh.t()
    peep_i, peep_f, peep_o = weight_peephole.unbind(0)
    outputs = []
    for step in from_input.unbind(0):
        i, f, g, o = torch.addmm(step, h, recurrent).chunk(4, 1)
        c = torch.sigmoid(f + peep_f * c) * c + torch.sigmoid(i + peep_i * c) * torch.tanh(g)
        h = torch.sigmoid(o + peep_o * c) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs, 1)


def layer_norm_peephole_lstm(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
    weight_peephole: Tensor,
    weight_layer_norm: Tensor,
) -> Tensor:
    """LSTM with peephole connections, both products and the cell state normalised."""
    hidden = weight_hh.shape[1]
    gain_ih, gain_hh = weight_layer_norm[:4].flatten(), weight_layer_norm[4:8].flatten()
    gain_c, bias_c = weight_layer_norm[8], weight_layer_norm[9]
    product = linear(x.transpose(0, 1), weight_ih)
    from_input = layer_norm(product, [4 * hidden], gain_ih, bias_ih + bias_hh, 1e-5)
    recurrent = weight_hh.t()
    peep_i, peep_f, peep_o = weight_peephole.unbind(0)
    outputs = []
    for step in from_input.unbind(0):
        from_hidden = layer_norm(torch.mm(h, recurrent), [4 * hidden], gain_hh, None, 1e-5)
        i, f, g, o = (step + from_hidden).chunk(4, 1)
        c = torch.sigmoid(f + peep_f * c) * c + torch.sigmoid(i + peep_i * c) * torch.tanh(g)
        h = torch.sigmoid(o + peep_o * c) * torch.tanh(layer_norm(c, [hidden], gain_c, bias_c, 1e-5))
        outputs.append(h)
    return torch.stack(outputs, 1)


def gru(
    x: Tensor, h: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor
) -> Tensor:
    """GRU of torch.nn's variant, gates r, z, n."""
    from_input = linear(x.transpose(0, 1), weight_ih, bias_ih)
    recurrent = weight_hh.t()
    outputs = []
    for step in from_input.unbind(0):
        input_r, input_z, input_n = step.chunk(3, 1)
        hidden_r, hidden_z, hidden_n = torch.addmm(bias_hh, h, recurrent).chunk(3, 1)
        n = torch.tanh(input_n + torch.sigmoid(input_r + hidden_r) * hidden_n)
        h = n + torch.sigmoid(input_z + hidden_z) * (h - n)
        outputs.append(h)
    return torch.stack(outputs, 1)


def rnn(
    x: Tensor, h: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor
) -> Tensor:
    """Simple recurrent layer with tanh."""
    from_input = linear(x.transpose(0, 1), weight_ih, bias_ih + bias_hh)
    recurrent = weight_hh.t()
    outputs = []
    for step in from_input.unbind(0):
        h = torch.tanh(torch.addmm(step, h, recurrent))
        outputs.append(h)
    return torch.stack(outputs, 1)


def layer_norm_rnn(
    x: Tensor,
    h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
    weight_layer_norm: Tensor,
) -> Tensor:
    """Simple recurrent layer, normalised before its tanh."""
    hidden = weight_hh.shape[1]
    gain, bias = weight_layer_norm.unbind(0)
    from_input = linear(x.transpose(0, 1), weight_ih, bias_ih + bias_hh)
    recurrent = weight_hh.t()
    outputs = []
    for step in from_input.unbind(0):
        total = torch.addmm(step, h, recurrent)
        h = torch.tanh(layer_norm(total, [hidden], gain, bias, 1e-5))
        outputs.append(h)
    return torch.stack(outputs, 1)
