"""The known covariates of all future steps, shown to the outputs of any network."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, relu

from seqlight.ops import causal_conv1d


class FutureHead(nn.Module):
    r"""Adds to an output of H steps what the known covariates of these steps say.

    At every step t, with r the rows t+1 to t+H of the known covariates and y the network's output there,
    which holds H steps of C channels,

    .. math::
        z &= \text{relu}(\sum_h W_h r_h + V y) \\
        \hat y_h &= y_h + A r_h + (U z)_h

    A is one map for all H steps: what a step's own row does, wherever the step lies. z mixes the rows of all
    steps with each other and with the output. The sum over h is a convolution over time, so that all steps t
    cost one call, and no network has to carry H rows through its own input. With ``linear`` the result is
    ``y + sum_h W_h r_h`` with a W_h for every output, which least squares can solve.

    Args:
        covariate_size: channels K of a row.
        prediction_length: number H of rows.
        target_size: channels C of a step.
        hidden_size: size of z.
        linear: leave z out.
        independent: complete each channel by itself, with one set of weights for all.
        parameter_count: numbers that the network gives for each channel of a step.

    """

    def __init__(
        self,
        covariate_size: int,
        prediction_length: int,
        target_size: int,
        *,
        hidden_size: int = 16,
        linear: bool = False,
        independent: bool = False,
        parameter_count: int = 1,
    ) -> None:
        super().__init__()
        self.channels = target_size if independent else 1
        target_size = parameter_count * (1 if independent else target_size)
        output_size = prediction_length * target_size
        self.prediction_length = prediction_length
        self.target_size = target_size
        mixed_size = output_size if linear else hidden_size
        self.mix = nn.Conv1d(covariate_size, mixed_size, prediction_length, bias=not linear)
        self.own_row: nn.Linear | None = None
        self.of_output: nn.Linear | None = None
        self.out: nn.Linear | None = None
        if not linear:
            self.own_row = nn.Linear(covariate_size, target_size, bias=False)
            self.of_output = nn.Linear(output_size, hidden_size, bias=False)
            self.out = nn.Linear(hidden_size, output_size, bias=False)

    def forward(self, output: Tensor, rows: Tensor, stride: int = 1) -> Tensor:
        """Return the completed output ``[B, T', H * C]``.

        Args:
            output: ``[B, T', H * C]``.
            rows: ``[B, (T' - 1) * stride + H, K]``; output i is followed by the H rows from i * stride on.
            stride: steps from one output to the next.

        """
        if self.channels > 1:
            cells = (self.prediction_length, self.channels, self.target_size)
            folded = output.unflatten(2, cells).permute(0, 3, 1, 2, 4).flatten(3).flatten(0, 1)
            finished = self._finish(folded, rows.repeat_interleave(self.channels, 0), stride)
            finished = finished.unflatten(2, cells[::2]).unflatten(0, (-1, self.channels))
            return finished.permute(0, 2, 3, 1, 4).flatten(2)
        return self._finish(output, rows, stride)

    def _finish(self, output: Tensor, rows: Tensor, stride: int) -> Tensor:
        output = output.to(rows.dtype)
        mixed = self._mix(rows, output.shape[1], stride)
        if self.own_row is None or self.of_output is None or self.out is None:
            return output + mixed
        own = self.own_row(rows)
        if output.shape[1] == 1:
            own = own.flatten(1).unsqueeze(1)
        else:
            own = own.unfold(1, self.prediction_length, stride).transpose(2, 3).flatten(2)
        return output + own + self.out(relu(mixed + self.of_output(output)))

    def _mix(self, rows: Tensor, outputs: int, stride: int) -> Tensor:
        weight, bias = self.mix.weight, self.mix.bias
        if outputs == 1:
            return linear(rows.transpose(1, 2).flatten(1), weight.flatten(1), bias).unsqueeze(1)
        # Our causal convolution, whose gradients cost a fraction of those of torch's for so few channels.
        before = self.prediction_length - 1
        mixed, _ = causal_conv1d(rows[:, before:], weight, bias, state=rows[:, :before])
        return mixed[:, ::stride]

    @torch.no_grad()
    def begin_with_nothing_(self) -> None:
        """Set its last maps to 0, so that the output comes back as it is until it is trained."""
        for last in (self.own_row, self.out):
            if last is not None:
                last.weight.zero_()

    @torch.no_grad()
    def set_linear_(self, weight: Tensor) -> None:
        """Set the maps of a linear head: ``weight`` ``[O, H * K]`` on rows that lie one behind the other."""
        self.mix.weight.copy_(weight.unflatten(1, (self.prediction_length, -1)).transpose(1, 2))
