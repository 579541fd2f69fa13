"""Ways to fill gaps that need no training: what an imputer has to beat."""

from typing import Any

import torch
from torch import Tensor, nn

from seqlight.metrics import MeanOverCells, imputation_metrics
from seqlight.models.imputation.gaps import interpolated, nearest_after, nearest_before
from seqlight.models.imputation.imputer import Batch, Imputer
from seqlight.models.lightning.checks import check_integer


class BaselineImputer(Imputer):
    """An imputer without parameters; a subclass has :meth:`build_network`.

    It is used with ``Trainer.validate``, ``test`` and ``predict``, and with ``impute``, which takes whole
    series at once. ``Trainer.fit`` works too but there is nothing to learn: it stops after one epoch.

    Args:
        target_size: number of channels C.
        covariate_size: covariates in the batches; not used.
        window_length: accepted for the same call as the other imputers; not used.

    """

    def __init__(
        self, *, target_size: int = 1, covariate_size: int = 0, window_length: int | None = None
    ) -> None:
        check_integer("covariate_size", covariate_size, 0)
        super().__init__(target_size=target_size, transform="none")
        self.automatic_optimization = False
        self.train_metrics = imputation_metrics()
        self.train_mean_loss = MeanOverCells()

    def impute(
        self,
        target: Tensor,
        *,
        time_gap: Tensor | None = None,
        covariates: Tensor | None = None,
        batch_size: int = 64,
    ) -> Tensor:
        """Fill the missing cells of one raw series, see :meth:`Imputer.impute`; covariates are not used."""
        return super().impute(target, time_gap=time_gap, batch_size=batch_size)

    def training_step(self, batch: Batch, batch_idx: int) -> None:  # type: ignore[override]
        """Log the loss of hiding nothing: the held-out cells', if the batch has any."""
        if batch.get("held_out_target") is not None:
            self._evaluation_step(batch, "train", self.train_mean_loss, self.train_metrics)

    def on_train_epoch_end(self) -> None:
        """Stop: another epoch would be the same."""
        self.trainer.should_stop = True

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return no optimiser."""
        return []


class LastValueImputer(BaselineImputer):
    """Repeats the last observed value ("last observation carried forward"); before the first, that one.

    NaN for a channel without any observed cell. Takes the arguments of :class:`BaselineImputer`.
    """

    def build_network(self) -> nn.Module:
        """Return the rule as a module."""
        return _Rule(linear=False)


class LinearInterpolationImputer(BaselineImputer):
    """Interpolates linearly in time between the nearest observed values; beyond the first and last, these.

    NaN for a channel without any observed cell. Takes the arguments of :class:`BaselineImputer`.
    """

    def build_network(self) -> nn.Module:
        """Return the rule as a module."""
        return _Rule(linear=True)


class _Rule(nn.Module):
    def __init__(self, *, linear: bool) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, values: Tensor, observed: Tensor, times: Tensor, covariates: Any = None) -> Any:
        before = nearest_before(values, observed, times, strictly=False)
        after = nearest_after(values, observed, times, strictly=False)
        if self.linear:
            estimate = interpolated(before, after)
        else:
            estimate = torch.where(before.exists, before.value, after.value)
        return estimate.masked_fill(~(before.exists | after.exists), torch.nan), ()
