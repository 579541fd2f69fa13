"""Keras' initial weights for layers of torch and seqlight, to repeat a training that was done with Keras.

torch draws all weights and biases of a recurrent layer uniformly within 1/sqrt(hidden_size). Keras draws
input weights by Glorot and Bengio's rule, recurrent ones orthogonal, and sets biases to 0 but those of the
LSTM's forget gate, which become 1. Its RNN and LSTM have one bias where torch has the sum of two, which
learns twice as fast, and its batch normalisation has other constants.
"""

import torch
from torch import nn

from seqlight.nn import GRU, LSTM, CausalConv1d, Recurrent


@torch.no_grad()
def initialize_as_keras_(module: nn.Module) -> None:
    """Draw the weights of all layers in ``module`` anew, as Keras 2 does by default.

    Linear, convolutional and recurrent layers and batch normalisation are known; gains and biases of layer
    normalisation are 1 and 0 there as they are here.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | CausalConv1d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, Recurrent):
            _initialize_recurrent_(layer)
        elif isinstance(layer, nn.BatchNorm1d):
            layer.momentum, layer.eps = 0.01, 1e-3  # Keras' momentum of 0.99 is torch's of 0.01


def _initialize_recurrent_(layer: Recurrent) -> None:
    for name, parameter in layer.named_parameters(recurse=False):
        if name.startswith("weight_ih"):
            # All gates' weights are one matrix to Keras, and so its fan-out is that of all gates.
            nn.init.xavier_uniform_(parameter)
        elif name.startswith("weight_hh"):
            nn.init.orthogonal_(parameter)  # likewise one matrix: its columns are orthonormal
        elif name.startswith("bias"):
            nn.init.zeros_(parameter)
            if not isinstance(layer, GRU) and name.startswith("bias_hh"):
                parameter.requires_grad_(False)  # it remains 0
            if isinstance(layer, LSTM) and name.startswith("bias_ih"):
                parameter[layer.hidden_size : 2 * layer.hidden_size] = 1.0  # gates i, f, g, o
