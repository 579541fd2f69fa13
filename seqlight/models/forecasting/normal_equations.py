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
        # Sums in place: fresh memory of this size takes longer than the products, where pages are dear.
        rows = inputs.new_ones(len(inputs), inputs.shape[1] + 1, dtype=torch.float64)
        rows[:, :-1] = inputs
        targets = torch.where(known, targets, 0.0).to(torch.float64)
        if weights is not None:
            root = weights.to(torch.float64).sqrt().unsqueeze(1)
            rows *= root
            targets *= root
        self._moments.addmm_(rows.T, targets)
        complete = known.all(1)
        whole = rows if complete.all() else rows[complete]
        self._gram.addmm_(whole.T, whole)
        partial = known.any(1) & ~complete
        if partial.any():
            if self._partial_gram is None:
                self._partial_gram = self._gram.new_zeros(targets.shape[1], *self._gram.shape)
            rows = rows[partial]
            for output, has_target in enumerate(known[partial].T):
                some = rows[has_target]
                self._partial_gram[output].addmm_(some.T, some)

    def solve(self, ridge: float) -> tuple[Tensor, Tensor]:
        """Return the weight ``[O, I]`` and the bias ``[O]``, float64.

        Args:
            ridge: weight of the squared weights relative to the mean square of the inputs.

        """
        if self._partial_gram is None:
            solution = self._solved(self._gram, self._moments, ridge)
        else:  # one output after the other, so that memory holds one sum of matrices at a time
            parts = zip(self._partial_gram, self._moments.split(1, dim=1), strict=True)
            solved = [self._solved(self._gram + gram, moments, ridge) for gram, moments in parts]
            solution = torch.cat(solved, dim=1)
        return solution[:-1].T, solution[-1]

    def _solved(self, gram: Tensor, moments: Tensor, ridge: float) -> Tensor:
        return torch.cholesky_solve(moments, torch.linalg.cholesky(self._penalised(gram, ridge)))

    @staticmethod
    def _penalised(gram: Tensor, ridge: float) -> Tensor:
        diagonal = gram.diagonal()
        penalty = torch.full_like(diagonal, ridge * float(diagonal[:-1].mean()))
        penalty[-1] = 0.0
        if diagonal[-1] == 0:  # an output without a single known target: the solution is 0
            penalty[:] = 1.0
        penalty += torch.finfo(gram.dtype).tiny  # inputs that are all 0: so is the solution
        gram = gram.clone()
        gram.diagonal().add_(penalty)
        return gram
