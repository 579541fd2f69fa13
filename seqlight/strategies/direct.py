"""All future steps at once, from the last output."""

from typing import Any

from torch import Tensor, nn

from seqlight.inputs import Window
from seqlight.strategies.base import Strategy
from seqlight.strategies.loss import PointwiseLoss, masked_loss


class DirectStrategy(Strategy):
    """Sequence-to-vector: the network's last output holds all H steps at once (one model, multi-output).

    The literature's "direct" can also mean one model per step; that is not meant here. The output sees the
    known covariates of all H steps, see :meth:`seqlight.inputs.Window.finish`.
    """

    sequence_to_vector = True

    @property
    def horizon(self) -> int:
        """H, all future steps."""
        return self.prediction_length

    def targets(self, past: Tensor, future: Tensor, steps: range) -> Tensor:
        """Return the future itself, ``[B, 1, H, C]``: only the last output counts."""
        return future.unsqueeze(1)

    def chunk_loss(
        self, network: nn.Module, window: Window, future: Tensor, pointwise: PointwiseLoss, state: Any
    ) -> tuple[Tensor, Tensor, Any]:
        """Return the loss of the last output, its count of known cells, and the network's state."""
        output, _, state = self._run_past(network, window, state, last_only=True)
        total, count = masked_loss(pointwise, output[:, -1], future)
        return total, count, state
