import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqlight.intervals import check_levels, interval_quantiles, level_name, needed_scores
from seqlight.intervals.levels import conformal_rank


@pytest.mark.parametrize(
    ("level", "one", "two"), [(80, 4, 9), (90, 9, 19), (95, 19, 39), (99, 99, 199), (97.5, 39, 79)]
)
def test_needed_scores(level, one, two):
    assert needed_scores(level, two_sided=False) == one
    assert needed_scores(level, two_sided=True) == two


@given(st.integers(1, 999), st.integers(0, 500), st.booleans())
def test_rank_is_exact(tenths, count, two_sided):
    # In floating point 1 - 0.8 is above 0.2 by a bit, which moves ranks by one.
    level = tenths / 10
    alpha = 1 - Fraction(tenths, 1000)
    alpha = alpha / 2 if two_sided else alpha
    rank = int(conformal_rank(torch.tensor(count), level, two_sided=two_sided))
    assert rank == math.ceil((count + 1) * (1 - alpha))
    assert (rank <= count) == (count >= needed_scores(level, two_sided=two_sided))


def test_levels_are_sorted_once():
    assert check_levels([95, 80, 80.0]) == (80.0, 95.0)
    assert check_levels(90) == (90.0,)
    assert interval_quantiles([80, 95]) == (0.025, 0.1, 0.9, 0.975)
    assert [level_name(level) for level in (80, 97.5)] == ["80", "97.5"]


@pytest.mark.parametrize("wrong", [[], [0], [100], [-5], [float("nan")], ["80"], [True]])
def test_wrong_levels(wrong):
    with pytest.raises(ValueError, match="levels: expected"):
        check_levels(wrong)


def test_a_fraction_gets_advice():
    with pytest.raises(ValueError, match=r"such as 80, got 0\.95; write 95 for 0\.95"):
        check_levels([0.95])
