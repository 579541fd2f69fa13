"""What a forecasting strategy decides."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from seqlight.inputs import NetworkInputs, Window
from seqlight.strategies.loss import PointwiseLoss, masked_loss
from seqlight.strategies.network import output_steps, run_network

Feed = Callable[[Tensor, int], Tensor]
"""Takes the network's output ``[B, 1, C, P]`` for a step ahead, and which step that is, counted from 0;
returns the value ``[B, 1, C]`` that is fed back for it."""


class Strategy(ABC):
    """How a sequence network forecasts several steps ahead: its targets, its loss, and how it is decoded.

    A strategy has no parameters and no state, and works in transformed space. L is the context length, H the
    prediction length, C the number of target channels; steps count from 0.

    Args:
        target_size: number C of target channels.
        prediction_length: number H of steps.
        parameter_count: number P of values that the network gives for each cell, see :mod:`seqlight.heads`:
            outputs then have the dimension P last. None for one, the forecast, without that dimension.

    """

    sequence_to_vector: bool = False
    """Whether only the network's last output is used, so that it need not compute the others."""

    forecasts_at_every_step: bool = False
    """Whether each output is a forecast of H steps, so that beside the loss of the last one, which is the
    forecast, there is one over the outputs of all steps."""

    carries_state: bool = True
    """Whether windows can go on from the network's state after the one before, see :meth:`chunk_loss`."""

    def __init__(self, target_size: int, prediction_length: int, parameter_count: int | None = None) -> None:
        self.target_size = target_size
        self.prediction_length = prediction_length
        self.parameter_count = parameter_count

    @property
    @abstractmethod
    def horizon(self) -> int:
        """Number of steps ahead that one output of the network holds."""

    @property
    def output_size(self) -> int:
        """Number of output channels that the network must have: ``horizon * C * P``, steps first, P last."""
        return self.horizon * self.target_size * (self.parameter_count or 1)

    @property
    def conditional(self) -> bool:
        """Whether an output says how a step is distributed given the steps before it, whatever they are.

        What comes after the first step is then known of paths only, each of which goes on from the values
        that were drawn for it, see :meth:`paths`; else each output speaks of its step as seen from the past.
        """
        return False

    def check_inputs(self, inputs: NetworkInputs) -> None:  # noqa: B027
        """Raise ValueError if the strategy has no place for some of a network's inputs."""

    def check_network(self, network: nn.Module) -> None:  # noqa: B027
        """Raise TypeError if ``network`` cannot be used; most strategies take any sequence network."""

    def targets(self, past: Tensor, future: Tensor, steps: range) -> Tensor:
        """Return what the network is to say at ``steps``.

        Args:
            past: transformed target ``[B, L, C]``, NaN where missing.
            future: transformed target ``[B, H, C]`` of the steps after it, NaN where missing.
            steps: past steps t at which the network has an output.

        Returns:
            The values at t+1 to t+horizon for every t in steps, ``[B, len(steps), horizon, C]``.

        """
        series = torch.cat([past, future.to(past.dtype)], dim=1)
        following = series.unfold(1, self.horizon, 1)[:, 1:]  # [B, >= L, C, horizon]
        return following[:, steps.start : steps.stop : steps.step].transpose(2, 3)

    def loss(
        self, network: nn.Module, window: Window, future: Tensor, pointwise: PointwiseLoss
    ) -> tuple[Tensor, Tensor]:
        """Return the training loss summed over the known cells of the targets, and their count.

        Args:
            network: ``network(inputs, state) -> (output, state)``.
            window: the windows' past.
            future: transformed target ``[B, H, C]``, NaN where missing.
            pointwise: the loss of every cell.

        """
        return self.chunk_loss(network, window, future, pointwise, None)[:2]

    def chunk_loss(
        self, network: nn.Module, window: Window, future: Tensor, pointwise: PointwiseLoss, state: Any
    ) -> tuple[Tensor, Tensor, Any]:
        """Return the training loss of windows that go on from a network state, as :meth:`loss` does, and the
        network's state at their end.

        Args:
            network: ``network(inputs, state) -> (output, state)``.
            window: the windows' past, of any number of steps.
            future: transformed target ``[B, H, C]``, NaN where missing.
            pointwise: the loss of every cell.
            state: the network's state before the first step; None for the beginning.

        """
        output, steps, state = self._run_past(network, window, state)
        total, count = masked_loss(pointwise, output, self.targets(window.past, future, steps))
        return total, count, state

    def decode(self, network: nn.Module, window: Window, feed: Feed | None = None) -> Tensor:
        """Return the forecast ``[B, H, C]`` in transformed space, or the outputs ``[B, H, C, P]``.

        Args:
            network: ``network(inputs, state) -> (output, state)``.
            window: the windows' past.
            feed: what is fed back of an output, by strategies that do; None for the output itself.

        """
        return self._run_past(network, window, last_only=True)[0][:, -1]

    def paths(self, network: nn.Module, window: Window, draw: Feed, count: int) -> Tensor:
        """Return paths ``[N, B, H, C]`` in transformed space, each of which goes on from what was drawn.

        Args:
            network: ``network(inputs, state) -> (output, state)``.
            window: the windows' past.
            draw: draws the values ``[N * B, 1, C]`` of a step from the outputs, one path after the other.
            count: number N of paths.

        """
        raise NotImplementedError(f"{type(self).__name__} is not conditional: it has outputs for all steps")

    def future_loss(
        self, network: nn.Module, window: Window, future: Tensor, pointwise: PointwiseLoss
    ) -> tuple[Tensor, Tensor]:
        """Return the loss over the known cells of the future alone, each step given the true ones before it,
        and their count.

        Args:
            network: ``network(inputs, state) -> (output, state)``.
            window: the windows' past.
            future: transformed target ``[B, H, C]``, NaN where missing.
            pointwise: the loss of every cell.

        """
        raise NotImplementedError(f"{type(self).__name__} is not conditional: its steps wait for no other")

    def _run_past(
        self, network: nn.Module, window: Window, state: Any = None, *, last_only: bool = False
    ) -> tuple[Tensor, range, Any]:
        """Run over the past: outputs ``[B, T', horizon, C]`` (and P), their steps, the network's state."""
        inputs = window.inputs()
        output, state = run_network(network, inputs, state, self.output_size, window)
        steps = output_steps(network, inputs.shape[1], output.shape[1])
        if last_only:
            output, steps = output[:, -1:], steps[-1:]
        if self.horizon > 1:
            output = window.finish(output, steps)
        return self._cells(output), steps, state

    def _cells(self, output: Tensor) -> Tensor:
        """View outputs ``[B, T', output_size]`` as ``[B, T', horizon, C]``, or with the dimension P."""
        shape = (self.horizon, self.target_size)
        return output.unflatten(2, shape if self.parameter_count is None else (*shape, self.parameter_count))
