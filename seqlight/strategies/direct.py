"""All future steps at once, from the last output."""

from torch import Tensor, nn

from .base import Strategy
from .loss import PointwiseLoss, masked_loss
from .window import Window


class DirectStrategy(Strategy):
    """Sequence-to-vector: the network's last output holds all H steps at once (one model, multi-output).

    The literature's "direct" can also mean one model per step; that is not meant here. The network sees the
    known covariates up to one step ahead.
    """

    sequence_to_vector = True

    @property
    def horizon(self) -> int:
        """H, all future steps."""
        return self.prediction_length

    def targets(self, past: Tensor, future: Tensor, steps: range) -> Tensor:
        """Return the future itself, ``[B, 1, H, C]``: only the last output counts."""
        return future.unsqueeze(1)

    def loss(
        self, network: nn.Module, window: Window, future: Tensor, pointwise: PointwiseLoss
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of the last output, summed over the future's known cells, and their count."""
        return masked_loss(pointwise, self.decode(network, window), future)
