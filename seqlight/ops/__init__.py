"""Recurrent and convolutional operations on tensors: native kernels with a reference in plain PyTorch beside
each.

:func:`lstm`, :func:`gru` and :func:`rnn` run one layer in one direction, :func:`causal_conv1d` convolves
over time, :func:`wavenet_generate` lets a WaveNet run on its own outputs; :func:`use_backend` chooses
between native kernel and reference. :mod:`seqlight.ops.reference` holds the equations in plain PyTorch
under the same names and signatures.
"""

from seqlight.ops.backend import Backend, use_backend
from seqlight.ops.causal_conv1d import ConvActivation, causal_conv1d
from seqlight.ops.gru import gru
from seqlight.ops.lstm import lstm
from seqlight.ops.rnn import rnn
from seqlight.ops.wavenet_generate import GenerationHead, WaveNetWeights, wavenet_generate
from seqlight.ops.wavenet_layer import wavenet_layer

__all__ = [
    "Backend",
    "ConvActivation",
    "GenerationHead",
    "WaveNetWeights",
    "causal_conv1d",
    "gru",
    "lstm",
    "rnn",
    "use_backend",
    "wavenet_generate",
    "wavenet_layer",
]
