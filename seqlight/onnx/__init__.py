"""ONNX files from models and layers: :func:`export`.

A recurrent layer becomes ONNX's own ``LSTM``, ``GRU`` or ``RNN``; with layer normalisation or zoneout, which
those do not know, a ``Scan`` over time; a causal convolution becomes a ``Conv``. Batch and length stay
dynamic. Needs ``pip install seqlight[onnx]``.
"""

from seqlight.onnx.exporter import export

__all__ = ["export"]
