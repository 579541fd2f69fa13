"""The accuracy of the kernels' sigmoid and tanh that csrc/cpu/activations.inl promises."""

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.usefixtures("native")


@pytest.fixture(scope="module")
def floats() -> np.ndarray:
    """Every 513th float32 bit pattern: all exponents, both signs, denormals; without NaN and infinity."""
    bits = np.arange(0, 2**32, 513, dtype=np.uint64).astype(np.uint32).view(np.float32)
    return bits[np.isfinite(bits)]


def units_in_the_last_place(result: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Distance in spacings of the result's dtype at the exact value, or at the least normal number."""
    dtype = result.dtype
    spacing = np.spacing(np.maximum(np.abs(exact).astype(dtype), np.finfo(dtype).tiny))
    return np.abs(result.astype(np.float64) - exact) / spacing.astype(np.float64)


def exact_sigmoid(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x.astype(np.float64)))


def test_tanh_of_every_kind_of_float(floats: np.ndarray) -> None:
    result = torch.ops.seqlight.tanh(torch.from_numpy(floats)).numpy()
    assert units_in_the_last_place(result, np.tanh(floats.astype(np.float64))).max() <= 3.5


@pytest.mark.parametrize(("low", "high", "most"), [(-20, np.inf, 3.5), (-87, -20, 6)])
def test_sigmoid_of_every_kind_of_float(floats: np.ndarray, low: float, high: float, most: float) -> None:
    x = floats[(floats >= low) & (floats < high)]
    result = torch.ops.seqlight.sigmoid(torch.from_numpy(x)).numpy()
    assert units_in_the_last_place(result, exact_sigmoid(x)).max() <= most


def test_sigmoid_far_below_zero_is_next_to_nothing(floats: np.ndarray) -> None:
    result = torch.ops.seqlight.sigmoid(torch.from_numpy(floats[floats < -87])).numpy()
    assert (result >= 0).all()
    assert result.max() < 2e-38


def test_double() -> None:
    # Against the same functions in extended precision, where the platform has it.
    x = np.concatenate(
        [np.linspace(-25, 25, 200_001), np.linspace(-700, 700, 200_001), 10.0 ** np.arange(-300, 1)]
    )
    wide = x.astype(np.longdouble)
    slack = 0 if np.finfo(np.longdouble).eps < 1e-18 else 1
    spacing_of = lambda exact: np.spacing(np.abs(exact).astype(np.float64)).astype(np.longdouble)  # noqa: E731
    for name, exact in (("tanh", np.tanh(wide)), ("sigmoid", 1 / (1 + np.exp(-wide)))):
        result = getattr(torch.ops.seqlight, name)(torch.from_numpy(x)).numpy()
        assert (np.abs(result - exact) / spacing_of(exact)).max() <= 4 + slack, name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nan_stays_and_infinity_saturates(dtype: torch.dtype) -> None:
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0], dtype=dtype)
    sigmoid, tanh = torch.ops.seqlight.sigmoid(x), torch.ops.seqlight.tanh(x)
    assert sigmoid[0].isnan()
    assert tanh[0].isnan()
    assert tanh[1:].tolist() == [1.0, -1.0, 0.0]
    assert sigmoid[1] == 1.0
    assert sigmoid[2] < 2e-38
    assert sigmoid[3] == 0.5
