"""The base class of all forecasters with a network."""

from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from seqlight.heads import PointHead, build_head
from seqlight.inputs import LearnedCycle, NetworkInputs, Window
from seqlight.metrics import MeanOverCells
from seqlight.models.forecasting.head_checks import check_head, check_quantiles
from seqlight.models.forecasting.hooks import ForecasterHooks
from seqlight.models.forecasting.scaled_losses import SCALED_LOSSES, check_scaled_loss
from seqlight.models.forecasting.window_values import Batch
from seqlight.models.lightning.checks import check_integer, check_number, choose
from seqlight.models.lightning.losses import LOSSES
from seqlight.models.lightning.renamed import take_renamed
from seqlight.nn import ChannelIndependent
from seqlight.strategies import STRATEGIES, Strategy
from seqlight.transforms import build_transform

__all__ = ["Batch", "Forecaster"]


class Forecaster(ForecasterHooks):
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

    **The network's input** at time t is ``[target_t, observed_t, past covariates_t, known covariates_(t+1),
    static values]``, ``input_size`` channels, joined by :class:`seqlight.inputs.NetworkInputs`: what is known
    ahead enters one step early. The strategies ``"recursive"`` and ``"encoder_decoder"`` decode with the
    known covariates of each step; an output of ``"direct"`` and ``"every_step"``, which holds H steps, is
    completed by those of all of them (:class:`seqlight.inputs.FutureHead`).

    **Covariates.** Numeric ones are scaled by what ``covariate_statistics()`` of the DataModule says of the
    training part, a dict from ``"past_covariates"``, ``"future_covariates"`` and ``"static_covariates"`` to
    pairs (mean, std) of one number a column; without it they are taken as they are. The checkpoint keeps the
    numbers. Categories are embedded. A past covariate that is missing (NaN) enters as its mean; one that is
    known ahead may not be missing. A covariate that the model was not built for is refused.

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
    channel is not scored on that channel: there is nothing to forecast from. With a ``head`` of quantiles or
    of a distribution, ``val_wql`` and ``val_crps`` score those (a distribution at the levels 0.1 to 0.9; the
    CRPS needs evenly spread levels), and ``val_loss`` is the head's; the recursive strategy takes it of each
    step given the true ones before it.

    Args:
        context_length: number L of past steps the forecast is made from.
        prediction_length: number H of future steps.
        target_size: number C of target channels.
        past_covariate_size: number P of covariates known up to now only.
        future_covariate_size: number F of covariates that are known ahead.
        static_covariate_size: number S of values that do not change over time.
        past_cardinalities: number of known values of each column of categories that is known up to now only.
            Batches hold codes, 1 to that number, and 0 for a value that training has not seen.
        future_cardinalities: likewise, of each column of categories that is known ahead.
        static_cardinalities: likewise, of each column of categories that does not change over time.
        category_dropout: probability with which a category is taken for a value not seen in training, so that
            there is something to say of one.
        schema: names, step and meanings of the data, a plain dict, see :mod:`seqlight.inputs.schema`. The
            checkpoint keeps it; a DataModule with a method ``schema()`` must agree with it.
        future_rows: ``"all"``, or ``"next"`` for outputs that see the known covariates of the first future
            step only: the form that forecasters had before 0.2, in which :func:`seqlight.load` makes those of
            old checkpoints.
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
        loss: ``"mse"``, ``"mae"`` or ``"huber"``, taken in transformed space, or in original units
            ``"mase"``, absolute errors divided by ``scale`` of the batch, or ``"smape"``, divided by half the
            sum of value and forecast; of ``head="point"`` alone.
        head: what the network's output means, see :mod:`seqlight.heads`: ``"point"``, ``"quantile"``,
            ``"normal"``, ``"student_t"``, and for counts ``"poisson"`` and ``"negative_binomial"``. The point
            forecast of all but the first is the median.
        quantiles: rising levels, such as ``[0.1, 0.5, 0.9]``, the default: those that ``head="quantile"`` is
            trained for, and those that ``Trainer.predict`` gives.
        num_samples: paths by which quantiles are known where the network does not say them: with the
            strategy recursive, and with differences at lags shorter than the horizon.
        optimizer: ``"adam"``, ``"adamw"``, ``"nadam"``, ``"rmsprop"`` or ``"sgd"``. Another one: override
            ``configure_optimizers``, as Lightning's CLI does for ``--optimizer``.
        lr: learning rate, the highest one of a schedule.
        weight_decay: the optimiser's weight decay.
        lr_schedule: None, ``"cosine"`` (down to 0) or ``"one_cycle"``, over the whole training.
        cycle: steps of a cycle of the clock, such as 24 for hours of a day, whose shape is learned beside the
            network (:class:`seqlight.inputs.LearnedCycle`); None for none. Batches and calls then need
            ``phase``, by which a window's place in the cycle is known.
        channels: ``"mixed"``, or ``"independent"``: the network is given one channel of the target at a time,
            with the covariates of all, and has one set of weights for all channels
            (:class:`seqlight.nn.ChannelIndependent`); so it learns from C times as many windows.
        bounds: ``(low, high)`` of the forecast in original units, None for no bound: values outside are set
            to the bound after the transform was undone. The losses are taken without bounds.
        nonnegative: the same as a ``low`` of 0.
        integer: round the forecast to whole numbers.
        covariate_size: the old name of ``future_covariate_size``.
        static_size: the old name of ``static_covariate_size``.

    Raises:
        TypeError: an argument, or one of a subclass, is no plain value of the right kind.
        ValueError: a size below 1, a negative rate, an unknown name, or a ``context_length`` too short for
            the lags or seasons of the transform.

    """

    target_only: bool = False
    """Whether forecasts are made of the target alone, whatever else a batch holds."""
    linear_inputs: ClassVar[bool] = False
    """Whether covariates enter linearly, so that the whole forecaster can be solved by least squares."""

    def __init__(
        self,
        *,
        context_length: int,
        prediction_length: int,
        target_size: int = 1,
        past_covariate_size: int = 0,
        future_covariate_size: int = 0,
        static_covariate_size: int = 0,
        past_cardinalities: list[int] | None = None,
        future_cardinalities: list[int] | None = None,
        static_cardinalities: list[int] | None = None,
        category_dropout: float = 0.05,
        schema: dict[str, Any] | None = None,
        future_rows: Literal["all", "next"] = "all",
        observed_indicator: bool = False,
        strategy: str = "direct",
        transform: str = "instance",
        loss: str = "mse",
        head: str = "point",
        quantiles: list[float] | None = None,
        num_samples: int = 200,
        optimizer: str = "adam",
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        lr_schedule: str | None = None,
        cycle: int | None = None,
        channels: Literal["mixed", "independent"] = "mixed",
        bounds: tuple[float | None, float | None] | None = None,
        nonnegative: bool = False,
        integer: bool = False,
        covariate_size: int | None = None,
        static_size: int | None = None,
    ) -> None:
        super().__init__(
            context_length=context_length,
            prediction_length=prediction_length,
            target_size=target_size,
            bounds=bounds,
            nonnegative=nonnegative,
            integer=integer,
        )
        future_covariate_size = take_renamed(
            "covariate_size", covariate_size, "future_covariate_size", future_covariate_size
        )
        static_covariate_size = take_renamed(
            "static_size", static_size, "static_covariate_size", static_covariate_size
        )
        sizes = {
            "past_covariate_size": past_covariate_size,
            "future_covariate_size": future_covariate_size,
            "static_covariate_size": static_covariate_size,
        }
        sizes = {name: check_integer(name, size, 0) for name, size in sizes.items()}
        self.future_covariate_size = sizes["future_covariate_size"]
        self.static_covariate_size = sizes["static_covariate_size"]
        cardinalities = {
            "past_cardinalities": past_cardinalities or [],
            "future_cardinalities": future_cardinalities or [],
            "static_cardinalities": static_cardinalities or [],
        }
        for name, numbers in cardinalities.items():
            for number in numbers:
                check_integer(name, number, 0)
        self.schema = schema
        self.observed_indicator = bool(observed_indicator)
        choose("loss", loss, {**LOSSES, **SCALED_LOSSES})
        self.scaled_loss = SCALED_LOSSES.get(loss)
        self.pointwise_loss = LOSSES.get(loss, LOSSES["mae"])
        self.quantile_levels = check_quantiles(quantiles, head)
        self.head = build_head(head, quantiles=self.quantile_levels, pointwise=self.pointwise_loss)
        parameter_count = None if isinstance(self.head, PointHead) else self.head.parameter_count
        self.num_samples = check_integer("num_samples", num_samples, 1)
        self.strategy = self._build_strategy(choose("strategy", strategy, STRATEGIES), parameter_count)
        self._check_optimization(optimizer, lr, weight_decay, lr_schedule)
        self.transform = build_transform(transform, self.target_size)
        if self.context_length < self.transform.min_context_length:
            raise ValueError(
                f"context_length: expected at least {self.transform.min_context_length}, which transform "
                f"{transform!r} needs of a window's past, got {self.context_length}; raise it, or shorten "
                "the transform's lags or seasons"
            )
        check_head(
            self.head,
            transform=self.transform,
            transform_text=transform,
            strategy=self.strategy,
            steps=self.prediction_length,
            loss=loss,
            cycle=cycle,
        )
        check_scaled_loss(loss, self.transform, transform, cycle)
        self.learned_cycle = None
        if cycle is not None:
            self.learned_cycle = LearnedCycle(check_integer("cycle", cycle, 2), self.target_size)
        independent = choose("channels", channels, {"mixed": False, "independent": True})
        self.rows_of_each = self.target_size if independent else 1
        choose("future_rows", future_rows, {"all": None, "next": None})
        self.inputs = NetworkInputs(
            target_size=self.target_size,
            prediction_length=self.prediction_length,
            observed_indicator=self.observed_indicator,
            **sizes,  # type: ignore[arg-type]
            **cardinalities,  # type: ignore[arg-type]
            schema=self.schema,
            all_future_rows=future_rows == "all" and self.strategy.horizon > 1,
            linear=self.linear_inputs,
            independent=independent,
            category_dropout=check_number("category_dropout", category_dropout, 0.0, below=1.0),
            parameter_count=parameter_count or 1,
        )
        self.strategy.check_inputs(self.inputs)
        self.input_size = self.inputs.input_size
        self.output_size = self.strategy.output_size // self.rows_of_each
        self.network = self.build_network()
        self.strategy.check_network(self.network)
        if independent:
            self.network = ChannelIndependent(
                self.network, self.target_size, self.strategy.horizon, of_each=self.inputs.of_each
            )

        self._build_distribution()
        if self.strategy.forecasts_at_every_step:
            self.val_loss_all_steps = MeanOverCells()
            self.test_loss_all_steps = MeanOverCells()

    def _build_strategy(self, cls: type[Strategy], parameter_count: int | None) -> Strategy:
        return cls(self.target_size, self.prediction_length, parameter_count)

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

    # The hooks of subclasses that forecast in a way of their own

    def decode(self, window: Window) -> Tensor:
        """Return the forecast ``[B, H, C]`` of a window in transformed space; with a head other than
        ``"point"``, the outputs ``[B, H, C, P]`` that it makes a distribution of."""
        return self.strategy.decode(self.network, window, self._fed_back(window))

    def training_loss(self, window: Window, future: Tensor) -> tuple[Tensor, Tensor]:
        """Return the training loss summed over the known cells, and their count.

        Args:
            window: the windows' past in transformed space.
            future: transformed target ``[B, H, C]``, NaN where missing.

        """
        return self.strategy.loss(self.network, window, future, self.cell_loss(window))
