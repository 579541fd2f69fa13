"""What takes a forecaster's raw values to windows in transformed space, and forecasts back."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from seqlight.heads import Head
from seqlight.inputs import LearnedCycle, NetworkInputs, Window
from seqlight.inputs.cycle import CycleState
from seqlight.models.forecasting.bounds import Bounds
from seqlight.models.forecasting.head_checks import check_counts
from seqlight.models.forecasting.scaled_losses import ScaledLoss, units_of
from seqlight.models.forecasting.window_forecaster import WindowForecaster
from seqlight.models.forecasting.window_values import Batch
from seqlight.models.lightning.checks import check_shape
from seqlight.models.lightning.renamed import warn_renamed
from seqlight.strategies import Strategy
from seqlight.transforms import Transform, WindowState


class ForecasterWindows(WindowForecaster):
    """What :class:`~seqlight.models.Forecaster` makes of the values of a batch."""

    target_only: bool
    network: nn.Module
    strategy: Strategy
    transform: Transform
    inputs: NetworkInputs
    learned_cycle: LearnedCycle | None
    scaled_loss: ScaledLoss | None
    head: Head

    @property
    def value_range(self) -> Bounds:
        """The values that can come: those within the bounds, of a head on counts whole numbers from 0."""
        if not self.head.counts:
            return self.bounds
        low, high = self.bounds.low or 0.0, self.bounds.high
        high = None if high is None else float(math.floor(high))
        return Bounds(max(0.0, float(math.ceil(low))), high, integer=True)

    @abstractmethod
    def decode(self, window: Window) -> Tensor:
        """Return the forecast ``[B, H, C]`` of a window in transformed space."""

    @property
    def takes_phase(self) -> bool:
        """Whether ``phase`` is needed."""
        return self.learned_cycle is not None

    @property
    def covariates_taken(self) -> list[str]:
        """The covariates and categories of a batch that are needed."""
        return self.inputs.names

    def example_inputs(self, batch_size: int = 1) -> dict[str, Tensor]:
        """Return keyword arguments of :meth:`forward` with the right shapes, for export and tests."""
        made = super().example_inputs(batch_size)
        past = {"past_target": made.pop("past_target")}
        return past | self.inputs.example(batch_size, self.context_length) | made

    def _transformed(self, past: Tensor, given: Mapping[str, Tensor]) -> tuple[Tensor, WindowState]:
        """Return the past ``[B, L, C]`` in transformed space, without the cycle, and the state for the way
        back."""
        transformed, state = self.transform.transform(past)
        if self.learned_cycle is None:
            return transformed, state
        return self.learned_cycle.remove(transformed, state, self._phase(given, past), self.prediction_length)

    def _phase(self, given: Mapping[str, Tensor], past: Tensor) -> Tensor:
        """Return the checked ``phase`` ``[B]`` of the inputs."""
        phase = given.get("phase")
        if phase is None:
            cycle = self.hparams.get("cycle")
            built = "for a season" if cycle is None else f"with cycle={cycle}"
            raise ValueError(
                f"phase: needed, for the model was built {built}; an int64 tensor [B], the step of the clock "
                "of each window's first future step, as the batches of a DataModule have it"
            )
        check_shape("phase", phase, {"B": past.shape[0]})
        if phase.is_floating_point():
            raise TypeError(f"phase: expected whole numbers (int64), got {phase.dtype}")
        return phase

    def _transformed_future(self, future: Tensor, state: WindowState) -> Tensor:
        """Return what follows a window's past, ``[B, H, C]`` in original units, in transformed space."""
        if isinstance(state, CycleState):
            return self.transform.transform_future(future, state.transform) - state.ahead
        return self.transform.transform_future(future, state)

    def _original_units(self, decoded: Tensor, state: WindowState) -> Tensor:
        """Return a forecast out of transformed space, within the bounds."""
        if isinstance(state, CycleState):
            decoded, state = decoded + state.ahead, state.transform
        return self.bounds.apply(self.transform.inverse(decoded, state))

    def _under_new_names(self, inputs: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """Return the inputs that there are, those with an old name under the new one."""
        given = super()._under_new_names(inputs)
        needed = self.inputs.names
        for old, new in (("past_covariates", "historic_future_covariates"), ("static", "static_covariates")):
            if old in given and old not in needed and new in needed and new not in given:
                warn_renamed(old, new)
                given[new] = given.pop(old)
        return given

    def _checked(self, given: Mapping[str, Tensor], length: int | None = None) -> dict[str, Tensor]:
        """Return the entries of a batch, checked; a covariate that the model was not built for is refused."""
        checked = super()._checked(given, length)
        if not self.target_only:
            self.inputs.check_known(checked)
        if self.head.counts:
            self._check_counts("past_target", checked["past_target"])
        return checked

    def _window(self, given: Mapping[str, Tensor]) -> tuple[Window, WindowState]:
        """Take the checked entries of a batch to transformed space."""
        past = given["past_target"]
        transformed, state = self._transformed(past, given)
        dtype = next((p.dtype for p in self.network.parameters()), transformed.dtype)
        window = self.inputs.window(transformed, given, past.shape[1], dtype)
        if self.head.counts:
            window = replace(window, scale=self.transform.inverse(torch.ones_like(past[:, :1]), state))
        if self.scaled_loss is not None:
            before = state.transform if isinstance(state, CycleState) else state
            window = replace(window, units=units_of(self.transform, before, past, given.get("scale")))
        return window, state

    def _batch_window(
        self, batch: Batch, *, with_future: bool, length: int | None = None
    ) -> tuple[Window, WindowState]:
        """Check a batch and take its past to transformed space; ``length`` replaces L."""
        return self._window(self._of_batch(batch, with_future=with_future, length=length))

    def _check_counts(self, name: str, values: Tensor) -> None:
        """Raise ValueError for what are no counts; elsewhere than on the CPU nobody waits for the answer."""
        if values.device.type == "cpu" and not torch.compiler.is_compiling():
            check_counts(name, values, self.head)

    def _future(self, batch: Batch) -> Tensor:
        """Return the batch's true future ``[B, H, C]`` in original units, NaN where missing."""
        future = super()._future(batch)
        if self.head.counts:
            self._check_counts("future_target", future)
        return future
