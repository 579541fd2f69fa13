"""Layers with state in and out: ``output, state = layer(x, state=None)`` on [B, T, C], and ``step`` for one
time step.

Running a sequence in chunks with the state handed on equals running it whole.
"""

from seqlight.nn.lstm import LSTM
from seqlight.nn.recurrent import Recurrent

__all__ = ["LSTM", "Recurrent"]
