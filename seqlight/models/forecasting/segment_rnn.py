"""The segment RNN forecaster."""

from typing import Any, Literal

from torch import nn

from seqlight.models.forecasting.forecaster import Forecaster
from seqlight.models.lightning.checks import check_integer, check_number, choose
from seqlight.models.sequences.cores import RECURRENT_CORES
from seqlight.nn import SegmentRNN


class SegmentRNNForecaster(Forecaster):
    """One recurrent layer over segments of the window, decoded at all future segments at once, see
    :class:`seqlight.nn.SegmentRNN` (Lin et al., "SegRNN", 2023).

    A window of 720 steps in segments of 24 costs 30 steps of the recurrence, so that long windows train fast.
    One set of weights forecasts all channels, each from its own past; a learned vector tells them apart.

    Args:
        hidden_size: units of the recurrent layer.
        segment_length: steps of a segment, a season or a part of one; the last segment is cut where it goes
            beyond the horizon. None takes 24, or the longest that still cuts the window in 4 segments.
        cell: ``"gru"``, ``"lstm"`` or ``"rnn"``.
        dropout: probability of dropping each of the decoded units in training.
        channel_embedding: whether channels are told apart by a learned vector.
        kwargs: the arguments of :class:`Forecaster`, but for ``strategy``, which is ``"direct"``.

    """

    def __init__(
        self,
        *,
        hidden_size: int = 128,
        segment_length: int | None = None,
        cell: Literal["gru", "lstm", "rnn"] = "gru",
        dropout: float = 0.0,
        channel_embedding: bool = True,
        channels: Literal["mixed", "independent"] = "independent",
        **kwargs: Any,
    ) -> None:
        check_integer("hidden_size", hidden_size, 1)
        if segment_length is not None:
            check_integer("segment_length", segment_length, 1)
        choose("cell", cell, RECURRENT_CORES)
        check_number("dropout", dropout, 0.0, below=1.0)
        super().__init__(strategy="direct", channels=channels, **kwargs)

    def build_network(self) -> nn.Module:
        """Return the network."""
        segment_length = self.hparams["segment_length"] or max(1, min(24, self.context_length // 4))
        return SegmentRNN(
            self.input_size,
            self.output_size // self.prediction_length,
            self.context_length,
            self.prediction_length,
            segment_length=segment_length,
            hidden_size=self.hparams["hidden_size"],
            cell=self.hparams["cell"],
            channels=self.rows_of_each if self.hparams["channel_embedding"] else 1,
            dropout=self.hparams["dropout"],
        )
