"""The network of :class:`~seqlight.models.RNNImputer`: two recurrences that meet in every gap."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqlight.models.imputation.gaps import Side, nearest_after, nearest_before

_NEVER = 30.0  # a logit that leaves nothing to the other side


class TimeDecay(nn.Module):
    r"""How much is left after a time: :math:`\gamma = \exp(-\max(0, W \delta + b))`, between 0 and 1.

    Args:
        in_features: times per row.
        out_features: decays per row.
        diagonal: each decay depends on its own time only (``in_features = out_features``).

    """

    def __init__(self, in_features: int, out_features: int, *, diagonal: bool = False) -> None:
        super().__init__()
        self.diagonal = diagonal
        shape = (out_features,) if diagonal else (out_features, in_features)
        # Small and positive: little decays at first, and max(0, .) passes a gradient.
        self.weight = nn.Parameter(torch.rand(shape) * (0.02 / (1 if diagonal else in_features)))
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, delta: Tensor) -> Tensor:
        """Return the decays ``[..., out_features]`` of times ``[..., in_features]``."""
        rate = delta * self.weight + self.bias if self.diagonal else F.linear(delta, self.weight, self.bias)
        return torch.exp(-torch.relu(rate))


class OneDirection(nn.Module):
    """Estimates every cell from what came before it, by one recurrence over the whole sequence.

    Args:
        build_cell: ``build_cell(input_size)`` returns a layer with state in and out.
        hidden_size: H, the width of the layer's output.
        target_size: C.
        covariate_size: K.
        dropout: probability of dropping each output of the layer in training.

    """

    def __init__(
        self,
        build_cell: Callable[[int], nn.Module],
        hidden_size: int,
        target_size: int,
        covariate_size: int,
        *,
        dropout: float,
    ) -> None:
        super().__init__()
        self.cell = build_cell(3 * target_size + covariate_size)
        self.value_decay = TimeDecay(target_size, target_size, diagonal=True)
        self.state_decay = TimeDecay(target_size, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(hidden_size + 3 * target_size + covariate_size, hidden_size)
        self.output = nn.Linear(hidden_size, target_size)
        # The first estimate is the decayed last value, as good as the simplest baseline.
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(
        self, values: Tensor, observed: Tensor, before: Side, covariates: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the estimate ``[B, T, C]`` and the features ``[B, T, H]`` it was read from.

        Args:
            values: ``[B, T, C]``, 0 where missing.
            observed: bool ``[B, T, C]``.
            before: the last observed cell before each cell.
            covariates: ``[B, T, K]`` or None.

        """
        delta = before.distance.to(values.dtype)
        last = self.value_decay(delta) * before.value
        log_delta = torch.log1p(delta)
        known = observed.to(values.dtype)
        further = [] if covariates is None else [covariates]
        states, _ = self.cell(
            torch.cat([torch.where(observed, values, last), known, log_delta, *further], -1)
        )
        state = F.pad(states, (0, 0, 1, 0))[:, :-1]  # what is known before each row
        state = self.dropout(state) * self.state_decay(delta)
        exists = before.exists.to(values.dtype)
        features = torch.relu(self.hidden(torch.cat([state, last, log_delta, exists, *further], -1)))
        return last + self.output(features), features


class RecurrentImputation(nn.Module):
    """Both directions, the weights that join them, and the regression on the other channels.

    Args:
        build_cell: ``build_cell(input_size)`` returns a layer with state in and out, of one direction.
        hidden_size: H.
        target_size: C.
        covariate_size: K.
        dropout: probability of dropping each output of the layers in training.

    """

    others: Tensor

    def __init__(
        self,
        build_cell: Callable[[int], nn.Module],
        hidden_size: int,
        *,
        target_size: int,
        covariate_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        sizes = (hidden_size, target_size, covariate_size)
        self.forwards = OneDirection(build_cell, *sizes, dropout=dropout)
        self.backwards = OneDirection(build_cell, *sizes, dropout=dropout)
        self.nearness = nn.Parameter(torch.ones(target_size))
        self.join = nn.Linear(2 * hidden_size, target_size)
        nn.init.zeros_(self.join.weight)
        nn.init.zeros_(self.join.bias)
        self.regression = nn.Parameter(torch.zeros(target_size, target_size))
        self.register_buffer("others", 1 - torch.eye(target_size), persistent=False)

    def forward(
        self, values: Tensor, observed: Tensor, times: Tensor, covariates: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the estimate and the two directions' estimates, each ``[B, T, C]``; see ``RNNImputer``."""
        before = nearest_before(values, observed, times)
        after = nearest_after(values, observed, times)
        earlier, from_earlier = self.forwards(values, observed, before, covariates)
        mirrored = Side(after.value.flip(1), after.distance.flip(1), after.exists.flip(1))
        later, from_later = self.backwards(
            values.flip(1), observed.flip(1), mirrored, None if covariates is None else covariates.flip(1)
        )
        later, from_later = later.flip(1), from_later.flip(1)

        both = before.exists & after.exists
        nearer = torch.where(both, after.distance, 1.0).log() - torch.where(both, before.distance, 1.0).log()
        logit = self.nearness * nearer.to(values.dtype) + self.join(torch.cat([from_earlier, from_later], -1))
        logit = logit + _NEVER * (before.exists.to(values.dtype) - after.exists.to(values.dtype))
        weight = torch.sigmoid(logit)
        estimate = weight * earlier + (1 - weight) * later
        surprise = torch.where(observed, values - estimate, 0.0)
        estimate = estimate + F.linear(surprise, self.regression * self.others)
        return estimate, (earlier, later)
