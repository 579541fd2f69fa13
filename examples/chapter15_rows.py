"""The rows of the chapter's table: models, the book's figures, and what a training comes to."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from seqlight.models import (
    ConvGRUForecaster,
    Forecaster,
    GRUForecaster,
    LinearForecaster,
    LSTMForecaster,
    NaiveForecaster,
    RNNForecaster,
    SequenceNetwork,
    WaveNetForecaster,
    WindowForecaster,
)
from seqlight.nn import RNN

STEPS = (1, 10)
"""The table's two columns: one step ahead and ten."""


class SingleUnitForecaster(Forecaster):
    """The chapter's simplest recurrent network: one unit, whose state is the forecast."""

    def build_network(self) -> nn.Module:
        """Return a recurrent layer with one unit per output, and nothing after it."""
        layer = RNN(self.input_size, self.output_size)
        return SequenceNetwork(layer, nn.Identity(), last_only=self.strategy.sequence_to_vector)


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        title: its name in the table.
        forecaster: the class of the model.
        book: the book's figure by steps ahead; the lowest and highest where its last epochs swing.
        options: arguments of the model.
        feeds_back: whether ten steps are forecast by the model of one step ahead, which is fed its forecasts,
            rather than by a model of their own.
        initial_weights: ``"torch"``, ``"keras"`` or ``"he"``, see ``initialize_``.
    """

    title: str
    forecaster: type[WindowForecaster]
    book: dict[int, tuple[float, ...]]
    options: dict[str, Any] = field(default_factory=dict)
    feeds_back: bool = False
    initial_weights: str = "torch"

    @property
    def trainings(self) -> list[int]:
        """The steps ahead that models are trained for."""
        if self.forecaster is NaiveForecaster:
            return []
        return [steps for steps in self.book if not (self.feeds_back and steps == 10)]

    def build(self, steps: int, **options: Any) -> WindowForecaster:
        """Return an untrained model that forecasts ``steps`` steps ahead."""
        sizes = {"context_length": 50, "prediction_length": steps}
        if self.forecaster is NaiveForecaster:
            return NaiveForecaster(**sizes)
        # The chapter scales nothing: its series are between -1 and 1 already.
        return self.forecaster(**sizes, **({"transform": "none"} | self.options | options))


DEEP: dict[str, Any] = {"hidden_size": 20, "num_layers": 2}
EVERY_STEP: dict[str, Any] = DEEP | {"strategy": "every_step"}

ROWS = {
    "naive": Row("naive", NaiveForecaster, {1: (0.0202,), 10: (0.2570,)}),
    "linear": Row("linear", LinearForecaster, {1: (0.0042,), 10: (0.0187,)}),
    "simple_rnn": Row(
        "simple RNN, 1 unit", SingleUnitForecaster, {1: (0.0109,)}, {"lr": 5e-3}, initial_weights="keras"
    ),
    "all_recurrent": Row(
        "deep RNN 20-20-1, all recurrent",
        RNNForecaster,
        {1: (0.0029,)},
        DEEP | {"recurrent_output": True},
        initial_weights="keras",
    ),
    "deep_rnn": Row(
        "deep RNN 20-20, linear output; recursive",
        RNNForecaster,
        {1: (0.0026,), 10: (0.0275,)},
        DEEP,
        feeds_back=True,
        initial_weights="keras",
    ),
    "direct": Row("deep RNN 20-20, direct", RNNForecaster, {10: (0.0085,)}, DEEP, initial_weights="keras"),
    "every_step": Row(
        "deep RNN 20-20, every step",
        RNNForecaster,
        {10: (0.0058, 0.0096)},
        EVERY_STEP | {"lr": 1e-2},
        initial_weights="keras",
    ),
    "batch_norm": Row(
        "the same, batch norm between", RNNForecaster, {10: (0.0164,)}, EVERY_STEP | {"batch_norm": True}
    ),
    "layer_norm": Row(
        "layer-norm RNN 20-20", RNNForecaster, {10: (0.0121,)}, EVERY_STEP | {"layer_norm": True}
    ),
    "lstm": Row("LSTM 20-20", LSTMForecaster, {10: (0.0086,)}, EVERY_STEP),
    "gru": Row("GRU 20-20", GRUForecaster, {10: (0.0103,)}, EVERY_STEP),
    "conv_gru": Row(
        "Conv1D(20, 4, stride 2), GRU 20-20",
        ConvGRUForecaster,
        {10: (0.0080,)},
        EVERY_STEP | {"filters": 20, "kernel_size": 4, "stride": 2},
    ),
    "wavenet": Row(
        "simple WaveNet",
        WaveNetForecaster,
        {10: (0.0072,)},
        {
            "hidden_size": 20,
            "num_blocks": 2,
            "layers_per_block": 4,
            "kernel_size": 2,
            "gated": False,
            "strategy": "every_step",
        },
        initial_weights="he",
    ),
}


@dataclass
class Result:
    """What one seed of one row came to.

    Attributes:
        row: key in ``ROWS``.
        errors: validation MSE by steps ahead.
        epochs: the same after each epoch of training.
        cpu_seconds: processor time that it took.
    """

    row: str
    errors: dict[int, float] = field(default_factory=dict)
    epochs: dict[int, list[float]] = field(default_factory=dict)
    cpu_seconds: float = 0.0

    @staticmethod
    def of_seeds(results: "Sequence[Result]", key: str, steps: int) -> list[float]:
        """Return the errors of all seeds of a row, ``steps`` steps ahead."""
        return [result.errors[steps] for result in results if result.row == key]


def quartiles(errors: Sequence[float]) -> tuple[float, float, float]:
    """Return the first quartile, the median and the third quartile."""
    if len(errors) == 1:
        return errors[0], errors[0], errors[0]
    first, median, third = statistics.quantiles(errors, n=4, method="inclusive")
    return first, median, third


def above_book(key: str, steps: int, results: Sequence[Result]) -> bool:
    """Tell whether the seeds' median is above the book's figure, both in the four digits that are printed."""
    _, median, _ = quartiles(Result.of_seeds(results, key, steps))
    return round(median, 4) > max(ROWS[key].book[steps])
