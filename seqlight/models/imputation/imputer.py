"""The base class of all imputers."""

import inspect
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

from seqlight.metrics import MeanOverCells, imputation_metrics
from seqlight.models.imputation.cell_hiding import hide_cells
from seqlight.models.imputation.gaps import row_times
from seqlight.models.imputation.stitching import Stitcher, window_starts
from seqlight.models.lightning.checkpoint import constructor_arguments
from seqlight.models.lightning.checks import (
    check_batch,
    check_integer,
    check_number,
    check_shape,
    choose,
    plain_value,
)
from seqlight.models.lightning.finite import check_prediction
from seqlight.models.lightning.losses import LOSSES
from seqlight.models.lightning.module import SeqlightModule
from seqlight.models.lightning.training_values import values_of_trainer
from seqlight.strategies import masked_loss
from seqlight.transforms import Decompose, Difference, build_transform

Batch = Mapping[str, Tensor]


class Imputer(SeqlightModule):
    """A network that fills missing cells of raw series, a transform and a loss, joined to a LightningModule.

    Subclass it and return a network from :meth:`build_network`. The network takes plain tensors, the target
    in transformed space::

        estimate, directions = network(values, observed, times, covariates)

    ``values`` [B, T, C] are 0 where ``observed`` (bool [B, T, C]) is false, ``times`` [B, T] is the time of
    each row since the first in steps of the series, ``covariates`` is [B, T, K] or None. It returns an
    ``estimate`` [B, T, C] of every cell, and a tuple of further estimates, one per direction of time. **If
    there are directions, no estimate may depend on the very cell that it is an estimate of**, so that cells
    which are shown can be trained on too.

    **Training** hides a share of the known cells at each step
    (:func:`~seqlight.models.cell_hiding.hide_cells`: points and blocks; torch's generator draws them, so
    one seed is one run). The loss is the sum of

    - the loss of the estimates of the hidden cells, and for networks with directions
    - ``reconstruction_weight`` times the mean of the losses of the estimates of cells that were shown and of
      each direction's estimates of all known cells,
    - ``consistency_weight`` times the mean absolute difference between the directions (Cao et al. 2018).

    **Validation and test** judge the cells of ``held_out_target``, which a DataModule such as
    :class:`seqlight.data.CSVImputationDataModule` hides once and for all.

    **Logged**: ``train_loss``; ``val_loss`` (the loss of the held-out cells in transformed space),
    ``val_mae``, ``val_rmse`` and ``val_mre`` (``sum |error| / sum |value|``) in original units, and their
    ``test_`` twins. A held-out cell in a window whose channel has no observed cell is not scored: there is
    nothing to fill from.

    Args:
        target_size: number C of channels.
        covariate_size: number K of covariates, known at every row.
        window_length: rows of the windows in which :meth:`impute` works through long series; None takes whole
            series at once.
        transform: ``"instance"`` (each window is normalised by its own observed cells), ``"standard"`` (by
            the training part's mean and deviation), ``"none"``, or another of :mod:`seqlight.transforms` that
            takes each cell by itself, such as ``"log + standard"``.
        hide_fraction: share of the known cells that is hidden in training, between 0 and 1.
        longest_gap: rows of the longest block that is hidden in training.
        reconstruction_weight: see above.
        consistency_weight: see above.
        loss: ``"mse"``, ``"mae"`` or ``"huber"``, taken in transformed space.
        optimizer: ``"adam"``, ``"adamw"``, ``"nadam"``, ``"rmsprop"`` or ``"sgd"``.
        lr: learning rate, the highest one of a schedule.
        weight_decay: the optimiser's weight decay.
        lr_schedule: None, ``"cosine"`` (down to 0) or ``"one_cycle"``, over the whole training.

    Raises:
        TypeError: an argument, or one of a subclass, is no plain value of the right kind.
        ValueError: a size below 1, a negative rate, or an unknown name.

    """

    def __init__(
        self,
        *,
        target_size: int = 1,
        covariate_size: int = 0,
        window_length: int | None = None,
        transform: str = "instance",
        hide_fraction: float = 0.25,
        longest_gap: int = 24,
        reconstruction_weight: float = 0.3,
        consistency_weight: float = 0.1,
        loss: str = "mae",
        optimizer: str = "adam",
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        lr_schedule: str | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self._constructor_arguments = constructor_arguments(inspect.currentframe())
        for name, value in self.hparams.items():
            self.hparams[name] = plain_value(name, value)
        self.target_size = check_integer("target_size", target_size, 1)
        self.covariate_size = check_integer("covariate_size", covariate_size, 0)
        if window_length is not None:
            check_integer("window_length", window_length, 1)
        self.window_length = window_length
        self.hide_fraction = check_number("hide_fraction", hide_fraction, 0.0, below=1.0)
        self.longest_gap = check_integer("longest_gap", longest_gap, 1)
        self.reconstruction_weight = check_number("reconstruction_weight", reconstruction_weight, 0.0)
        self.consistency_weight = check_number("consistency_weight", consistency_weight, 0.0)
        self.pointwise_loss = choose("loss", loss, LOSSES)
        self._check_optimization(optimizer, lr, weight_decay, lr_schedule)
        self.transform = build_transform(transform, self.target_size)
        if any(isinstance(part, Difference | Decompose) for part in self.transform.modules()):
            raise ValueError(
                f"transform: {transform!r} takes cells from one another, which gaps would spread from; "
                "expected one that takes each cell by itself, such as 'instance', 'standard' or "
                "'log + standard'"
            )
        self.network = self.build_network()
        self.val_metrics = imputation_metrics()
        self.test_metrics = imputation_metrics()
        self.val_mean_loss = MeanOverCells()
        self.test_mean_loss = MeanOverCells()

    def build_network(self) -> nn.Module:
        """Return the network, see the class; called once, while the imputer is made. The hook for subclasses.

        ``self.hparams`` holds the subclass's own arguments.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no network: override build_network and return an nn.Module whose "
            "forward(values [B, T, C], observed [B, T, C], times [B, T], covariates) returns (estimate "
            "[B, T, C], directions); or use a ready imputer such as seqlight.models.RNNImputer"
        )

    # Filling

    def forward(
        self,
        target: Tensor,
        observed: Tensor | None = None,
        time_gap: Tensor | None = None,
        covariates: Tensor | None = None,
    ) -> Tensor:
        """Fill the missing cells of raw windows; no DataModule is needed.

        Args:
            target: ``[B, T, C]`` in original units; missing cells are NaN. Any T.
            observed: bool ``[B, T, C]``, False where a cell is missing; None means all that are not NaN.
            time_gap: ``[B, T]`` time since the row before in the series' typical steps (the first one is not
                used); None means 1 everywhere: rows at equal distances.
            covariates: ``[B, T, K]``, needed if K > 0.

        Returns:
            ``[B, T, C]`` in original units, float32 (float64 if the input is): observed cells as they came,
            to the last bit, and estimates in place of the others.

        Raises:
            ValueError: a tensor is missing or has the wrong shape.

        """
        target = self._masked(target, observed)
        estimate = self._estimate(target, time_gap, covariates)[0]
        return torch.where(target.isnan(), estimate.to(target.dtype), target)

    @torch.no_grad()
    def impute(
        self,
        target: Tensor,
        *,
        time_gap: Tensor | None = None,
        covariates: Tensor | None = None,
        batch_size: int = 64,
    ) -> Tensor:
        """Fill the missing cells of one raw series of any length.

        A series longer than ``window_length`` is filled in windows that overlap by half and are cross-faded,
        so that there are no seams.

        Args:
            target: ``[N, C]`` in original units, NaN where missing.
            time_gap: ``[N]``, see :meth:`forward`.
            covariates: ``[N, K]``, needed if K > 0.
            batch_size: windows at a time.

        Returns:
            ``[N, C]``, observed cells as they came.

        Raises:
            ValueError: a tensor is missing or has the wrong shape.

        """
        check_shape("target", target, {"N": None, "C": self.target_size})
        rows = len(target)
        if time_gap is not None:
            check_shape("time_gap", time_gap, {"N": rows})
        if covariates is not None:
            check_shape("covariates", covariates, {"N": rows, "K": self.covariate_size})
        length = min(rows, self.window_length or rows)
        stitcher = Stitcher(rows, self.target_size)
        starts = window_starts(rows, length)
        for first in range(0, len(starts), batch_size):
            some = starts[first : first + batch_size]
            index = torch.tensor(some)[:, None] + torch.arange(length)
            parts = (None if part is None else part[index].to(self.device) for part in (time_gap, covariates))
            filled = self(target[index].to(self.device), None, *parts)
            for start, window in zip(some, filled, strict=True):
                stitcher.add(start, window)
        return torch.where(target.isnan(), stitcher.result().to(target.dtype), target)

    def example_inputs(self, batch_size: int = 1) -> dict[str, Tensor]:
        """Return keyword arguments of :meth:`forward` with the right shapes, for export and tests."""
        length = self.window_length or 16
        target = torch.zeros(batch_size, length, self.target_size)
        target[:, length // 2] = torch.nan
        inputs = {"target": target, "time_gap": torch.ones(batch_size, length)}
        if self.covariate_size:
            inputs["covariates"] = torch.zeros(batch_size, length, self.covariate_size)
        return inputs

    def _masked(self, target: Tensor, observed: Tensor | None) -> Tensor:
        """Check the target and return it with NaN in every missing cell, at least float32."""
        check_shape("target", target, {"B": None, "T": None, "C": self.target_size})
        target = target.to(torch.promote_types(target.dtype, torch.float32))
        if observed is None:
            return target
        batch, length, channels = target.shape
        check_shape("observed", observed, {"B": batch, "T": length, "C": channels})
        return target.masked_fill(~observed.bool(), torch.nan)

    def _estimate(
        self, target: Tensor, time_gap: Tensor | None, covariates: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return the estimate in original units, those in transformed space, and the transform's state."""
        batch, length, _ = target.shape
        if time_gap is None:
            time_gap = target.new_ones(batch, length)
        check_shape("time_gap", time_gap, {"B": batch, "T": length})
        if self.covariate_size:
            if covariates is None:
                raise ValueError(f"covariates: needed, for covariate_size is {self.covariate_size}")
            check_shape("covariates", covariates, {"B": batch, "T": length, "K": self.covariate_size})
        else:
            covariates = None
        transformed, state = self.transform.transform(target)
        observed = ~transformed.isnan()
        dtype = next((p.dtype for p in self.network.parameters()), transformed.dtype)
        estimate, directions = self.network(
            transformed.masked_fill(~observed, 0.0).to(dtype),
            observed,
            row_times(time_gap.to(torch.promote_types(time_gap.dtype, torch.float32))),
            None if covariates is None else covariates.to(dtype),
        )
        estimates = tuple(one.to(target.dtype) for one in (estimate, *directions))
        return self.transform.inverse(estimates[0], state), estimates, state

    # Lightning's hooks

    def setup(self, stage: str) -> None:
        """Fit the transform on the training part, unless it was fitted before or loaded."""
        if stage == "fit" and not self.transform.fitted:
            found = values_of_trainer(self.trainer, as_windows=self.transform.fits_on_windows, prefix="")
            if found is not None:
                self.transform.fit(*found)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Hide cells, and return the loss described at the class."""
        check_batch(batch, ["target"])
        target = self._masked(batch["target"], batch.get("observed"))
        known = ~target.isnan()
        # Drawn for the rows of all processes, of which row i of rank r is row i * processes + r: processes of
        # one seed hide what a single one would have hidden.
        processes, rank = self.trainer.world_size, self.trainer.global_rank
        hidden = hide_cells(
            known.repeat_interleave(processes, 0), fraction=self.hide_fraction, longest_gap=self.longest_gap
        )[rank::processes]
        visible = target.masked_fill(hidden, torch.nan)
        _, (estimate, *directions), state = self._estimate(
            visible, batch.get("time_gap"), batch.get("covariates")
        )
        true = self.transform.transform_future(target, state)
        loss = self._mean_loss(estimate, true.masked_fill(~hidden, torch.nan))
        if directions:
            shown = self._mean_loss(estimate, true.masked_fill(hidden, torch.nan))
            each = [self._mean_loss(direction, true) for direction in directions]
            loss = loss + self.reconstruction_weight * torch.stack([shown, *each]).mean()
            first, *others = directions
            apart = sum(((first - other).abs().mean() for other in others), start=first.new_zeros(()))
            loss = loss + self.consistency_weight * apart
        size = len(target)
        self.log(
            "train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=size, sync_dist=True
        )
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Update ``val_loss`` and the validation metrics."""
        self._evaluation_step(batch, "val", self.val_mean_loss, self.val_metrics)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Update ``test_loss`` and the test metrics."""
        self._evaluation_step(batch, "test", self.test_mean_loss, self.test_metrics)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Return ``prediction`` [B, T, C], the filled windows in original units, and where they are."""
        check_batch(batch, ["target"])
        names = ("target", "observed", "time_gap", "covariates")
        filled = self(**{name: batch[name] for name in names if batch.get(name) is not None})
        known = ~self._masked(batch["target"], batch.get("observed")).isnan()
        check_prediction({"prediction": filled}, batch, known.any(1, keepdim=True))
        return {"prediction": filled} | {
            name: batch[name] for name in ("series_index", "start") if name in batch
        }

    def _mean_loss(self, preds: Tensor, target: Tensor) -> Tensor:
        """Mean over the cells that are known, of all processes."""
        return self.mean_over_processes(*masked_loss(self.pointwise_loss, preds, target))

    def _evaluation_step(
        self, batch: Batch, stage: str, mean_loss: MeanOverCells, metrics: MetricCollection
    ) -> None:
        check_batch(batch, ["target", "held_out_target"])
        target = self._masked(batch["target"], batch.get("observed"))
        held_out = batch["held_out_target"]
        check_shape("held_out_target", held_out, dict(zip("BTC", target.shape, strict=True)))
        held_out = held_out.masked_fill(target.isnan().all(1, keepdim=True), torch.nan)
        preds, estimates, state = self._estimate(target, batch.get("time_gap"), batch.get("covariates"))
        mean_loss.update(
            *masked_loss(self.pointwise_loss, estimates[0], self.transform.transform_future(held_out, state))
        )
        size = len(target)
        self.log(f"{stage}_loss", mean_loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=size)
        known = ~held_out.isnan()
        for name, metric in metrics.items(keep_base=True):
            metric.update(preds, held_out, known)
            self.log(f"{stage}_{name}", metric, on_step=False, on_epoch=True, batch_size=size)
