"""Philox4x32-10 against the known answers of its authors' library Random123, and as a source of noise."""

import pytest
import torch
from torch import Tensor

from seqlight.ops import philox

KNOWN = [
    ([0, 0, 0, 0], [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


def words(*values: int) -> list[Tensor]:
    return [torch.tensor(value) for value in values]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers(counter: list[int], key: list[int], answer: list[int]) -> None:
    assert [int(word) for word in philox.philox4x32(words(*counter), words(*key))] == answer


def test_broadcasting_draws_what_each_counter_alone_draws() -> None:
    first, second = torch.arange(5), torch.arange(3)[:, None]
    zero = torch.zeros((), dtype=torch.int64)
    together = philox.philox4x32((first, second, zero, zero), words(11, 12))
    assert all(word.shape == (3, 5) for word in together)
    alone = philox.philox4x32(words(4, 2, 0, 0), words(11, 12))
    assert [int(word[2, 4]) for word in together] == [int(word) for word in alone]


@pytest.mark.parametrize("seed", [0, 1, -1, 2**63 - 1, -(2**63), 0x123456789ABCDEF])
def test_the_key_is_the_seeds_bits(seed: int) -> None:
    low, high = philox.key_of_seed(torch.tensor([seed]))
    assert (int(high) << 32 | int(low)) == seed % 2**64


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 0.999])
def test_threshold_is_passed_that_often(probability: float) -> None:
    counters = (torch.arange(40_000), *words(0, 0, 0))
    for word in philox.philox4x32(counters, philox.key_of_seed(torch.tensor([5]))):
        share = (word < philox.threshold(probability)).double().mean().item()
        assert share == pytest.approx(probability, abs=5 * (0.25 / 40_000) ** 0.5)
    assert philox.threshold(1.0) == 2**32 - 1
