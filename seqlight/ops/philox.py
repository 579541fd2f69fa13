"""Philox4x32-10 in plain PyTorch: random numbers computed from counters.

Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011). Each counter of four 32-bit words gives
four random ones under a key of two, independently of all others. So a kernel and the reference draw the same
numbers, in whatever order they visit the elements. Words are int64 tensors with values in 0..2^32 - 1, since
torch computes little with unsigned ones.
"""

from collections.abc import Sequence

from torch import Tensor

_ROUNDS = 10
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_INCREMENTS = (0x9E3779B9, 0xBB67AE85)
_LOW_32 = 0xFFFFFFFF


def philox4x32(counter: Sequence[Tensor], key: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw four random words for each counter.

    Args:
        counter: four tensors of words, of shapes that broadcast with each other.
        key: two tensors of words, likewise.

    Returns:
        Four tensors of words, of the shape that all of these broadcast to.
    """
    first, second, third, fourth = counter
    key_first, key_second = key
    for _ in range(_ROUNDS):
        high_of_first, low_of_first = _multiply(_MULTIPLIERS[0], first)
        high_of_third, low_of_third = _multiply(_MULTIPLIERS[1], third)
        first, second, third, fourth = (
            high_of_third ^ second ^ key_first,
            low_of_third,
            high_of_first ^ fourth ^ key_second,
            low_of_first,
        )
        key_first = (key_first + _KEY_INCREMENTS[0]) & _LOW_32
        key_second = (key_second + _KEY_INCREMENTS[1]) & _LOW_32
    return first, second, third, fourth


def key_of_seed(seed: Tensor) -> tuple[Tensor, Tensor]:
    """Split int64 seeds, of any shape, into the two words of a key: the low 32 bits and the high ones."""
    return seed & _LOW_32, (seed >> 32) & _LOW_32


def threshold(probability: float) -> int:
    """Give the word below which a random word lies with `probability`."""
    return int(min(probability * 2**32, 2**32 - 1))


def _multiply(multiplier: int, word: Tensor) -> tuple[Tensor, Tensor]:
    """Give the high and the low 32 bits of the product.

    The multiplier is taken in halves of 16 bits, as a signed 64-bit number does not hold the whole product.
    """
    low = word * (multiplier & 0xFFFF)
    high = word * (multiplier >> 16) + (low >> 16)
    return high >> 16, ((high & 0xFFFF) << 16) | (low & 0xFFFF)
