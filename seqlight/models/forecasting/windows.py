"""What takes a forecaster's raw values to windows in transformed space, and forecasts back."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from seqlight.heads import Head
from seqlight.inputs import LearnedCycle, NetworkInputs, Window
from seqlight.inputs.cycle import CycleState
from seqlight.models.forecasting.bounds import Bounds
from seqlight.models.forecasting.head_checks import check_counts
from seqlight.models.forecasting.scaled_losses import ScaledLoss, units_of
from seqlight.models.lightning.checks import check_batch, check_shape
from seqlight.models.lightning.module import SeqlightModule
from seqlight.models.lightning.renamed import warn_renamed
from seqlight.strategies import Strategy
from seqlight.transforms import Transform, WindowState

Batch = Mapping[str, Tensor]


class ForecasterWindows(SeqlightModule):
    """What :class:`~seqlight.models.Forecaster` makes of the values of a batch."""

    target_only: bool
    prediction_length: int
    context_length: int
    target_size: int
    network: nn.Module
    strategy: Strategy
    transform: Transform
    inputs: NetworkInputs
    learned_cycle: LearnedCycle | None
    bounds: Bounds
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
    def takes_series(self) -> bool:
        """Whether ``series_index`` is needed."""
        return False

    @property
    def entries_taken(self) -> list[str]:
        """The entries of a batch that are needed beside the target."""
        more = {"phase": self.takes_phase, "series_index": self.takes_series}
        return [*self.inputs.names, *(name for name, taken in more.items() if taken)]

    def use_series(self, ids: Sequence[str]) -> None:
        """Take ``series_index`` of batches for positions in ``ids`` from now on."""

    def example_inputs(self, batch_size: int = 1) -> dict[str, Tensor]:
        """Return keyword arguments of :meth:`forward` with the right shapes, for export and tests."""
        # Ones, which every transform takes; 0 has no logarithm.
        past = torch.ones(batch_size, self.context_length, self.target_size)
        made = {"past_target": past, **self.inputs.example(batch_size, self.context_length)}
        made |= {
            name: torch.arange(batch_size) for name in ("phase", "series_index") if name in self.entries_taken
        }
        return made

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
        given = {name: value for name, value in inputs.items() if value is not None}
        needed = self.inputs.names
        for old, new in (("past_covariates", "historic_future_covariates"), ("static", "static_covariates")):
            if old in given and old not in needed and new in needed and new not in given:
                warn_renamed(old, new)
                given[new] = given.pop(old)
        return given

    def _window(
        self, past_target: Tensor, given: Mapping[str, Tensor], length: int | None = None
    ) -> tuple[Window, WindowState]:
        """Check one batch's inputs and take them to transformed space; ``length`` replaces L."""
        length = self.context_length if length is None else length
        steps = {"B": None, "L": length, "C": self.target_size}
        check_shape("past_target", past_target, steps, f"past_target[:, -{length}:] are the last L steps")
        past = past_target.to(torch.promote_types(past_target.dtype, torch.float32))
        past_observed = given.get("past_observed")
        if past_observed is not None:
            check_shape("past_observed", past_observed, {**steps, "B": past_target.shape[0]})
            past = past.masked_fill(~past_observed.bool(), torch.nan)
        if not self.target_only:
            self.inputs.check_known(given)
        if self.head.counts:
            self._check_counts("past_target", past)
        transformed, state = self._transformed(past, given)
        dtype = next((p.dtype for p in self.network.parameters()), transformed.dtype)
        window = self.inputs.window(transformed, given, length, dtype)
        if self.head.counts:
            window = replace(window, scale=self.transform.inverse(torch.ones_like(past[:, :1]), state))
        if self.scaled_loss is not None:
            before = state.transform if isinstance(state, CycleState) else state
            window = replace(window, units=units_of(self.transform, before, past, given.get("scale")))
        return window, state

    def _check_counts(self, name: str, values: Tensor) -> None:
        """Raise ValueError for what are no counts; elsewhere than on the CPU nobody waits for the answer."""
        if values.device.type == "cpu" and not torch.compiler.is_compiling():
            check_counts(name, values, self.head)

    def _batch_window(
        self, batch: Batch, *, with_future: bool, length: int | None = None
    ) -> tuple[Window, WindowState]:
        required = ["past_target", *(["future_target"] if with_future else []), *self.entries_taken]
        given = self._under_new_names(batch) if isinstance(batch, Mapping) else batch
        check_batch(given, required)
        return self._window(given["past_target"], given, length)

    def _future(self, batch: Batch) -> Tensor:
        """Return the batch's true future ``[B, H, C]`` in original units, NaN where missing."""
        future = batch["future_target"]
        axes = {"B": batch["past_target"].shape[0], "H": self.prediction_length, "C": self.target_size}
        check_shape("future_target", future, axes)
        future = future.to(torch.promote_types(future.dtype, torch.float32))
        if batch.get("future_observed") is not None:
            check_shape("future_observed", batch["future_observed"], axes)
            future = future.masked_fill(~batch["future_observed"].bool(), torch.nan)
        if self.head.counts:
            self._check_counts("future_target", future)
        return future

    def _forecastable(self, batch: Batch) -> Tensor:
        """Return whether the past has an observed cell, ``[B, 1, C]``.

        Asked of the original values: of few, a transform can leave none, and its inverse still goes on from
        them.
        """
        return observed_at_all(batch["past_target"], batch.get("past_observed"))


def observed_at_all(past_target: Tensor, past_observed: Tensor | None) -> Tensor:
    """Return whether each channel ``[B, L, C]`` has an observed cell, ``[B, 1, C]``."""
    observed = ~past_target.isnan()
    if past_observed is not None:
        observed = observed & past_observed.bool()
    return observed.any(1, keepdim=True)
