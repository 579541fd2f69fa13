"""Layers with state in and out: ``output, state = layer(x, state=None)`` on [B, T, C], and ``step`` for one
time step.

Running a sequence in chunks with the state handed on equals running it whole.
"""

from seqlight.nn.centered_convolution import CenteredConv1d
from seqlight.nn.channel_independent import ChannelIndependent
from seqlight.nn.convolution import CausalConv1d
from seqlight.nn.dilated_lstm import DilatedLSTM
from seqlight.nn.encoder_decoder import EncoderDecoder
from seqlight.nn.fusion import FusionReport, LayerFusion, fuse, fusion_report, unfuse
from seqlight.nn.gates import gate_activations
from seqlight.nn.gru import GRU
from seqlight.nn.initialization import init_recurrent_
from seqlight.nn.lstm import LSTM
from seqlight.nn.recurrent import Recurrent
from seqlight.nn.recurrent_stack import RecurrentStack, SequenceBatchNorm
from seqlight.nn.rnn import RNN
from seqlight.nn.segment_rnn import SegmentRNN
from seqlight.nn.tcn import TCN
from seqlight.nn.wavenet import WaveNet

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "TCN",
    "CausalConv1d",
    "CenteredConv1d",
    "ChannelIndependent",
    "DilatedLSTM",
    "EncoderDecoder",
    "FusionReport",
    "LayerFusion",
    "Recurrent",
    "RecurrentStack",
    "SegmentRNN",
    "SequenceBatchNorm",
    "WaveNet",
    "fuse",
    "fusion_report",
    "gate_activations",
    "init_recurrent_",
    "unfuse",
]
