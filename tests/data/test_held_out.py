"""Hidden cells: how many, where, and in which runs."""

import numpy as np
import pytest

from seqlight.data.windows.held_out import USUAL_GAPS, GapPattern, gap_pattern, hold_out, run_lengths

INDPTR = np.array([0, 300, 300, 1000])


def test_runs_end_with_their_series():
    flags = np.array([1, 1, 1, 0, 1, 0, 0, 1], bool)
    assert run_lengths(flags, np.array([0, 8])).tolist() == [3, 1, 1]
    assert run_lengths(flags, np.array([0, 2, 8])).tolist() == [2, 1, 1, 1]
    assert run_lengths(flags[:0], np.array([0, 0])).tolist() == []


def test_the_pattern_is_the_datas_own():
    observed = np.ones((1000, 2), bool)
    observed[10:13] = False  # both channels
    observed[500:507, 1] = False
    observed[297:303, 0] = False  # over the end of a series
    pattern = gap_pattern(observed, INDPTR)
    assert sorted(pattern.lengths.tolist()) == [3, 3, 3, 7]
    assert pattern.whole_rows == 0.25
    assert set(gap_pattern(np.ones((9, 1), bool), np.array([0, 9])).lengths.tolist()) == set(USUAL_GAPS)


@pytest.mark.parametrize("whole_rows", [0.0, 1.0])
def test_share_places_and_lengths(whole_rows):
    observed = np.random.default_rng(0).random((1000, 3)) < 0.9
    pattern = GapPattern(np.array([5]), whole_rows)
    hidden = hold_out(observed, INDPTR, pattern, fraction=0.2, seed=3)
    assert not (hidden & ~observed).any()
    assert hidden.sum() == pytest.approx(0.2 * observed.sum(), rel=0.05)
    assert np.all(hidden.any(0))
    assert np.array_equal(hidden, hold_out(observed, INDPTR, pattern, fraction=0.2, seed=3))
    assert not np.array_equal(hidden, hold_out(observed, INDPTR, pattern, fraction=0.2, seed=4))
    together = (hidden | ~observed).all(1) == (hidden.any(1))
    assert together.mean() > 0.99 if whole_rows else together.mean() < 0.9
    # A hidden run is 5 rows long, or several that met, or one that a series' end cut short.
    runs = run_lengths((hidden | ~observed)[:, 0], INDPTR)
    assert (runs >= 5).sum() >= 10


def test_long_gaps_are_cut_so_that_several_places_are_tried():
    hidden = hold_out(
        np.ones((1000, 1), bool), np.array([0, 1000]), GapPattern(np.array([900]), 1.0), fraction=0.1, seed=0
    )
    assert len(run_lengths(hidden[:, 0], np.array([0, 1000]))) >= 3
    assert 100 <= hidden.sum() <= 125


def test_something_is_left_of_every_series_and_channel():
    indptr = np.arange(0, 101, 2)
    observed = np.ones((100, 2), bool)
    observed[1::2, 0] = False  # one known cell each
    hidden = hold_out(observed, indptr, GapPattern(np.array([2]), 0.5), fraction=0.6, seed=0)
    left = (observed & ~hidden).reshape(50, 2, 2)
    assert left.any(1).all()
    assert hidden.any()


def test_nothing_to_hide():
    observed = np.zeros((10, 1), bool)
    assert not hold_out(
        observed, np.array([0, 10]), GapPattern(np.array([1]), 1.0), fraction=0.5, seed=0
    ).any()


def test_a_gap_of_one_channel_is_whole_where_another_has_gaps_within_it():
    observed = np.ones((40, 2), bool)
    observed[5:25, 0] = False
    observed[::7, 1] = False
    assert sorted(gap_pattern(observed, np.array([0, 40])).lengths.tolist()) == [1] * 3 + [1] * 3 + [20]
