"""How the steps of a forecast depend on each other, learned from errors."""

import torch
from torch import Tensor, nn
from torchmetrics import Metric

SMALLEST_EIGENVALUE = 1e-4
MOST_SCORE = 4.0


class ScoreMoments(Metric):
    """Sums of the normal scores of errors, for each step and each pair of steps, over batches and processes.

    Args:
        steps: number H of steps.

    """

    full_state_update = False

    sums: Tensor
    counts: Tensor
    products: Tensor
    pairs: Tensor

    def __init__(self, steps: int) -> None:
        super().__init__()
        for name, shape in (
            ("sums", (steps,)),
            ("counts", (steps,)),
            ("products", (steps, steps)),
            ("pairs", (steps, steps)),
        ):
            self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, scores: Tensor) -> None:
        """Add the scores ``[B, H, C]``, NaN where the truth is missing; channels count alike."""
        rows = scores.detach().transpose(1, 2).flatten(0, 1).to(torch.float64)
        known = (~rows.isnan()).to(torch.float64)
        # An outlier of a distribution with thin tails would outweigh all the others.
        rows = rows.nan_to_num(0.0).clamp(-MOST_SCORE, MOST_SCORE)
        self.sums += rows.sum(0)
        self.counts += known.sum(0)
        self.products += rows.T @ rows
        self.pairs += known.T @ known

    def compute(self) -> Tensor:
        """Return the correlations ``[H, H]`` of the steps; 0 for a pair that was never known together."""
        mean = self.sums / self.counts.clamp(min=1.0)
        covariance = self.products / self.pairs.clamp(min=1.0) - torch.outer(mean, mean)
        covariance = torch.where(self.pairs > 0, covariance, 0.0)
        deviation = covariance.diagonal().clamp(min=SMALLEST_EIGENVALUE).sqrt()
        correlation: Tensor = covariance / torch.outer(deviation, deviation)
        return correlation


class StepDependence(nn.Module):
    """Makes independent normal scores of the H steps ahead depend on each other as errors do.

    A Gaussian copula: at every step a true value has a normal score in the distribution that was forecast for
    it, and the correlations of these scores over windows say how the errors of steps go together. It leaves
    the distribution of every step as it is. All windows, series and channels share one matrix, and the
    channels of a path are drawn independently of each other.

    Args:
        steps: number H of steps.

    """

    factor: Tensor
    fitted: Tensor

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.register_buffer("factor", torch.eye(steps))
        self.register_buffer("fitted", torch.tensor(False))
        self.moments = ScoreMoments(steps)

    def fit(self) -> None:
        """Take the correlations of what :attr:`moments` has seen."""
        correlation = self.moments.compute()
        # Of pairs that were known at different times, or of fewer windows than steps, they may be none of any
        # distribution: the nearest that are.
        correlation = torch.nan_to_num((correlation + correlation.T) / 2).fill_diagonal_(1.0).cpu()
        values, vectors = torch.linalg.eigh(correlation)
        nearest = vectors * values.clamp(min=SMALLEST_EIGENVALUE) @ vectors.T
        deviation = nearest.diagonal().sqrt()
        factor = torch.linalg.cholesky(nearest / torch.outer(deviation, deviation))
        self.factor.copy_(factor)
        self.fitted.fill_(True)
        self.moments.reset()

    def forward(self, scores: Tensor) -> Tensor:
        """Return dependent scores ``[N, B, H, C]`` of independent ones; each is standard normal still."""
        # Written out, for mixed precision would take a matrix product in 16 bits.
        with torch.autocast(scores.device.type, enabled=False):
            return torch.einsum("hk,nbkc->nbhc", self.factor.to(scores.dtype), scores)
