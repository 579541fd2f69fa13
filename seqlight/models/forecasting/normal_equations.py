"""Least squares over any number of rows in memory that does not grow with them."""

import torch
from torch import Tensor


class NormalEquations:
    """Sums the normal equations of ``targets = inputs @ weight.T + bias`` and solves them.

    Rows whose targets are all known share one Gram matrix. A row with some targets missing (NaN) counts for
    the outputs that it has; for those each output keeps a Gram matrix of its own, made when the first such
    row comes.

    Args:
        input_size: number I of inputs.
        output_size: number O of outputs.
        device: where the sums are kept, in float64.

    """

    def __init__(self, input_size: int, output_size: int, device: torch.device) -> None:
        self._gram = torch.zeros(input_size + 1, input_size + 1, dtype=torch.float64, device=device)
        self._moments = torch.zeros(input_size + 1, output_size, dtype=torch.float64, device=device)
        self._partial_gram: Tensor | None = None  # [O, I + 1, I + 1]

    def add(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> None:
        """Add rows: inputs ``[N, I]`` without NaN, and targets ``[N, O]``, NaN where missing.

        Args:
            inputs: the inputs.
            targets: what is to come of them.
            weights: ``[N]``, by which the rows' squared errors count; None for 1.

        """
        known = ~targets.isnan()
        rows = torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=1).to(torch.float64)
        targets = torch.where(known, targets, 0.0).to(torch.float64)
        if weights is not None:
            root = weights.to(torch.float64).sqrt().unsqueeze(1)
            rows, targets = rows * root, targets * root
        self._moments += rows.T @ targets
        complete = known.all(1)
        self._gram += rows[complete].T @ rows[complete]
        partial = known.any(1) & ~complete
        if partial.any():
            if self._partial_gram is None:
                self._partial_gram = self._gram.new_zeros(targets.shape[1], *self._gram.shape)
            for output, has_target in enumerate(known[partial].T):
                some = rows[partial][has_target]
                self._partial_gram[output] += some.T @ some

    def solve(self, ridge: float) -> tuple[Tensor, Tensor]:
        """Return the weight ``[O, I]`` and the bias ``[O]``, float64.

        Args:
            ridge: weight of the squared weights relative to the mean square of the inputs.

        """
        if self._partial_gram is None:
            factor = torch.linalg.cholesky(self._penalised(self._gram, ridge))
            solution = torch.cholesky_solve(self._moments, factor)
        else:
            gram = self._penalised(self._gram + self._partial_gram, ridge)
            # Cholesky: half the work, and torch 2.13's batched torch.linalg.solve fails on two CPU threads.
            factor = torch.linalg.cholesky(gram)
            solution = torch.cholesky_solve(self._moments.T.unsqueeze(2), factor).squeeze(2).T
        return solution[:-1].T, solution[-1]

    @staticmethod
    def _penalised(gram: Tensor, ridge: float) -> Tensor:
        diagonal = gram.diagonal(dim1=-2, dim2=-1)
        mean_square = diagonal[..., :-1].mean(-1, keepdim=True)
        penalty = (ridge * mean_square).expand_as(diagonal).clone()
        penalty[..., -1] = 0.0
        # An output without a single known target, or inputs that are all 0: the solution is 0.
        penalty = torch.where(diagonal[..., -1:] == 0, 1.0, penalty)
        penalty = penalty + torch.finfo(gram.dtype).tiny
        return gram + torch.diag_embed(penalty)
