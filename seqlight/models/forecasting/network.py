"""A sequence layer and an output layer, joined to a forecaster's network."""

from typing import Any

from torch import Tensor, nn

from seqlight.strategies.state_rows import BatchDim, state_batch_dim


class SequenceNetwork(nn.Module):
    """A layer with state in and out, dropout, and an output layer on every step.

    The output layer works on the last dimension, and so on every time step alike (the chapter's "time
    distributed" layer).

    Args:
        core: ``core(x [B, T, I], state) -> (output [B, T, F], state)``: a layer of :mod:`seqlight.nn`, or
            one of ``torch.nn`` with ``batch_first=True``.
        head: the output layer, on ``[B, T, F]``.
        dropout: probability of dropping each of the core's outputs in training.
        last_only: compute the head at the last step only (sequence-to-vector): T' is 1.

    """

    def __init__(
        self, core: nn.Module, head: nn.Module, *, dropout: float = 0.0, last_only: bool = False
    ) -> None:
        super().__init__()
        self.core = core
        self.dropout = nn.Dropout(dropout)
        self.head = head
        self.last_only = last_only

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return the output ``[B, T', O]`` and the core's state."""
        output, state = self.core(x, state)
        if self.last_only:
            output = output[:, -1:]
        return self.head(self.dropout(output)), state

    @property
    def state_batch_dim(self) -> BatchDim:
        """The batch axis of the core's state."""
        return state_batch_dim(self.core)

    def output_steps(self, length: int) -> range:
        """Return the input step that each output has seen last."""
        return range(length - 1 if self.last_only else 0, length)
