"""One linear layer over the window."""

from collections.abc import Iterable
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from seqlight.heads import PointHead
from seqlight.inputs import LearnedCycle
from seqlight.models.forecasting.forecaster import Batch, Forecaster
from seqlight.models.forecasting.normal_equations import NormalEquations
from seqlight.models.forecasting.reweighting import REWEIGHTED_LOSSES, RowWeights, scales_of_rows
from seqlight.models.lightning.checks import check_integer
from seqlight.models.lightning.training_values import values_of_loader
from seqlight.nn import ChannelIndependent
from seqlight.nn.channel_independent import fold_channels

PASSES = 4
"""Of reweighted least squares; the first takes the forecast 0 of transformed space for the one before."""


class WindowLinear(nn.Module):
    """A linear layer from all inputs of a window of fixed length to one output vector.

    Args:
        context_length: number L of input steps.
        input_size: channels of each input step.
        output_size: channels of the output.

    """

    def __init__(self, context_length: int, input_size: int, output_size: int) -> None:
        super().__init__()
        self.context_length = context_length
        self.linear = nn.Linear(context_length * input_size, output_size)

    def forward(self, x: Tensor, state: None = None) -> tuple[Tensor, None]:
        """Return the output ``[B, 1, output_size]`` of the window ``[B, L, input_size]``, and no state."""
        if x.shape[1] != self.context_length:
            raise ValueError(f"x: expected {self.context_length} steps, got {x.shape[1]}")
        return self.linear(x.flatten(1)).unsqueeze(1), None

    def output_steps(self, length: int) -> range:
        """Return the last step: the one output has seen the whole window."""
        return range(length - 1, length)


class LinearForecaster(Forecaster):
    """One linear layer over the window, trained by gradient, or solved exactly by :meth:`solve`.

    Takes the arguments of :class:`Forecaster`. The known covariates of all future steps enter each output,
    and each known value of a category is a channel of its own, 0 or 1 (a value not seen is none of them).
    With the strategy ``"every_step"`` it is the same as with ``"direct"``, for it has one output only. With
    ``channels="independent"`` one set of weights, from the past of a channel to its future, serves all.

    Args:
        targets_alone: make forecasts of the targets alone, whatever else a batch holds.
        kwargs: see :class:`Forecaster`.

    """

    linear_inputs = True

    def __init__(self, *, targets_alone: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_only = targets_alone

    def build_network(self) -> nn.Module:
        """Return the linear layer."""
        return WindowLinear(self.context_length, self.input_size, self.output_size)

    @torch.no_grad()
    def solve(self, loader: Iterable[Batch], *, ridge: float = 1e-3, passes: int | None = None) -> Self:
        """Set the weights to the ridge least-squares solution over all windows of a training loader.

        The strongest linear baseline, from one pass: the normal equations are summed in float64 and solved
        directly. Least squares is taken in transformed space, as the loss of training by gradient is, over
        the known cells of the targets. A transform that is not fitted yet is fitted on the same loader first,
        and a ``cycle`` is set to the mean of the transformed target at each of its steps.

        With ``loss="mae"``, ``"huber"`` or ``"mase"`` the equations are summed several times, and a window
        (with ``channels="independent"`` a channel of it) has the inverse of its last error for a weight: the
        sum of the windows' root mean squared errors is made small, not that of their squares (iteratively
        reweighted least squares). So rare events, and series of a larger scale, do not decide for all.

        Args:
            loader: batches as in training; its order does not matter. It is gone through once for each pass,
                and once more each for a transform to be fitted and for a cycle.
            ridge: weight of the squared weights, relative to the mean square of the inputs; the bias is
                free of it. A little makes the solution unique where inputs repeat each other.
            passes: times that the equations are solved; None for 1 with ``loss="mse"``, else 4.

        Returns:
            self.

        Raises:
            ValueError: the loader is empty, the head is not ``"point"``, the loss is ``"smape"``, or there
                are several passes of least squares.

        """
        passes = self._checked_passes(passes)
        if not self.transform.fitted:
            found = values_of_loader(loader, as_windows=self.transform.fits_on_windows)
            if found is not None:
                self.transform.fit(*(values.to(self.device) for values in found))
        if self.learned_cycle is not None:
            self._solve_cycle(loader)
        loss = self.hparams["loss"]
        weigh = RowWeights(loss) if loss in REWEIGHTED_LOSSES else None
        solution: tuple[Tensor, Tensor] | None = None
        for _ in range(passes):
            equations: NormalEquations | None = None
            for batch in loader:
                inputs, targets, scales = self._equations(self._on_device(batch))
                if equations is None:
                    equations = NormalEquations(inputs.shape[1], targets.shape[1], self.device)
                weights = None
                if weigh is not None:
                    errors = targets.to(torch.float64)
                    if solution is not None:
                        errors = errors - torch.addmm(solution[1], inputs.to(torch.float64), solution[0].T)
                    weights = weigh(errors, scales)
                equations.add(inputs, targets, weights)
            if equations is None:
                raise ValueError("loader: expected at least one batch, got none")
            if weigh is not None:
                weigh.next_pass()
            solution = equations.solve(ridge)
        if solution is not None:
            self._set_weights(*solution)
        return self

    def _checked_passes(self, passes: int | None) -> int:
        """Return the number of passes of :meth:`solve`, or raise where there is nothing to solve."""
        if not isinstance(self.head, PointHead):
            raise ValueError(
                f"solve: least squares forecast a mean, not what head={self.head.name!r} needs; make the "
                "forecaster with head='point', or train this one with Trainer.fit"
            )
        loss = self.hparams["loss"]
        if loss == "smape":
            raise ValueError(
                "solve: no least squares have loss='smape', whose errors are divided by the forecast; make "
                "the forecaster with loss='mae' or 'mase', or train this one with Trainer.fit"
            )
        if passes is None:
            return PASSES if loss in REWEIGHTED_LOSSES else 1
        if check_integer("passes", passes, 1) > 1 and loss not in REWEIGHTED_LOSSES:
            raise ValueError(f"passes: with loss={loss!r} the first is exact, expected 1, got {passes}")
        return passes

    def _set_weights(self, weight: Tensor, bias: Tensor) -> None:
        """Take a solution: the weight ``[O, I]`` of all inputs, those of the future's rows last."""
        network = self.network.network if isinstance(self.network, ChannelIndependent) else self.network
        linear = cast(WindowLinear, network).linear
        inputs_size = linear.in_features
        linear.weight.copy_(weight[:, :inputs_size])
        if self.inputs.future_head is not None:
            self.inputs.future_head.set_linear_(weight[:, inputs_size:])
        linear.bias.copy_(bias)

    def _on_device(self, batch: Batch) -> dict[str, Tensor]:
        return {name: value.to(self.device) for name, value in batch.items()}

    def _equations(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the inputs ``[N, I]``, targets ``[N, O]`` and units of MASE ``[N]`` of a batch's windows."""
        window, state = self._batch_window(batch, with_future=True)
        future = self._transformed_future(self._future(batch), state)
        steps = range(self.context_length - 1, self.context_length)
        targets = self.strategy.targets(window.past, future, steps)  # [B, 1, horizon, C]
        inputs, rows = window.inputs(), window.future_rows()
        independent = isinstance(self.network, ChannelIndependent)
        scales = scales_of_rows(window.units, independent)
        if independent:
            inputs = fold_channels(inputs, self.target_size, self.inputs.of_each)
            rows = rows.repeat_interleave(self.target_size, 0)
            targets = targets.permute(0, 3, 1, 2).flatten(0, 1)
        return torch.cat([inputs.flatten(1), rows.flatten(1)], dim=1), targets.flatten(1), scales

    def _solve_cycle(self, loader: Iterable[Batch]) -> None:
        """Set the cycle to the mean of the transformed target at each of its steps."""
        cycle = cast(LearnedCycle, self.learned_cycle)
        cycle.values.zero_()
        sums, counts = (cycle.values.new_zeros(cycle.values.shape, dtype=torch.float64) for _ in range(2))
        for batch in loader:
            batch = self._on_device(batch)
            past = self._batch_window(batch, with_future=True)[0].past  # without the cycle, which is 0
            for total, more in zip((sums, counts), cycle.phase_sums(past, batch["phase"]), strict=True):
                total += more
        cycle.values.copy_(sums / counts.clamp(min=1.0))
