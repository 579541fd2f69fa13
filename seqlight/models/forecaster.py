"""The base class of all forecasters."""

import inspect
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

from seqlight.metrics import MeanAbsoluteScaledError, MeanOverCells, forecast_metrics
from seqlight.strategies import STRATEGIES, Window, masked_loss
from seqlight.transforms import WindowState, build_transform

from .carried_state import CarriesState
from .checkpoint import constructor_arguments
from .checks import check_batch, check_integer, check_shape, choose, plain_value
from .finite import check_prediction
from .losses import LOSSES
from .module import SeqlightModule
from .renamed import COVARIATE_SIZES, rename_arguments, take_renamed, warn_renamed
from .state_rows import has_tensors, state_batch_dim
from .training_values import values_of_trainer

Batch = Mapping[str, Tensor]


class Forecaster(SeqlightModule, CarriesState):
    """A network, a strategy, a transform and a loss, joined to a LightningModule that forecasts raw values.

    Subclass it and return a network from :meth:`build_network`; arguments of your own are found in
    ``self.hparams``::

        class MyForecaster(Forecaster):
            def __init__(self, *, hidden_size: int = 32, **kwargs):
                super().__init__(**kwargs)

            def build_network(self):
                core = torch.nn.GRU(self.input_size, self.hparams.hidden_size, batch_first=True)
                return SequenceNetwork(core, torch.nn.Linear(self.hparams.hidden_size, self.output_size))

    Missing cells are NaN in ``past_target`` (or False in ``past_observed``). After the transform they are
    filled with 0, which is the mean where the last transform is ``"standard"`` or ``"instance"``, and
    ``observed_indicator`` adds a channel that tells the network which they are. Loss and metrics leave
    missing targets out.

    **The network's input** at time t is ``[target_t, observed_t, covariates_(t+1), static]``, ``input_size``
    channels: covariates are known ahead, so they enter one step early. The strategies ``"recursive"`` and
    ``"encoder_decoder"`` see those of the whole future; the others see them up to the first future step.

    **Long sequences.** Where training batches have ``reset`` (``tbptt_steps`` or ``stateful`` of the
    DataModules, :class:`seqlight.data.TBPTTLoader`), the network goes on with the state that it had at the
    end of the batch before, detached. It must have a state then, and the transform must be one that does
    not depend on the window, such as ``"standard"``: another scale in every chunk would change the meaning
    of the state. The strategies every-step and recursive take their loss over all steps, so that the
    chunks' losses add up to the window's; direct has none before a window's end and is refused where
    windows are cut.

    **Logged**: ``train_loss`` is the strategy's training loss in transformed space, over the cells that are
    known in all processes; ``val_loss`` and ``test_loss`` are the same loss on the decoded forecast, and so
    comparable between strategies; ``val_mae``, ``val_rmse``, ``val_mase`` (if the batches have ``scale``),
    ``val_smape``, ``val_mae_last`` and ``val_rmse_last`` (those of the last step ahead alone) and their
    ``test_`` twins are in original units. For the error at every single step see
    ``seqlight.evaluation.errors_by_step``. With the strategy every-step, ``val_loss_all_steps`` and
    ``test_loss_all_steps`` are the loss over the forecasts made at all steps of the windows, as in training;
    ``val_loss`` is that of the forecast made at the last one. A window whose past has no observed cell of a
    channel is not scored on that channel: there is nothing to forecast from.

    Args:
        context_length: number L of past steps the forecast is made from.
        prediction_length: number H of future steps.
        target_size: number C of target channels.
        future_covariate_size: number F of covariates that are known ahead.
        static_covariate_size: number S of values that do not change over time.
        observed_indicator: whether the network is told which cells were observed; wanted for data with
            missing cells.
        strategy: ``"direct"``, ``"recursive"`` or ``"every_step"``, or ``"encoder_decoder"`` for a network
            that encodes and decodes, see :mod:`seqlight.strategies`.
        transform: what is done to the target first, and undone on the forecast: ``"instance"`` (each window
            is normalised by its own past; the default, because series drift away from the training part's
            level), ``"standard"`` (the training part's mean and deviation), ``"min_max"``, ``"log"``,
            ``"box_cox"``, ``"difference(1, 24)"`` or ``"decompose(24)"`` (trend and season removed),
            ``"none"``, or several: ``"log + difference(1, 24) + standard"``, see
            :func:`seqlight.transforms.build_transform`.
        loss: ``"mse"``, ``"mae"`` or ``"huber"``, taken in transformed space.
        optimizer: ``"adam"``, ``"adamw"``, ``"nadam"``, ``"rmsprop"`` or ``"sgd"``. Another one: override
            ``configure_optimizers``, as Lightning's CLI does for ``--optimizer``.
        lr: learning rate, the highest one of a schedule.
        weight_decay: the optimiser's weight decay.
        lr_schedule: None, ``"cosine"`` (down to 0) or ``"one_cycle"``, over the whole training.
        covariate_size: the old name of ``future_covariate_size``.
        static_size: the old name of ``static_covariate_size``.

    Raises:
        TypeError: an argument, or one of a subclass, is no plain value of the right kind.
        ValueError: a size below 1, a negative rate, an unknown name, or a ``context_length`` too short for
            the lags or seasons of the transform.

    """

    renamed_arguments = COVARIATE_SIZES

    def __init__(
        self,
        *,
        context_length: int,
        prediction_length: int,
        target_size: int = 1,
        future_covariate_size: int = 0,
        static_covariate_size: int = 0,
        observed_indicator: bool = False,
        strategy: str = "direct",
        transform: str = "instance",
        loss: str = "mse",
        optimizer: str = "adam",
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        lr_schedule: str | None = None,
        covariate_size: int | None = None,
        static_size: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self._constructor_arguments = constructor_arguments(inspect.currentframe())
        future_covariate_size = take_renamed(
            "covariate_size", covariate_size, "future_covariate_size", future_covariate_size
        )
        static_covariate_size = take_renamed(
            "static_size", static_size, "static_covariate_size", static_covariate_size
        )
        rename_arguments(type(self), self.renamed_arguments, self.hparams)
        for name, value in self.hparams.items():
            self.hparams[name] = plain_value(name, value)
        self.context_length = check_integer("context_length", context_length, 1)
        self.prediction_length = check_integer("prediction_length", prediction_length, 1)
        self.target_size = check_integer("target_size", target_size, 1)
        self.future_covariate_size = check_integer("future_covariate_size", future_covariate_size, 0)
        self.static_covariate_size = check_integer("static_covariate_size", static_covariate_size, 0)
        self.observed_indicator = bool(observed_indicator)
        self.strategy = choose("strategy", strategy, STRATEGIES)(self.target_size, self.prediction_length)
        self.pointwise_loss = choose("loss", loss, LOSSES)
        self._check_optimization(optimizer, lr, weight_decay, lr_schedule)
        self.transform = build_transform(transform, self.target_size)
        if self.context_length < self.transform.min_context_length:
            raise ValueError(
                f"context_length: expected at least {self.transform.min_context_length}, which transform "
                f"{transform!r} needs of a window's past, got {self.context_length}; raise it, or shorten "
                "the transform's lags or seasons"
            )
        indicators = self.target_size if self.observed_indicator else 0
        self.input_size = (
            self.target_size + indicators + self.future_covariate_size + self.static_covariate_size
        )
        self.output_size = self.strategy.output_size
        self.network = self.build_network()
        self.strategy.check_network(self.network)

        self.val_metrics = forecast_metrics()
        self.test_metrics = forecast_metrics()
        self.val_mean_loss = MeanOverCells()
        self.test_mean_loss = MeanOverCells()
        if self.strategy.forecasts_at_every_step:
            self.val_loss_all_steps = MeanOverCells()
            self.test_loss_all_steps = MeanOverCells()

    def build_network(self) -> nn.Module:
        """Return the network; called once, while the forecaster is made. The hook for subclasses.

        The network's ``forward(x, state=None)`` takes ``[B, T, input_size]`` and returns
        ``(output [B, T', output_size], state)``, where the state is what ``forward`` needs to go on with the
        next step, or None for a network without state. T' may be less than T if the network has a method
        ``output_steps``, see :func:`seqlight.strategies.output_steps`; where
        ``self.strategy.sequence_to_vector`` is true only the last output is used. ``self.hparams`` holds
        the subclass's own arguments.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no network: override build_network and return an nn.Module whose "
            "forward(x [B, T, input_size], state=None) returns (output [B, T, output_size], state); "
            "or use a ready forecaster such as seqlight.models.LSTMForecaster"
        )

    @property
    def covariate_size(self) -> int:
        """The name of ``future_covariate_size`` before 0.2."""
        warn_renamed("covariate_size", "future_covariate_size")
        return self.future_covariate_size

    @property
    def static_size(self) -> int:
        """The name of ``static_covariate_size`` before 0.2."""
        warn_renamed("static_size", "static_covariate_size")
        return self.static_covariate_size

    # Forecasting

    def forward(
        self,
        past_target: Tensor,
        past_observed: Tensor | None = None,
        historic_future_covariates: Tensor | None = None,
        future_covariates: Tensor | None = None,
        static_covariates: Tensor | None = None,
        *,
        past_covariates: Tensor | None = None,
        static: Tensor | None = None,
    ) -> Tensor:
        """Forecast raw values from raw values; no DataModule is needed.

        Args:
            past_target: ``[B, L, C]`` in original units; missing cells are NaN.
            past_observed: bool ``[B, L, C]``, False where a cell is missing; None means all that are not NaN.
            historic_future_covariates: ``[B, L, F]``, what is known ahead, over the past; needed if F > 0.
            future_covariates: ``[B, H, F]``, the same over the future; needed if F > 0.
            static_covariates: ``[B, S]``, needed if S > 0.
            past_covariates: the old name of ``historic_future_covariates``.
            static: the old name of ``static_covariates``.

        Returns:
            The forecast ``[B, H, C]`` in original units, float32 (float64 if the input or the forecaster is);
            NaN for a channel whose past has no observed cell: nothing is forecast from nothing.

        Raises:
            ValueError: a tensor is missing or has the wrong shape.

        """
        given = {
            "past_observed": past_observed,
            "historic_future_covariates": historic_future_covariates,
            "future_covariates": future_covariates,
            "static_covariates": static_covariates,
            "past_covariates": past_covariates,
            "static": static,
        }
        window, state = self._window(past_target, None, **self._under_new_names(given))
        forecast = self.transform.inverse(self.decode(window), state)
        return forecast.masked_fill(~_observed_at_all(past_target, past_observed), torch.nan)

    def example_inputs(self, batch_size: int = 1) -> dict[str, Tensor]:
        """Return keyword arguments of :meth:`forward` with the right shapes, for export and tests."""
        inputs = {
            # Ones, which every transform takes; 0 has no logarithm.
            "past_target": torch.ones(batch_size, self.context_length, self.target_size),
            "historic_future_covariates": torch.zeros(
                batch_size, self.context_length, self.future_covariate_size
            ),
            "future_covariates": torch.zeros(batch_size, self.prediction_length, self.future_covariate_size),
            "static_covariates": torch.zeros(batch_size, self.static_covariate_size),
        }
        return {name: value for name, value in inputs.items() if value.numel()}

    def _under_new_names(self, inputs: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """Return the inputs that there are, those with an old name under the new one."""
        given = {name: value for name, value in inputs.items() if value is not None}
        for old, new in (("past_covariates", "historic_future_covariates"), ("static", "static_covariates")):
            if old in given and new not in given:
                warn_renamed(old, new)
                given[new] = given.pop(old)
        return given

    def _window(
        self,
        past_target: Tensor,
        length: int | None = None,
        *,
        past_observed: Tensor | None = None,
        historic_future_covariates: Tensor | None = None,
        future_covariates: Tensor | None = None,
        static_covariates: Tensor | None = None,
    ) -> tuple[Window, WindowState]:
        """Check one batch's inputs and take them to transformed space; ``length`` replaces L."""
        length = self.context_length if length is None else length
        steps = {"B": None, "L": length, "C": self.target_size}
        check_shape("past_target", past_target, steps, f"past_target[:, -{length}:] are the last L steps")
        batch = past_target.shape[0]
        past = past_target.to(torch.promote_types(past_target.dtype, torch.float32))
        if past_observed is not None:
            check_shape("past_observed", past_observed, {**steps, "B": batch})
            past = past.masked_fill(~past_observed.bool(), torch.nan)
        covariates = None
        if self.future_covariate_size:
            if historic_future_covariates is None or future_covariates is None:
                raise ValueError(
                    "historic_future_covariates and future_covariates: needed, for future_covariate_size is "
                    f"{self.future_covariate_size}"
                )
            covariate_axes = {"B": batch, "L": length, "F": self.future_covariate_size}
            check_shape("historic_future_covariates", historic_future_covariates, covariate_axes)
            covariate_axes = {"B": batch, "H": self.prediction_length, "F": self.future_covariate_size}
            check_shape("future_covariates", future_covariates, covariate_axes)
            covariates = torch.cat([historic_future_covariates[:, 1:], future_covariates], dim=1)
        if self.static_covariate_size:
            if static_covariates is None:
                raise ValueError(
                    f"static_covariates: needed, for static_covariate_size is {self.static_covariate_size}"
                )
            check_shape("static_covariates", static_covariates, {"B": batch, "S": self.static_covariate_size})
        transformed, state = self.transform.transform(past)
        window = Window(
            past=transformed,
            prediction_length=self.prediction_length,
            covariates=covariates,
            static=static_covariates if self.static_covariate_size else None,
            observed_indicator=self.observed_indicator,
            input_dtype=next((p.dtype for p in self.network.parameters()), transformed.dtype),
        )
        return window, state

    def _batch_window(
        self, batch: Batch, *, with_future: bool, length: int | None = None
    ) -> tuple[Window, WindowState]:
        names = ["past_target", "past_observed", "historic_future_covariates", "future_covariates"]
        names += ["static_covariates", "past_covariates", "static"]
        check_batch(batch, ["past_target"])
        given = self._under_new_names({name: batch.get(name) for name in names})
        required = ["past_target"]
        if with_future:
            required.append("future_target")
        if self.future_covariate_size:
            required += ["historic_future_covariates", "future_covariates"]
        if self.static_covariate_size:
            required.append("static_covariates")
        check_batch({**batch, **given}, required)
        return self._window(given.pop("past_target"), length, **given)

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

    def _forecastable(self, batch: Batch) -> Tensor:
        """Return whether the past has an observed cell, ``[B, 1, C]``.

        Asked of the original values: of few, a transform can leave none, and its inverse still goes on from
        them.
        """
        return _observed_at_all(batch["past_target"], batch.get("past_observed"))

    # Lightning's hooks

    def setup(self, stage: str) -> None:
        """Fit the transform on the training part, unless it was fitted before or loaded."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        steps = getattr(data, "tbptt_steps", None)
        if stage == "fit" and (steps is not None or getattr(data, "stateful", False)):
            # Now, before anything is fitted or trained.
            past = torch.ones(1, self.context_length, self.target_size)
            length = self.context_length if steps is None else min(steps, self.context_length)
            self._check_chunk(length, self.transform.transform(past)[1])
        if stage == "fit" and not self.transform.fitted:
            found = values_of_trainer(self.trainer, as_windows=self.transform.fits_on_windows)
            if found is not None:
                self.transform.fit(*found)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Return the strategy's training loss, a mean over the known cells of all processes."""
        if batch.get("reset") is not None:
            total, count = self._chunk_loss(batch)
        else:
            window, state = self._batch_window(batch, with_future=True)
            future = self.transform.transform_future(self._future(batch), state)
            total, count = self.training_loss(window, future)
        loss = self.mean_over_processes(total, count)
        size = batch["past_target"].shape[0]
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
        """Return ``prediction`` [B, H, C] in original units, and ``series_index`` and ``start`` [B].

        The prediction is NaN for a channel whose past has no observed cell.

        Raises:
            NonFiniteError: a forecast is not finite, though the window holds known values.

        """
        window, state = self._batch_window(batch, with_future=False)
        known = self._forecastable(batch)
        prediction = self.transform.inverse(self.decode(window), state)
        output = {"prediction": prediction.masked_fill(~known, torch.nan)}
        check_prediction(output, batch, known)
        return output | {name: batch[name] for name in ("series_index", "start") if name in batch}

    # Shared by the steps

    def decode(self, window: Window) -> Tensor:
        """Return the forecast ``[B, H, C]`` of a window in transformed space."""
        return self.strategy.decode(self.network, window)

    def training_loss(self, window: Window, future: Tensor) -> tuple[Tensor, Tensor]:
        """Return the training loss summed over the known cells, and their count.

        Args:
            window: the windows' past in transformed space.
            future: transformed target ``[B, H, C]``, NaN where missing.

        """
        return self.strategy.loss(self.network, window, future, self.pointwise_loss)

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
        future = self.transform.transform_future(self._future(batch), scaling)
        total, count, state = self.strategy.chunk_loss(
            self.network, window, future, self.pointwise_loss, self.carried_state(batch["reset"])
        )
        if not has_tensors(state):
            raise ValueError(
                f"{type(self.network).__name__} has no state to carry from one chunk of time to the next; "
                "train on whole windows, without tbptt_steps and stateful"
            )
        self.carry_state(state, batch_dim=state_batch_dim(self.network))
        return total, count

    def _evaluation_step(
        self, batch: Batch, stage: str, mean_loss: MeanOverCells, metrics: MetricCollection
    ) -> None:
        window, state = self._batch_window(batch, with_future=True)
        future = self._future(batch)
        future = future.masked_fill(~self._forecastable(batch), torch.nan)
        decoded = self.decode(window)
        target = self.transform.transform_future(future, state)
        mean_loss.update(*masked_loss(self.pointwise_loss, decoded, target))
        size = future.shape[0]
        self.log(f"{stage}_loss", mean_loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=size)
        if self.strategy.forecasts_at_every_step:
            name = f"{stage}_loss_all_steps"
            all_steps = getattr(self, name)
            all_steps.update(*self.strategy.loss(self.network, window, target, self.pointwise_loss))
            self.log(name, all_steps, on_step=False, on_epoch=True, batch_size=size)

        preds = self.transform.inverse(decoded, state)
        known, scale = ~future.isnan(), batch.get("scale")
        for name, metric in metrics.items(keep_base=True):
            if not isinstance(metric, MeanAbsoluteScaledError):
                metric.update(preds, future, known)
            elif scale is not None:
                metric.update(preds, future, scale, known)
            else:
                continue
            self.log(f"{stage}_{name}", metric, on_step=False, on_epoch=True, batch_size=size)


def _observed_at_all(past_target: Tensor, past_observed: Tensor | None) -> Tensor:
    """Return whether each channel ``[B, L, C]`` has an observed cell, ``[B, 1, C]``."""
    observed = ~past_target.isnan()
    if past_observed is not None:
        observed = observed & past_observed.bool()
    return observed.any(1, keepdim=True)
