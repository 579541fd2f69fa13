"""A training part that is too large to be held as one tensor, and what is learned of it part by part."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Moments(NamedTuple):
    """Number of known cells, their mean and population deviation, float64 [C]; NaN where there is none."""

    known: Tensor
    mean: Tensor
    deviation: Tensor

    def pooled(self) -> "Moments":
        """Return those of the cells of all channels, each [1]."""
        mean, deviation = self.mean.nan_to_num(0.0), self.deviation.nan_to_num(0.0)
        count = self.known.sum(0, keepdim=True)
        together = (self.known * mean).sum(0, keepdim=True) / count
        squares = self.known * (deviation.square() + (mean - together).square())
        return Moments(count, together, (squares.sum(0, keepdim=True) / count).sqrt())


class TrainingPart(Protocol):
    """The rows of a training part, each once."""

    def parts(self) -> Iterator[Tensor]:
        """Yield the rows [n, C] in original units, NaN where missing; every call begins anew."""

    def sample(self, count: int) -> Tensor:
        """Return about ``count`` of the rows [n, C], in even distances; all where there are no more."""

    def moments(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the fields of :class:`Moments`."""


class TransformedPart:
    """A training part after a transform of single cells.

    Args:
        part: the rows.
        transform: of cells [n, C] float64.
    """

    def __init__(self, part: TrainingPart, transform: Callable[[Tensor], Tensor]) -> None:
        self._part = part
        self._transform = transform

    def parts(self) -> Iterator[Tensor]:
        """Yield the transformed rows [n, C] float64."""
        for values in self._part.parts():
            yield self._transform(values.double())

    def sample(self, count: int) -> Tensor:
        """Return a sample of them."""
        return self._transform(self._part.sample(count).double())

    def moments(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return their moments, by one pass."""
        return moments_of(self.parts())


def moments_of(parts: Iterator[Tensor]) -> Moments:
    """Return the moments of rows [n, C] that come in parts."""
    count = total = squares = shift = torch.zeros(0, dtype=torch.float64)
    for values in parts:
        values = values.double()
        if not len(shift):
            # Squares lose digits where a mean is large beside its deviation.
            shift = values.nanmean(0).nan_to_num(0.0)
            count, total, squares = (torch.zeros_like(shift) for _ in range(3))
        apart = values - shift
        count = count + (~apart.isnan()).sum(0)
        total = total + apart.nansum(0)
        squares = squares + apart.square().nansum(0)
    mean = total / count
    return Moments(count, shift + mean, (squares / count - mean.square()).clamp(min=0).sqrt())


def mean_of(parts: Iterator[Tensor]) -> Tensor:
    """Return the mean [C] of rows that come in parts, float64; NaN where no cell is known."""
    return moments_of(parts).mean
