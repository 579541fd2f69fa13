"""All following steps, at every step."""

from seqlight.strategies.base import Strategy


class EveryStepStrategy(Strategy):
    """Sequence-to-sequence: at every step t the network emits t+1 to t+H; the forecast is the last output.

    The loss is taken over all steps, which gives the network L times as many targets as
    :class:`DirectStrategy` and gradients that do not all have to travel through the whole sequence. Each
    output sees the known covariates of its own H steps, see :meth:`seqlight.inputs.Window.finish`.
    """

    forecasts_at_every_step = True

    @property
    def horizon(self) -> int:
        """H, all future steps."""
        return self.prediction_length
