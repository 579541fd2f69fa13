"""One step ahead, fed back."""

import torch
from torch import Tensor, nn

from seqlight.inputs import NetworkInputs, Window

from .base import Strategy
from .network import run_network


class RecursiveStrategy(Strategy):
    """Predicts one step, feeds it back, and repeats; errors add up.

    In training the network emits t+1 at every step t of the past (teacher forcing: its inputs are the true
    values), and the loss is taken over all of them. In decoding, a forecast enters as the next observed
    value, together with the known covariates of the step after it. Past covariates have no place here: nobody
    knows those of a step that is fed back.

    A network with state takes one step for each new value. One without (it returns None for its state) is
    run again on the last L inputs.
    """

    @property
    def horizon(self) -> int:
        """1, the next step."""
        return 1

    def check_inputs(self, inputs: NetworkInputs) -> None:
        """Raise ValueError for past covariates."""
        if inputs.past_size:
            raise ValueError(
                "strategy='recursive' feeds its forecast back as the next input, for which past covariates "
                "would be needed of future steps, and these nobody knows; choose strategy='direct' or "
                "'every_step', or leave past_covariate_size and past_cardinalities out"
            )

    def decode(self, network: nn.Module, window: Window) -> Tensor:
        """Return the forecast ``[B, H, C]`` in transformed space."""
        output, _, state = self._run_past(network, window)
        forecasts = [output[:, -1]]  # each [B, 1, C]
        inputs = window.inputs() if state is None else None
        for step in range(1, self.prediction_length):
            fed_back = window.feedback(forecasts[-1], step)
            if inputs is None:
                following, state = run_network(network, fed_back, state, self.output_size, window)
            else:
                inputs = torch.cat([inputs[:, 1:], fed_back], dim=1)
                following, _ = run_network(network, inputs, None, self.output_size, window)
            forecasts.append(following[:, -1:])
        return torch.cat(forecasts, dim=1)
