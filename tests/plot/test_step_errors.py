"""The plot of errors at each step ahead."""

import numpy as np
import pytest

from seqlight.plot import errors_by_step


def test_one_line_each_in_the_order_of_their_ends() -> None:
    errors = {"a": np.array([0.1, 0.2, 0.3]), "b": np.array([0.2, 0.5, 0.9]), "c": np.array([0.4, 0.4, 0.5])}
    figure = errors_by_step(errors, title="Errors", error_label="MAE")
    (ax,) = figure.axes
    assert [list(line.get_ydata()) for line in ax.lines] == [list(values) for values in errors.values()]
    assert all(list(line.get_xdata()) == [1, 2, 3] for line in ax.lines)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["b", "c", "a"]
    assert (ax.get_ylabel(), ax.get_ylim()[0]) == ("MAE", 0)


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        ({}, "at least one forecaster, got none"),
        ({"a": np.zeros(3), "b": np.zeros(4)}, r"one shape \[H\], got \[\(3,\), \(4,\)\]"),
        ({"a": np.zeros((3, 1))}, r"one shape \[H\], got \[\(3, 1\)\]"),
    ],
)
def test_errors_that_cannot_be_drawn(errors: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        errors_by_step(errors)
