"""What a forecaster does with a batch in training, and which losses it is scored by."""

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor

from seqlight.inputs import Window
from seqlight.inputs.cycle import CycleState
from seqlight.models.forecasting.mean import ForecasterMean
from seqlight.models.forecasting.window_prediction import WindowForecast
from seqlight.models.forecasting.window_values import Batch
from seqlight.models.lightning.carried_state import CarriesState
from seqlight.models.lightning.checks import check_batch
from seqlight.strategies import masked_loss
from seqlight.strategies.state_rows import has_tensors, state_batch_dim
from seqlight.transforms import WindowState


class ForecasterSteps(ForecasterMean, CarriesState):
    """The steps of :class:`~seqlight.models.Forecaster`, on what that makes of a batch."""

    rows_of_each: int

    @abstractmethod
    def training_loss(self, window: Window, future: Tensor) -> tuple[Tensor, Tensor]:
        """Return the training loss summed over the known cells, and their count."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Return the strategy's training loss, a mean over the known cells of all processes."""
        if batch.get("reset") is not None:
            total, count = self._chunk_loss(batch)
        else:
            window, state = self._batch_window(batch, with_future=True)
            future = self._transformed_future(self._future(batch), state)
            total, count = self.training_loss(window, future)
        loss = self.mean_over_processes(total, count)
        size = batch["past_target"].shape[0]
        self.log(
            "train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=size, sync_dist=True
        )
        return loss

    def _check_chunk(self, length: int, scaling: WindowState) -> None:
        """Raise unless chunks of ``length`` steps and a carried state mean something to this forecaster."""
        if not self.strategy.carries_state:
            raise ValueError(
                f"strategy={self.hparams.get('strategy')!r} begins every window anew; train with "
                "strategy='every_step' or 'recursive', or without tbptt_steps and stateful"
            )
        if self.strategy.sequence_to_vector and length < self.context_length:
            raise ValueError(
                f"strategy={self.hparams.get('strategy')!r} has its loss at the end of a window, and a chunk "
                f"of {length} of its {self.context_length} steps has none; train with strategy='every_step' "
                "or 'recursive', or without tbptt_steps"
            )
        if isinstance(scaling, CycleState):
            scaling = scaling.transform
        if has_tensors(scaling):
            raise ValueError(
                f"transform={self.hparams.get('transform')!r} depends on the window, so that a state carried "
                "from one chunk of time to the next would change its meaning; train with "
                "transform='standard' or 'none', or without tbptt_steps and stateful"
            )

    def _chunk_loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the loss, summed, and the count of a batch that goes on where the one before ended."""
        check_batch(batch, ["past_target"])
        length = batch["past_target"].shape[1]
        window, scaling = self._batch_window(batch, with_future=True, length=length)
        self._check_chunk(length, scaling)
        future = self._transformed_future(self._future(batch), scaling)
        # A network of single channels has a state for each of them.
        reset = batch["reset"].repeat_interleave(self.rows_of_each)
        total, count, state = self.strategy.chunk_loss(
            self.network, window, future, self.cell_loss(window), self.carried_state(reset)
        )
        if not has_tensors(state):
            raise ValueError(
                f"{type(self.network).__name__} has no state to carry from one chunk of time to the next; "
                "train on whole windows, without tbptt_steps and stateful"
            )
        self.carry_state(state, batch_dim=state_batch_dim(self.network))
        return total, count

    def on_validation_epoch_start(self) -> None:
        """Forget what an earlier validation has seen of the steps' dependence."""
        if self.dependence is not None:
            self.dependence.moments.reset()

    def on_validation_epoch_end(self) -> None:
        """Learn how the errors of steps depend on each other, while a fit validates or where it is not known.

        Not from the few batches of Lightning's sanity check.
        """
        if self.dependence is None or self.trainer.sanity_checking:
            return
        if self.trainer.state.fn == "fit" or not bool(self.dependence.fitted):
            self.dependence.fit()

    def _scored_forecast(self, given: Mapping[str, Tensor], future: Tensor, stage: str) -> WindowForecast:
        """Forecast a batch; update the strategy's losses, and what is known of the steps' dependence."""
        window, state = self._window(given)
        target = self._transformed_future(future, state)
        forecast = self._forecast(window, state, self.scored_levels)
        if forecast.outputs is None:
            loss = self.strategy.future_loss(self.network, window, target, self.cell_loss(window))
        else:
            loss = masked_loss(self.cell_loss(window), forecast.outputs, target)
        getattr(self, f"{stage}_mean_loss").update(*loss)
        if self.strategy.forecasts_at_every_step:
            name = f"{stage}_loss_all_steps"
            all_steps = getattr(self, name)
            all_steps.update(*self.strategy.loss(self.network, window, target, self.cell_loss(window)))
            self.log(name, all_steps, on_step=False, on_epoch=True, batch_size=future.shape[0])
        if stage == "val" and self.dependence is not None and forecast.outputs is not None:
            truth = future if self.head.counts else target
            self.dependence.moments.update(
                self.head.score_of(self._head_parameters(forecast.outputs, window), truth)
            )
        return forecast
