"""The segment RNN forecaster."""

from typing import Any, Literal, Self, cast

import torch
from torch import nn

from seqlight.models.forecasting.forecaster import Forecaster
from seqlight.models.forecasting.linear import LinearForecaster
from seqlight.models.lightning.checks import check_integer, check_number, choose
from seqlight.models.sequences.cores import RECURRENT_CORES
from seqlight.nn import ChannelIndependent, SegmentRNN


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
        linear_skip: add a linear layer from the window's targets to the forecast, beside the network, which
            then learns what is left; :meth:`begin_as` gives it the weights of least squares.
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
        linear_skip: bool = False,
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
            skip_size=self._targets_of_row if self.hparams["linear_skip"] else 0,
        )

    @property
    def _targets_of_row(self) -> int:
        """Channels of the target that the network is given at a time."""
        return self.target_size // self.rows_of_each

    @torch.no_grad()
    def begin_as(self, linear: LinearForecaster) -> Self:
        """Take over a linear forecaster that is solved, so that training begins with its forecast.

        Its transform, its cycle and its weights are copied; the last layers of the recurrent part, and of
        what covariates add, are set to 0.

        Args:
            linear: made with ``targets_alone`` and else of the same sizes, transform, cycle and channels.

        Returns:
            self.

        Raises:
            ValueError: there is no ``linear_skip``, or the other forecaster does not fit.

        """
        if not self.hparams["linear_skip"]:
            raise ValueError("begin_as: needs linear_skip=True, got False; make the forecaster with it")
        names = (
            "context_length",
            "prediction_length",
            "target_size",
            "transform",
            "cycle",
            "channels",
            "head",
        )
        for name in names:
            own, other = self.hparams[name], linear.hparams[name]
            if own != other:
                raise ValueError(f"linear: expected {name} = {own!r}, that of this forecaster, got {other!r}")
        source = linear.network
        if isinstance(source, ChannelIndependent):
            source = source.network
        source = cast(nn.Linear, source.linear)
        network = self.network.network if isinstance(self.network, ChannelIndependent) else self.network
        skip = cast(nn.Linear, network.skip)
        if source.weight.shape != skip.weight.shape:
            raise ValueError(
                "linear: expected a forecaster of the targets alone; make it with targets_alone=True"
            )
        skip.load_state_dict(source.state_dict())
        self.transform.load_state_dict(linear.transform.state_dict())
        if self.learned_cycle is not None and linear.learned_cycle is not None:
            self.learned_cycle.load_state_dict(linear.learned_cycle.state_dict())
        head = cast(nn.Linear, network.head)
        head.weight.zero_()
        head.bias.zero_()
        if self.inputs.future_head is not None:
            self.inputs.future_head.begin_with_nothing_()
        return self
