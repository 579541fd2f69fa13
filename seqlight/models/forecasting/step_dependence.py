"""How the steps and channels of a forecast depend on each other, learned from errors."""

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

SMALLEST_EIGENVALUE = 1e-4
MOST_SCORE = 4.0
MOST_CHANNELS = 256
"""Of more channels the dependence is not learned, for its matrix would grow too far."""


class ScoreMoments(Metric):
    """Sums of the normal scores of errors, of steps, channels and pairs of them, over batches and processes.

    What it keeps does not grow with the data.

    Args:
        steps: number H of steps.
        channels: number C of channels.

    """

    full_state_update = False

    sums: Tensor
    counts: Tensor
    products: Tensor
    pairs: Tensor
    channel_sums: Tensor
    channel_counts: Tensor
    channel_products: Tensor
    channel_pairs: Tensor

    def __init__(self, steps: int, channels: int) -> None:
        super().__init__()
        for prefix, size in (("", steps), ("channel_", channels)):
            for name, shape in (
                ("sums", (size,)),
                ("counts", (size,)),
                ("products", (size, size)),
                ("pairs", (size, size)),
            ):
                self.add_state(prefix + name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, scores: Tensor) -> None:
        """Add the scores ``[B, H, C]``, NaN where the truth is missing.

        For the steps all channels count alike, for the channels all steps.
        """
        scores = scores.detach().to(torch.float64)
        self._add("", scores.transpose(1, 2).flatten(0, 1))
        if len(self.channel_sums) > 1:
            self._add("channel_", scores.flatten(0, 1))

    def _add(self, prefix: str, rows: Tensor) -> None:
        known = (~rows.isnan()).to(torch.float64)
        # An outlier of a distribution with thin tails would outweigh all the others.
        rows = rows.nan_to_num(0.0).clamp(-MOST_SCORE, MOST_SCORE)
        added = {
            "sums": rows.sum(0),
            "counts": known.sum(0),
            "products": rows.T @ rows,
            "pairs": known.T @ known,
        }
        for name, value in added.items():
            total = getattr(self, prefix + name)
            total += value

    def compute(self) -> tuple[Tensor, Tensor]:
        """Return the correlations of the steps ``[H, H]`` and of the channels ``[C, C]``.

        They are 0 for a pair that was never known together.
        """
        return self._correlation(""), self._correlation("channel_")

    def _correlation(self, prefix: str) -> Tensor:
        sums, counts, products, pairs = (
            getattr(self, prefix + name) for name in ("sums", "counts", "products", "pairs")
        )
        mean = sums / counts.clamp(min=1.0)
        covariance = products / pairs.clamp(min=1.0) - torch.outer(mean, mean)
        covariance = torch.where(pairs > 0, covariance, 0.0)
        deviation = covariance.diagonal().clamp(min=SMALLEST_EIGENVALUE).sqrt()
        correlation: Tensor = covariance / torch.outer(deviation, deviation)
        return correlation


class StepDependence(nn.Module):
    """Makes independent normal scores of steps ahead and channels depend on each other as errors do.

    A Gaussian copula: at every step a true value has a normal score in the distribution that was forecast for
    it, and the correlations of these scores over windows say how the errors of steps go together. It leaves
    the distribution of every step as it is. All windows, series and channels share one matrix of the steps,
    all windows, series and steps one of the channels; the correlation of two cells is the product of both. Of
    more than :data:`MOST_CHANNELS` channels, each is drawn by itself.

    Args:
        steps: number H of steps.
        channels: number C of channels.

    """

    factor: Tensor
    channel_factor: Tensor
    fitted: Tensor

    def __init__(self, steps: int, channels: int = 1) -> None:
        super().__init__()
        learned = channels if channels <= MOST_CHANNELS else 1
        self.register_buffer("factor", torch.eye(steps))
        self.register_buffer("channel_factor", torch.eye(learned))
        self.register_buffer("fitted", torch.tensor(False))
        self.moments = ScoreMoments(steps, learned)

    def fit(self) -> None:
        """Take the correlations of what :attr:`moments` has seen."""
        for factor, correlation in zip(
            (self.factor, self.channel_factor), self.moments.compute(), strict=True
        ):
            # torchmetrics makes a number of a matrix with one cell.
            factor.copy_(factor_of(correlation.reshape(factor.shape)))
        self.fitted.fill_(True)
        self.moments.reset()

    def forward(self, scores: Tensor) -> Tensor:
        """Return dependent scores ``[N, B, H, C]`` of independent ones; each is standard normal still."""
        # Written out, for mixed precision would take a matrix product in 16 bits.
        with torch.autocast(scores.device.type, enabled=False):
            dependent = torch.einsum("hk,nbkc->nbhc", self.factor.to(scores.dtype), scores)
            if len(self.channel_factor) == 1:
                return dependent
            return torch.einsum("cd,nbhd->nbhc", self.channel_factor.to(scores.dtype), dependent)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Take a checkpoint of before, whose channels were drawn independently, for one that says so."""
        state_dict.setdefault(f"{prefix}channel_factor", torch.eye(len(self.channel_factor)))
        super()._load_from_state_dict(state_dict, prefix, *args)


def factor_of(correlation: Tensor) -> Tensor:
    """Return the lower factor of correlations, by which independent scores become dependent ones.

    Of pairs that were known at different times, or of fewer windows than steps, they may be none of any
    distribution: the nearest that are is taken.
    """
    correlation = torch.nan_to_num((correlation + correlation.T) / 2).fill_diagonal_(1.0).cpu()
    values, vectors = torch.linalg.eigh(correlation)
    nearest = vectors * values.clamp(min=SMALLEST_EIGENVALUE) @ vectors.T
    deviation = nearest.diagonal().sqrt()
    return torch.linalg.cholesky(nearest / torch.outer(deviation, deviation))
