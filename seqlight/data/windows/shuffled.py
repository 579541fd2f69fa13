"""A random order of any length that takes no memory: where a position goes is computed, not kept."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 6
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9))


class Shuffled:
    """A permutation of 0 to N - 1, drawn from a seed.

    A Feistel network permutes the numbers of the next even count of bits; a number that falls beyond N is
    permuted again until it does not (cycle walking), which keeps it a permutation of the N.

    Args:
        total: N, at least 1.
        seed: whole numbers.
    """

    def __init__(self, total: int, seed: Sequence[int]) -> None:
        self._total = np.uint64(total)
        self._half = np.uint64(max(1, -(-(total - 1).bit_length() // 2)))
        self._mask = np.uint64((1 << int(self._half)) - 1)
        self._keys = np.random.SeedSequence(seed).generate_state(_ROUNDS, np.uint64)

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the numbers that stand at ``positions`` [n]."""
        numbers = self._network(positions.astype(np.uint64))
        beyond = np.flatnonzero(numbers >= self._total)
        while len(beyond):
            again = self._network(numbers[beyond])
            numbers[beyond] = again
            beyond = beyond[again >= self._total]
        return numbers.astype(np.int64)

    def _network(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = numbers >> self._half, numbers & self._mask
        for key in self._keys:
            mixed = (right + key) * _MIX[0]
            mixed = (mixed ^ (mixed >> np.uint64(29))) * _MIX[1]
            left, right = right, left ^ ((mixed ^ (mixed >> np.uint64(32))) & self._mask)
        return (left << self._half) | right
