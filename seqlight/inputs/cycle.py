"""A learned cycle of the clock, taken away from a window and added to its forecast."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class CycleState(NamedTuple):
    """What :meth:`LearnedCycle.remove` leaves for the way back.

    Attributes:
        transform: the state of the transform before it.
        ahead: ``[B, H, C]``, the cycle at the future steps.

    """

    transform: Any
    ahead: Tensor


class LearnedCycle(nn.Module):
    r"""One learned value for each step of a cycle and each channel (Lin et al., "CycleNet: Enhancing time
    series forecasting through modeling periodic patterns", 2024).

    With q ``[cycle, C]`` the parameters, 0 at first, and p the phase of a window's first future step, a
    network f forecasts what is left of the transformed target x:

    .. math::
        \hat x_{L+h} = f(x_1 - q_{(p - L) \bmod S}, \ldots, x_L - q_{(p - 1) \bmod S})_h
        + q_{(p + h - 1) \bmod S}

    where S is the cycle's length. q is trained together with the network. It stands behind the transform, so
    that with ``"instance"`` it is the shape of the cycle, for every level and scale of a series.

    Args:
        cycle: steps S of the cycle.
        target_size: number C of target channels.

    """

    def __init__(self, cycle: int, target_size: int) -> None:
        super().__init__()
        self.cycle = cycle
        self.values = nn.Parameter(torch.zeros(cycle, target_size))

    def forward(self, phase: Tensor, first: int, length: int) -> Tensor:
        """Return the cycle ``[B, length, C]`` from step ``first`` on, 0 for the first future step.

        Args:
            phase: int64 ``[B]``, the step of the clock of the windows' first future step.
            first: the first step that is wanted, negative in the past.
            length: number of steps.

        """
        # A value that is no longer a number may not pass for a missing cell, which no loss would see.
        values = torch.where(self.values.isnan(), torch.inf, self.values)
        steps = torch.arange(first, first + length, device=phase.device)
        return values[(phase.unsqueeze(1) + steps) % self.cycle]

    def remove(
        self, past: Tensor, state: Any, phase: Tensor, prediction_length: int
    ) -> tuple[Tensor, CycleState]:
        """Return a transformed past ``[B, L, C]`` without the cycle, and the state for the way back."""
        length = past.shape[1]
        ahead = self(phase, 0, prediction_length).to(past.dtype)
        return past - self(phase, -length, length).to(past.dtype), CycleState(state, ahead)

    def phase_sums(self, past: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums and the counts ``[cycle, C]``, float64, of a past's known cells by their phase.

        Args:
            past: transformed target ``[B, L, C]``, NaN where missing.
            phase: int64 ``[B]``, of the first future step.

        """
        length = past.shape[1]
        steps = torch.arange(-length, 0, device=past.device)
        where = ((phase.unsqueeze(1) + steps) % self.cycle).flatten()
        cells = past.flatten(0, 1).to(torch.float64)
        known = ~cells.isnan()
        empty = cells.new_zeros(self.values.shape)
        sums = empty.index_add(0, where, cells.masked_fill(~known, 0.0))
        return sums, empty.index_add(0, where, known.to(torch.float64))

    def extra_repr(self) -> str:  # noqa: D102
        return f"cycle={self.cycle}, target_size={self.values.shape[1]}"
