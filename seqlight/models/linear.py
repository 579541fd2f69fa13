"""One linear layer over the window."""

from collections.abc import Iterable
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from .forecaster import Batch, Forecaster
from .normal_equations import NormalEquations
from .training_values import values_of_loader


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
    With the strategy ``"every_step"`` it is the same as with ``"direct"``, for it has one output only.
    """

    linear_inputs = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def build_network(self) -> nn.Module:
        """Return the linear layer."""
        return WindowLinear(self.context_length, self.input_size, self.output_size)

    @torch.no_grad()
    def solve(self, loader: Iterable[Batch], *, ridge: float = 1e-3) -> Self:
        """Set the weights to the ridge least-squares solution over all windows of a training loader.

        The strongest linear baseline, from one pass: the normal equations are summed in float64 and solved
        directly. Least squares is taken in transformed space, as the loss of training by gradient is, over
        the known cells of the targets. A transform that is not fitted yet is fitted on the same loader first.

        Args:
            loader: batches as in training; its order does not matter.
            ridge: weight of the squared weights, relative to the mean square of the inputs; the bias is
                free of it. A little makes the solution unique where inputs repeat each other.

        Returns:
            self.

        Raises:
            ValueError: the loader is empty.

        """
        if not self.transform.fitted:
            found = values_of_loader(loader, as_windows=self.transform.fits_on_windows)
            if found is not None:
                self.transform.fit(*(values.to(self.device) for values in found))
        equations: NormalEquations | None = None
        for batch in loader:
            batch = {name: value.to(self.device) for name, value in batch.items()}
            window, state = self._batch_window(batch, with_future=True)
            future = self.transform.transform_future(self._future(batch), state)
            inputs = torch.cat([window.inputs().flatten(1), window.future_rows().flatten(1)], dim=1)
            steps = range(self.context_length - 1, self.context_length)
            targets = self.strategy.targets(window.past, future, steps).flatten(1)
            if equations is None:
                equations = NormalEquations(inputs.shape[1], targets.shape[1], self.device)
            equations.add(inputs, targets)
        if equations is None:
            raise ValueError("loader: expected at least one batch, got none")
        weight, bias = equations.solve(ridge)
        linear = cast(WindowLinear, self.network).linear
        inputs_size = linear.in_features
        linear.weight.copy_(weight[:, :inputs_size])
        if self.inputs.future_head is not None:
            self.inputs.future_head.set_linear_(weight[:, inputs_size:])
        linear.bias.copy_(bias)
        return self
