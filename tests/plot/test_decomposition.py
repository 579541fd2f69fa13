"""The plot of a decomposition: what is drawn are the parts, on one scale."""

from pathlib import Path

import numpy as np
import pytest
import torch

from seqlight.plot import decomposition
from seqlight.transforms import decompose


def series() -> np.ndarray:
    steps = np.arange(48)
    values = 0.5 * steps + 4 * np.sin(2 * np.pi * steps / 12) + np.random.default_rng(0).normal(0, 0.2, 48)
    values[[7, 20, 22]] = np.nan
    return values


def test_panels_show_the_parts(tmp_path: Path) -> None:
    values = series()
    time = np.datetime64("2024-01-01") + np.arange(48)
    figure = decomposition(values, 12, time=time, title="Sales", unit="pieces")
    parts = [part[:, 0].numpy() for part in decompose(torch.from_numpy(values)[:, None], 12)]
    before, seasonal, after = figure.axes
    # The point between two gaps comes as a dot of its own.
    line, dot, trend = before.get_lines()
    np.testing.assert_array_equal(line.get_ydata(), values)
    assert dot.get_ydata() == [values[21]]
    np.testing.assert_array_equal(trend.get_ydata(), parts[0])
    np.testing.assert_array_equal(seasonal.get_lines()[0].get_ydata(), parts[1])
    np.testing.assert_array_equal(after.get_lines()[0].get_ydata(), parts[2])
    # One scale: the data per inch is the same where a panel is not at the smallest height.
    scales = [np.ptp(ax.get_ylim()) / ax.get_position().height for ax in (before, seasonal, after)]
    assert max(scales) == pytest.approx(min(scales), rel=1e-6)
    assert {ax.get_ylabel() for ax in figure.axes} == {"pieces"}
    figure.savefig(tmp_path / "decomposition.png")


def test_constant_series(tmp_path: Path) -> None:
    figure = decomposition(np.full(24, 3.0), 12)
    assert figure.axes[2].get_xlabel() == "step"
    figure.savefig(tmp_path / "constant.png")


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (np.zeros((3, 24)), {}, r"decomposition: values expected shape \[T\], got \[3, 24\]"),
        (np.full(24, np.nan), {}, "decomposition: values expected at least one that is not NaN"),
        (np.zeros(24), {"time": np.arange(3)}, r"decomposition: time expected shape \(24,\) like values"),
        (np.zeros(23), {}, r"values: .*two seasons of 12, T >= 24"),
    ],
)
def test_bad_input_is_named(values: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decomposition(values, 12, **options)
