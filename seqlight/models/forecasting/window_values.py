"""What batches of windows hold, checked, with missing cells as NaN."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seqlight.models.forecasting.bounds import Bounds
from seqlight.models.lightning.checks import check_batch, check_shape
from seqlight.models.lightning.module import SeqlightModule

Batch = Mapping[str, Tensor]


class WindowValues(SeqlightModule):
    """What :class:`~seqlight.models.WindowForecaster` takes of a batch."""

    context_length: int
    prediction_length: int
    target_size: int
    bounds: Bounds

    @property
    def value_range(self) -> Bounds:
        """The values that can come."""
        return self.bounds

    @property
    def takes_phase(self) -> bool:
        """Whether ``phase`` is needed."""
        return False

    @property
    def takes_series(self) -> bool:
        """Whether ``series_index`` is needed."""
        return False

    @property
    def covariates_taken(self) -> list[str]:
        """The covariates and categories of a batch that are needed."""
        return []

    @property
    def entries_taken(self) -> list[str]:
        """The entries of a batch that are needed beside the target."""
        more = {"phase": self.takes_phase, "series_index": self.takes_series}
        return [*self.covariates_taken, *(name for name, taken in more.items() if taken)]

    def use_series(self, ids: Sequence[str]) -> None:
        """Take ``series_index`` of batches for positions in ``ids`` from now on."""

    def example_inputs(self, batch_size: int = 1) -> dict[str, Tensor]:
        """Return keyword arguments of :meth:`forward` with the right shapes, for export and tests."""
        # Ones, which every transform takes; 0 has no logarithm.
        made = {"past_target": torch.ones(batch_size, self.context_length, self.target_size)}
        made |= {
            name: torch.arange(batch_size) for name in ("phase", "series_index") if name in self.entries_taken
        }
        return made

    def _under_new_names(self, inputs: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """Return the inputs that there are, those with an old name under the new one."""
        return {name: value for name, value in inputs.items() if value is not None}

    def _of_batch(self, batch: Batch, *, with_future: bool, length: int | None = None) -> dict[str, Tensor]:
        """Return the checked entries of a batch; ``length`` replaces L."""
        required = ["past_target", *(["future_target"] if with_future else []), *self.entries_taken]
        given = self._under_new_names(batch) if isinstance(batch, Mapping) else batch
        check_batch(given, required)
        return self._checked(given, length)

    def _checked(self, given: Mapping[str, Tensor], length: int | None = None) -> dict[str, Tensor]:
        """Return the entries of a batch with ``past_target`` checked: of at least float32, NaN where missing.

        Args:
            given: the entries, under their new names.
            length: number of past steps, where it is not L.

        """
        length = self.context_length if length is None else length
        past_target = given["past_target"]
        steps = {"B": None, "L": length, "C": self.target_size}
        check_shape("past_target", past_target, steps, f"past_target[:, -{length}:] are the last L steps")
        past = past_target.to(torch.promote_types(past_target.dtype, torch.float32))
        past_observed = given.get("past_observed")
        if past_observed is not None:
            check_shape("past_observed", past_observed, {**steps, "B": past_target.shape[0]})
            past = past.masked_fill(~past_observed.bool(), torch.nan)
        return {**given, "past_target": past}

    def _future(self, batch: Batch) -> Tensor:
        """Return the batch's true future ``[B, H, C]`` in original units, NaN where missing."""
        future = batch["future_target"]
        axes = {"B": batch["past_target"].shape[0], "H": self.prediction_length, "C": self.target_size}
        check_shape("future_target", future, axes)
        future = future.to(torch.promote_types(future.dtype, torch.float32))
        if batch.get("future_observed") is not None:
            check_shape("future_observed", batch["future_observed"], axes)
            future = future.masked_fill(~batch["future_observed"].bool(), torch.nan)
        return future


def observed_at_all(past: Tensor) -> Tensor:
    """Return whether each channel of a past ``[B, L, C]``, NaN where missing, has a known cell.

    The answer is ``[B, 1, C]``. It is asked of the original values: of few, a transform can leave none, and
    its inverse still goes on from them.
    """
    return (~past.isnan()).any(1, keepdim=True)
