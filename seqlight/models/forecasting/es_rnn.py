"""The forecaster of exponential smoothing and a recurrent network."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from seqlight.inputs.cycle import CycleState
from seqlight.inputs.exponential_smoothing import ExponentialSmoothing
from seqlight.models.forecasting.forecaster import Forecaster
from seqlight.models.forecasting.network import SequenceNetwork
from seqlight.models.lightning.checks import check_integer
from seqlight.models.lightning.series_rows import SeriesRows
from seqlight.nn.dilated_lstm import DilatedLSTM
from seqlight.transforms import WindowState


class ESRNNForecaster(Forecaster):
    """Exponential smoothing with parameters for each series, and one network for what it leaves, trained
    together, in the manner of Smyl, "A hybrid method of exponential smoothing and recurrent neural networks
    for time series forecasting" (2020), which won the M4 competition.

    Level and season of each window come from :class:`seqlight.inputs.ExponentialSmoothing`; a dilated LSTM
    with peepholes (:class:`seqlight.nn.DilatedLSTM`) reads what is left and says how the forecast differs
    from the last level and season. The smoothing is told which series a window is of; one that was not there
    in training takes the medians of the others' parameters.

    With ``transform="log"``, the default, level and season are factors, for values above 0; with
    ``"instance"`` or another transform they are summands, for any values. The paper's loss, ensembles of
    specialists and penalty on the level's wiggle are not part of it.

    Args:
        series_ids: names of the series of the training data, as their DataModule has them.
        season_length: steps of the season; 1 for a level alone.
        hidden_size: units of each LSTM layer.
        dilations: of the layers of each block, see :class:`seqlight.nn.DilatedLSTM`.
        dropout: probability of dropping each of the network's last outputs in training.
        kwargs: the arguments of :class:`Forecaster`, but for ``strategy``, which is ``"direct"``, and
            ``cycle``, which the season stands for.

    """

    def __init__(
        self,
        *,
        series_ids: list[str],
        season_length: int = 1,
        hidden_size: int = 40,
        dilations: Sequence[Sequence[int]] = ((1, 2), (4, 8)),
        dropout: float = 0.0,
        transform: str = "log",
        loss: str = "mae",
        **kwargs: Any,
    ) -> None:
        check_integer("season_length", season_length, 1)
        check_integer("hidden_size", hidden_size, 1)
        if not series_ids:
            raise ValueError("series_ids: expected the names of the training data's series, got none")
        super().__init__(strategy="direct", transform=transform, loss=loss, **kwargs)
        self.series_rows = SeriesRows(series_ids)
        self.smoothing = ExponentialSmoothing(len(self.series_rows), season_length, self.target_size)

    def build_network(self) -> nn.Module:
        """Return the dilated LSTM with its output layer."""
        hidden_size = self.hparams["hidden_size"]
        core = DilatedLSTM(self.input_size, hidden_size, self.hparams["dilations"])
        head = nn.Linear(hidden_size, self.output_size)
        return SequenceNetwork(core, head, dropout=self.hparams["dropout"], last_only=True)

    @property
    def takes_series(self) -> bool:
        """True: parameters belong to series."""
        return True

    @property
    def takes_phase(self) -> bool:
        """Whether there is a season."""
        return self.hparams["season_length"] > 1

    def use_series(self, ids: Sequence[str]) -> None:
        """Take ``series_index`` of batches for positions in ``ids`` from now on."""
        self.series_rows.use(ids)

    def _transformed(self, past: Tensor, given: Mapping[str, Tensor]) -> tuple[Tensor, WindowState]:
        """Return what smoothing leaves of the past, and the state for the way back."""
        transformed, state = self.transform.transform(past)
        phase = self._phase(given, past) if self.takes_phase else transformed.new_zeros(len(past)).long()
        series = self.series_rows(given["series_index"])
        left, ahead = self.smoothing(transformed, series, phase, self.prediction_length)
        return left, CycleState(state, ahead)
