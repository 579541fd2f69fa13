"""One step ahead, fed back."""

import torch
from torch import Tensor, nn

from seqlight.inputs import NetworkInputs, Window
from seqlight.strategies.base import Feed, Strategy
from seqlight.strategies.loss import PointwiseLoss, masked_loss
from seqlight.strategies.network import run_network
from seqlight.strategies.state_rows import repeat_rows, repeat_state


class RecursiveStrategy(Strategy):
    """Predicts one step, feeds it back, and repeats; errors add up.

    In training the network emits t+1 at every step t of the past (teacher forcing: its inputs are the true
    values), and the loss is taken over all of them. In decoding, a forecast enters as the next observed
    value, together with the known covariates of the step after it. Past covariates have no place here: nobody
    knows those of a step that is fed back.

    A network with state takes one step for each new value. One without (it returns None for its state) is
    run again on the last L inputs.

    With a distribution for an output, each step is that of the next value given those before. What is fed
    back then is drawn, in many paths at once (:meth:`paths`), for the distributions of later steps are those
    of all paths together.
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

    @property
    def conditional(self) -> bool:
        """Whether outputs are distributions: each is of the step after what the network was given."""
        return self.parameter_count is not None

    def decode(self, network: nn.Module, window: Window, feed: Feed | None = None) -> Tensor:
        """Return the forecast ``[B, H, C]`` in transformed space."""
        return torch.cat(self._fed_back(network, window, feed or _itself), dim=1)

    def paths(self, network: nn.Module, window: Window, draw: Feed, count: int) -> Tensor:
        """Return paths ``[N, B, H, C]``; all run through the network together, as N * B windows."""
        drawn = torch.cat(self._fed_back(network, window, draw, count), dim=1)
        return drawn.unflatten(0, (count, -1))

    def future_loss(
        self, network: nn.Module, window: Window, future: Tensor, pointwise: PointwiseLoss
    ) -> tuple[Tensor, Tensor]:
        """Return the loss over the future, each step given the true values before it."""
        output, _, state = self._run_past(network, window)
        outputs = [output[:, -1]]
        following = window.teacher_forced(future)[:, 1:]
        if state is not None and following.shape[1]:
            after, _ = run_network(network, following, state, self.output_size, window)
            outputs.append(self._cells(after).squeeze(2))
        else:
            inputs = torch.cat([window.inputs(), following], dim=1)
            length = window.past.shape[1]
            for step in range(1, self.prediction_length):
                after, _ = run_network(
                    network, inputs[:, step : step + length], None, self.output_size, window
                )
                outputs.append(self._cells(after)[:, -1])
        return masked_loss(pointwise, torch.cat(outputs, dim=1), future)

    def _fed_back(self, network: nn.Module, window: Window, feed: Feed, count: int = 1) -> list[Tensor]:
        """Run over the past, then over what ``feed`` makes of each output: H tensors ``[N * B, 1, C]``."""
        output, _, state = self._run_past(network, window)
        inputs = window.inputs() if state is None else None
        last = output[:, -1]  # [B, 1, C], and P
        if count > 1:
            rows = window.past.shape[0]
            last, inputs = repeat_rows(last, count), None if inputs is None else repeat_rows(inputs, count)
            state = repeat_state(state, network, rows, count)
            window = window.repeated(count)
        values = [feed(last, 0)]
        for step in range(1, self.prediction_length):
            fed_back = window.feedback(values[-1], step)
            if inputs is None:
                following, state = run_network(network, fed_back, state, self.output_size, window)
            else:
                inputs = torch.cat([inputs[:, 1:], fed_back], dim=1)
                following, _ = run_network(network, inputs, None, self.output_size, window)
            values.append(feed(self._cells(following)[:, -1], step))
        return values


def _itself(output: Tensor, step: int) -> Tensor:
    return output
