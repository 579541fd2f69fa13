"""The encoder-decoder forecaster."""

from typing import Any, Literal, cast

from torch import Tensor, nn

from seqlight.models.forecasting.forecaster import Batch, Forecaster
from seqlight.models.forecasting.teacher_forcing import SCHEDULES
from seqlight.models.lightning.checks import check_integer, check_number, choose
from seqlight.models.sequences.cores import RECURRENT_CORES, build_core
from seqlight.nn import EncoderDecoder
from seqlight.strategies import EncoderDecoderStrategy, Strategy, Window


class EncoderDecoderForecaster(Forecaster):
    """An encoder whose last state begins a decoder, see :class:`seqlight.nn.EncoderDecoder`.

    It has a decoding of its own, :class:`seqlight.strategies.EncoderDecoderStrategy`, and so no ``strategy``
    to choose: the decoder predicts the H future steps one after the other, each from the value before and the
    known covariates of the step itself. The past and the future may be of any lengths.

    In training the value before is the true one with probability ``teacher_forcing``, which a schedule takes
    down (scheduled sampling, Bengio et al. 2015), so that the decoder gets used to its own errors. At 1 the
    decoder runs over all steps in one call of the kernel; below, step by step. The probability of an
    optimiser step i is min + (teacher_forcing - min) * s(i), with s(i)

    - ``"constant"``: 1;
    - ``"linear"``: 1 - i / steps, at least 0;
    - ``"inverse_sigmoid"``: k / (k + exp(i / k)), k such that s = 1/2 at i = steps.

    It is logged as ``teacher_forcing``. Validation, test and prediction always feed back the forecast.

    A ``head`` with a distribution must know what it goes on from: with 1 throughout, each step is forecast
    given true values before it, and paths are drawn; where the schedule ends at 0, each is forecast as seen
    from the past, and its median is fed back.

    Args:
        cell: ``"lstm"``, ``"gru"`` or ``"rnn"``: the kind of both layers.
        hidden_size: units of each layer.
        num_layers: stacked layers, of the encoder and of the decoder.
        dropout: probability of dropping each output of each layer in training.
        cell_options: further arguments of both layers, such as ``{"peephole": True}`` for an LSTM.
        teacher_forcing: probability of feeding the truth at the beginning.
        teacher_forcing_schedule: ``"constant"``, ``"linear"`` or ``"inverse_sigmoid"``.
        teacher_forcing_steps: optimiser steps until the linear schedule ends, or the inverse sigmoid is at
            half its height.
        teacher_forcing_min: probability that the schedule goes down to.
        kwargs: the arguments of :class:`Forecaster`, but for ``strategy``.

    """

    strategy: EncoderDecoderStrategy

    def __init__(
        self,
        *,
        cell: Literal["lstm", "gru", "rnn"] = "lstm",
        hidden_size: int = 64,
        num_layers: int = 1,
        dropout: float = 0.0,
        cell_options: dict[str, Any] | None = None,
        teacher_forcing: float = 1.0,
        teacher_forcing_schedule: Literal["constant", "linear", "inverse_sigmoid"] = "constant",
        teacher_forcing_steps: int = 1000,
        teacher_forcing_min: float = 0.0,
        **kwargs: Any,
    ) -> None:
        choose("cell", cell, RECURRENT_CORES)
        check_integer("hidden_size", hidden_size, 1)
        check_integer("num_layers", num_layers, 1)
        check_number("dropout", dropout, 0.0, below=1.0)
        choose("teacher_forcing_schedule", teacher_forcing_schedule, SCHEDULES)
        check_integer("teacher_forcing_steps", teacher_forcing_steps, 1)
        check_number("teacher_forcing_min", teacher_forcing_min, 0.0)
        check_number("teacher_forcing", teacher_forcing, 0.0)
        if not teacher_forcing_min <= teacher_forcing <= 1:
            raise ValueError(
                "teacher_forcing: expected a probability between teacher_forcing_min = "
                f"{teacher_forcing_min} and 1, got {teacher_forcing}"
            )
        super().__init__(strategy="encoder_decoder", **kwargs)

    def _build_strategy(self, cls: type[Strategy], parameter_count: int | None) -> Strategy:
        """Return the strategy, which has to know what the decoder will have learned to go on from.

        Raises:
            ValueError: with a head of a distribution, it is neither the truth nor its own forecasts.

        """
        strategy = cast(EncoderDecoderStrategy, super()._build_strategy(cls, parameter_count))
        constant = self.hparams["teacher_forcing_schedule"] == "constant"
        last = self.hparams["teacher_forcing" if constant else "teacher_forcing_min"]
        strategy.decodes_own_forecasts = last == 0.0
        name = self.head.name
        if parameter_count is not None and 0.0 < last < 1.0:
            raise ValueError(
                f"teacher_forcing: ends at {last:g}, so that the decoder's distributions are neither those "
                "given the true values before a step nor those given its own forecasts; with "
                f"head={name!r} use teacher_forcing=1, or 0, or a schedule with teacher_forcing_min=0"
            )
        if strategy.conditional and not self.head.draws:
            raise ValueError(
                "teacher_forcing: a decoder that is trained on true values forecasts each step given those "
                f"before it, and values to go on from cannot be drawn from head={name!r}; use "
                "teacher_forcing=0 or a schedule that goes down to 0, or head='normal', 'student_t', "
                "'poisson' or 'negative_binomial'"
            )
        return strategy

    def build_network(self) -> nn.Module:
        """Return the encoder-decoder; past covariates enter the encoder only."""
        num_layers, dropout = self.hparams["num_layers"], self.hparams["dropout"]
        options = {"num_layers": num_layers, "dropout": dropout if num_layers > 1 else 0.0}
        options |= self.hparams["cell_options"] or {}
        cell, hidden_size = self.hparams["cell"], self.hparams["hidden_size"]
        encoder, decoder = (
            build_core(cell, input_size, hidden_size, options, name="cell_options")
            for input_size in (self.input_size, self.inputs.decoder_input_size)
        )
        return EncoderDecoder(encoder, decoder, self.output_size, dropout=dropout)  # type: ignore[arg-type]

    def teacher_forcing_probability(self, step: int) -> float:
        """Return the probability of feeding the truth at an optimiser step, counted from 0."""
        low, high = self.hparams["teacher_forcing_min"], self.hparams["teacher_forcing"]
        schedule = SCHEDULES[self.hparams["teacher_forcing_schedule"]]
        return low + (high - low) * schedule(step, self.hparams["teacher_forcing_steps"])

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Return the training loss; log ``teacher_forcing``, a mean over the epoch."""
        probability = self.teacher_forcing_probability(self.global_step)
        size = batch["past_target"].shape[0]
        self.log("teacher_forcing", probability, on_step=False, on_epoch=True, batch_size=size)
        return super().training_step(batch, batch_idx)

    def training_loss(self, window: Window, future: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss summed over the future's known cells, and their count."""
        probability = self.teacher_forcing_probability(self.global_step)
        return self.strategy.loss(
            self.network,
            window,
            future,
            self.cell_loss(window),
            teacher_forcing=probability,
            feed=self._fed_back(window),
        )
