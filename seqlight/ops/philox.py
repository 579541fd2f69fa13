r"""Philox4x32-10 in plain PyTorch: random words that depend on a seed and a counter alone.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011. The kernels draw from
the same generator (``csrc/cells/philox.h``), so that they and their references see equal numbers, on any
device and in any order of computation.
"""

import torch
from torch import Tensor

Words = tuple[Tensor, Tensor, Tensor, Tensor]

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # the golden ratio and sqrt(3) - 1
_ROUNDS = 10


def philox4x32(seed: Tensor, counter: tuple[int | Tensor, ...]) -> Words:
    """Draw four random 32-bit words for every counter.

    Args:
        seed: int64 [1]; its low 32 bits are the first word of the key, its high ones the second.
        counter: four words of 32 bits, each a number or an int64 tensor; they are broadcast together.

    Returns:
        Four int64 tensors of the counters' common shape, with values in 0 ... 2^32 - 1.
    """
    # filled on the device: a number from the host would be copied there, which no CUDA graph can hold
    tensors = (
        word.to(torch.int64)
        if isinstance(word, Tensor)
        else torch.full((), word, dtype=torch.int64, device=seed.device)
        for word in counter
    )
    words = torch.broadcast_tensors(*(word & _MASK for word in tensors))
    key = [seed[0] & _MASK, (seed[0] >> 32) & _MASK]
    for _ in range(_ROUNDS):
        high_of_first, low_of_first = _multiply(_MULTIPLIERS[0], words[0])
        high_of_third, low_of_third = _multiply(_MULTIPLIERS[1], words[2])
        words = (
            high_of_third ^ words[1] ^ key[0],
            low_of_third,
            high_of_first ^ words[3] ^ key[1],
            low_of_first,
        )
        key = [(word + step) & _MASK for word, step in zip(key, _KEY_STEPS, strict=True)]
    return words[0], words[1], words[2], words[3]


def threshold(probability: float) -> int:
    """Give the word below which a random word lies with `probability`."""
    return int(min(probability * 2**32, 2**32 - 1))


def uniform(word: Tensor) -> Tensor:
    """Turn 32-bit words into float64 numbers in [0, 1)."""
    return word.to(torch.float64) * 2.0**-32


def draw_seed(device: torch.device | str = "cpu") -> Tensor:
    """Draw a seed, int64 [1], from torch's generator of the device, which ``torch.manual_seed`` sets."""
    return torch.randint(-(2**63), 2**63 - 1, (1,), device=device)


def _multiply(multiplier: int, word: Tensor) -> tuple[Tensor, Tensor]:
    """Give the high and the low 32 bits of the product.

    The multiplier is taken in halves of 16 bits, as a signed 64-bit number does not hold the whole product.
    """
    low = word * (multiplier & 0xFFFF)
    high = word * (multiplier >> 16) + (low >> 16)
    return high >> 16, ((high & 0xFFFF) << 16) | (low & 0xFFFF)
