"""Recurrent and convolutional operations on tensors: native kernels with a reference in plain PyTorch beside
each.

:func:`lstm` runs one layer in one direction; :func:`use_backend` chooses between native kernel and reference.
:mod:`seqlight.ops.reference` holds the equations in plain PyTorch under the same names and signatures.
"""

from seqlight.ops.backend import Backend, use_backend
from seqlight.ops.lstm import lstm

__all__ = ["Backend", "lstm", "use_backend"]
