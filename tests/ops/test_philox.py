"""Philox4x32-10 against the known answers that its authors publish with Random123."""

import pytest
import torch

from seqlight.ops.philox import draw_seed, philox4x32, threshold, uniform

# Counter, key and the four words that come out.
KNOWN_ANSWERS = [
    ((0x00000000,) * 4, (0x00000000,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_known_answers(counter: tuple[int, ...], key: tuple[int, int], words: tuple[int, ...]) -> None:
    bits = key[0] | key[1] << 32
    seed = torch.tensor([bits - (1 << 64) if bits >= 1 << 63 else bits])
    assert tuple(int(word) for word in philox4x32(seed, counter)) == words


def test_counters_are_broadcast() -> None:
    seed = torch.tensor([7])
    rows, steps = torch.arange(3), torch.arange(4)[:, None]
    words = philox4x32(seed, (0, steps, rows, 0))
    assert all(word.shape == (4, 3) for word in words)
    one = philox4x32(seed, (0, 2, 1, 0))
    assert [int(word[2, 1]) for word in words] == [int(word) for word in one]


def test_uniform_numbers_are_spread_evenly() -> None:
    numbers = uniform(philox4x32(torch.tensor([1]), (0, torch.arange(20000), 0, 0))[0])
    assert numbers.min() >= 0 and numbers.max() < 1
    counts = torch.histc(numbers, 20, 0, 1)
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8  # the 0.999 quantile of chi-squared with 19 degrees


def test_seeds_follow_torchs_generator() -> None:
    torch.manual_seed(5)
    first, second = draw_seed(), draw_seed()
    torch.manual_seed(5)
    assert torch.equal(draw_seed(), first) and not torch.equal(first, second)


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 0.999])
def test_threshold_is_passed_that_often(probability: float) -> None:
    for word in philox4x32(torch.tensor([5]), (torch.arange(40_000), 0, 0, 0)):
        share = (word < threshold(probability)).double().mean().item()
        assert share == pytest.approx(probability, abs=5 * (0.25 / 40_000) ** 0.5)
    assert threshold(1.0) == 2**32 - 1
