"""Nearest observed cells, hidden cells and stitched windows."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqlight.models.imputation.cell_hiding import hide_cells
from seqlight.models.imputation.gaps import interpolated, nearest_after, nearest_before, row_times
from seqlight.models.imputation.stitching import Stitcher, window_starts


def random_case(seed, rows=30):
    random = torch.Generator().manual_seed(seed)
    values = torch.randn(2, rows, 2, generator=random, dtype=torch.float64)
    observed = torch.rand(values.shape, generator=random) < 0.4
    times = row_times(0.1 + torch.rand(2, rows, generator=random, dtype=torch.float64))
    return values.masked_fill(~observed, 0.0), observed, times


@given(st.integers(0, 1000))
def test_interpolation_is_numpys(seed):
    values, observed, times = random_case(seed)
    sides = [nearest(values, observed, times, strictly=False) for nearest in (nearest_before, nearest_after)]
    line = interpolated(*sides)
    for b in range(2):
        for c in range(2):
            known = observed[b, :, c]
            if known.any():
                expected = np.interp(times[b], times[b][known], values[b, known, c])
                np.testing.assert_allclose(line[b, :, c], expected, rtol=1e-9, atol=1e-9)


def test_strict_sides_leave_the_cell_out():
    values, observed, times = random_case(0)
    for nearest, earlier in ((nearest_before, True), (nearest_after, False)):
        side = nearest(values, observed, times)
        for row in range(30):
            others = range(row) if earlier else range(row + 1, 30)
            known = [other for other in others if observed[0, other, 0]]
            assert bool(side.exists[0, row, 0]) == bool(known)
            if known:
                at = known[-1] if earlier else known[0]
                assert side.value[0, row, 0] == values[0, at, 0]
                assert side.distance[0, row, 0] == pytest.approx(abs(times[0, row] - times[0, at]).item())


@pytest.mark.parametrize("longest_gap", [1, 12])
@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.6])
def test_hidden_share(fraction, longest_gap):
    torch.manual_seed(0)
    observed = torch.rand(64, 200, 3) < 0.8
    hidden = hide_cells(observed, fraction=fraction, longest_gap=longest_gap)
    assert not (hidden & ~observed).any()
    assert (hidden.sum() / observed.sum()).item() == pytest.approx(fraction, rel=0.15)
    torch.manual_seed(0)
    torch.rand(64, 200, 3)
    assert torch.equal(hidden, hide_cells(observed, fraction=fraction, longest_gap=longest_gap))
    if fraction and longest_gap > 1:
        after_hidden = hidden[:, 1:][hidden[:, :-1]].float().mean()
        assert after_hidden > hidden.float().mean() + 0.05  # blocks


def test_hiding_leaves_a_cell():
    torch.manual_seed(0)
    observed = torch.zeros(50, 8, 2, dtype=torch.bool)
    observed[:, 3] = True
    assert not hide_cells(observed, fraction=0.9, longest_gap=8).any()
    observed[:, 4] = True
    assert (observed & ~hide_cells(observed, fraction=0.9, longest_gap=8)).any(1).all()


@pytest.mark.parametrize(("length", "window_length"), [(5, 10), (10, 10), (11, 10), (57, 10), (7, 1)])
def test_stitching(length, window_length):
    """Equal windows give themselves back; windows that differ are joined without a step."""
    series = torch.randn(length, 2, dtype=torch.float64)
    same, ramp = Stitcher(length, 2), Stitcher(length, 2)
    starts = window_starts(length, min(window_length, length))
    for number, start in enumerate(starts):
        window = series[start : start + window_length]
        same.add(start, window)
        ramp.add(start, torch.full_like(window, float(number)))
    torch.testing.assert_close(same.result(), series)
    steps = ramp.result().diff(dim=0)
    if length > window_length > 1:
        assert steps.max() <= 0.5  # where hard seams would be steps of 1
