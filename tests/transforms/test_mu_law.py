"""Mu-law coding: known values, the error it leaves, and what it refuses."""

import math

import pytest
import torch

from seqlight.transforms import mu_law_decode, mu_law_encode


def test_known_values():
    """Ends, silence, and the sign; 1/255 of full scale is ln 2 / ln 256 = 1/8 of the companded scale."""
    waveform = torch.tensor([-1.0, -1 / 255, 0.0, 1 / 255, 1.0], dtype=torch.float64)
    eighth = 255 / 16
    expected = [0, math.floor(127.5 - eighth + 0.5), 128, math.floor(127.5 + eighth + 0.5), 255]
    assert mu_law_encode(waveform).tolist() == expected
    assert mu_law_encode(torch.tensor([[-7.0, 7.0]])).tolist() == [[0, 255]]
    assert mu_law_decode(torch.tensor([0, 255])).tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("mu", [255, 31, 1])
def test_classes_come_back_and_values_to_within_half_a_class(mu):
    classes = torch.arange(mu + 1)
    assert torch.equal(mu_law_encode(mu_law_decode(classes, mu=mu).double(), mu=mu), classes)
    waveform = torch.linspace(-1, 1, 20001, dtype=torch.float64)
    error = (mu_law_decode(mu_law_encode(waveform, mu=mu), mu=mu) - waveform).abs()
    # The curve's slope, dx/dy = (1 + mu |x|) ln(1 + mu) / mu, is steepest at the far end of half a class.
    half = 1 / mu
    bound = (1 + mu * waveform.abs()) / mu * math.expm1(half * math.log1p(mu))
    assert (error <= bound + 1e-6).all()
    assert (mu_law_encode(waveform, mu=mu).diff() >= 0).all()


def test_wrong_arguments():
    for call, kind, message in (
        (lambda: mu_law_encode(torch.zeros(3, dtype=torch.int16)), TypeError, "got torch.int16; divide"),
        (lambda: mu_law_encode([0.0]), TypeError, "got list"),
        (lambda: mu_law_encode(torch.tensor([torch.nan])), ValueError, "got NaN"),
        (lambda: mu_law_encode(torch.zeros(3), mu=0), ValueError, "mu expected at least 1, got 0"),
        (lambda: mu_law_encode(torch.zeros(3), mu=1.5), TypeError, "mu expected an integer, got 1.5"),
        (lambda: mu_law_decode(torch.zeros(3)), TypeError, "integer tensor, got torch.float32"),
        (lambda: mu_law_decode(torch.tensor([3, 256])), ValueError, r"in 0 \.\.\. 255, got 3 \.\.\. 256"),
    ):
        with pytest.raises(kind, match=message):
            call()
