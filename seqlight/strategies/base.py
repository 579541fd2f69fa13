"""What a forecasting strategy decides."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from seqlight.inputs import NetworkInputs, Window

from .loss import PointwiseLoss, masked_loss
from .network import output_steps, run_network


class Strategy(ABC):
    """How a sequence network forecasts several steps ahead: its targets, its loss, and how it is decoded.

    A strategy has no parameters and no state, and works in transformed space. L is the context length, H the
    prediction length, C the number of target channels; steps count from 0.
    """

    sequence_to_vector: bool = False
    """Whether only the network's last output is used, so that it need not compute the others."""

    forecasts_at_every_step: bool = False
    """Whether each output is a forecast of H steps, so that beside the loss of the last one, which is the
    forecast, there is one over the outputs of all steps."""

    carries_state: bool = True
    """Whether windows can go on from the network's state after the one before, see :meth:`chunk_loss`."""

    def __init__(self, target_size: int, prediction_length: int) -> None:
        self.target_size = target_size
        self.prediction_length = prediction_length

    @property
    @abstractmethod
    def horizon(self) -> int:
        """Number of steps ahead that one output of the network holds."""

    @property
    def output_size(self) -> int:
        """Number of output channels that the network must have: ``horizon * target_size``, steps first."""
        return self.horizon * self.target_size

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

    def decode(self, network: nn.Module, window: Window) -> Tensor:
        """Return the forecast ``[B, H, C]`` in transformed space."""
        return self._run_past(network, window, last_only=True)[0][:, -1]

    def _run_past(
        self, network: nn.Module, window: Window, state: Any = None, *, last_only: bool = False
    ) -> tuple[Tensor, range, Any]:
        """Run over the past: outputs ``[B, T', horizon, C]``, their steps, and the network's state."""
        inputs = window.inputs()
        output, state = run_network(network, inputs, state, self.output_size, window)
        steps = output_steps(network, inputs.shape[1], output.shape[1])
        if last_only:
            output, steps = output[:, -1:], steps[-1:]
        if self.horizon > 1:
            output = window.finish(output, steps)
        return output.unflatten(2, (self.horizon, self.target_size)), steps, state
