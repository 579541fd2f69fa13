"""What holds for every transform: exact inversion with missing cells, and a life in the state dict."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqlight.transforms import build_transform

LENGTH, HORIZON = 24, 11
TEXTS = [
    "none",
    "standard",
    "standard(per_channel=False)",
    "min_max",
    "instance",
    "last",
    "standard + last",
    "log(2)",
    "box_cox(offset=2)",
    "box_cox(0.5, offset=2)",
    "difference",
    "difference(1, 7)",
    "difference(3, 2, 5)",
    "decompose(5)",
    "decompose(6, trend=last)",
    "log(2) + difference(1, 6) + standard",
    "box_cox(offset=2) + decompose(7) + min_max",
    "difference(1) + instance",
    "instance + difference(6)",
]
POSITIVE = ("log", "box_cox")


def windows(text, seed, *, level, spread, missing, dtype, channels=2):
    """Past with holes and future of four windows, above -1 where the transform needs that."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(4, LENGTH + HORIZON, channels, generator=generator, dtype=torch.float64)
    values = (level + spread * noise).to(dtype)
    if text.startswith(POSITIVE):
        values = values.abs()
    holes = torch.rand(4, LENGTH, channels, generator=generator) < missing
    return values[:, :LENGTH].masked_fill(holes, math.nan), values[:, LENGTH:]


@pytest.mark.parametrize("text", TEXTS)
@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**31 - 1),
    level=st.floats(-1e4, 1e4),
    spread=st.sampled_from([0.0, 1e-3, 1.0, 1e4]),
    missing=st.sampled_from([0.0, 0.1, 0.5, 0.95, 1.0]),
)
def test_inverse_undoes_transform(text, seed, level, spread, missing):
    past, future = windows(text, seed, level=level, spread=spread, missing=missing, dtype=torch.float64)
    transform = build_transform(text, 2).double().fit(past)
    transformed, state = transform.transform(past)
    assert transformed.shape == past.shape
    assert transformed[past.isnan()].isnan().all()
    restored = transform.inverse(transform.transform_future(future, state), state)
    assert restored.isfinite().all()
    scale = max(future.abs().max().item(), past.nan_to_num(0.0).abs().max().item(), abs(level), 1.0)
    torch.testing.assert_close(restored, future, rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("text", TEXTS)
def test_float32_is_inverted_to_its_rounding(text):
    past, future = windows(text, 1, level=100.0, spread=10.0, missing=0.1, dtype=torch.float32)
    transform = build_transform(text, 2).fit(past)
    _, state = transform.transform(past)
    restored = transform.inverse(transform.transform_future(future, state), state)
    assert restored.dtype == torch.float32
    torch.testing.assert_close(restored, future, rtol=2e-5, atol=0.0)


@pytest.mark.parametrize("text", TEXTS)
def test_every_step_of_the_future_follows_from_the_steps_before_it(text):
    """The transformed future is the same whatever comes later, and however far it is looked at."""
    past, future = windows(text, 2, level=5.0, spread=1.0, missing=0.2, dtype=torch.float64)
    transform = build_transform(text, 2).double().fit(past)
    _, state = transform.transform(past)
    whole = transform.transform_future(future, state)
    torch.testing.assert_close(transform.transform_future(future[:, :3], state), whole[:, :3])
    torch.testing.assert_close(transform.inverse(whole[:, :3], state), future[:, :3])


@pytest.mark.parametrize("text", TEXTS)
def test_sample_paths_and_quantiles_come_back(text):
    past, _ = windows(text, 3, level=5.0, spread=1.0, missing=0.2, dtype=torch.float64)
    transform = build_transform(text, 2).double().fit(past)
    _, state = transform.transform(past)
    generator = torch.Generator().manual_seed(0)
    paths = 0.1 * torch.randn(101, *past.shape[:1], HORIZON, 2, generator=generator, dtype=torch.float64)
    back = transform.inverse(paths, state)
    for path in (0, 50):
        torch.testing.assert_close(back[path], transform.inverse(paths[path], state))
    for horizon in (1, 2, HORIZON):
        # 101 values: these quantiles are among them, so that no interpolation comes in.
        levels = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
        of_paths = back[..., :horizon, :].quantile(levels, dim=0)
        of_steps = transform.inverse(paths[..., :horizon, :].quantile(levels, dim=0), state)
        same = torch.allclose(of_paths, of_steps, rtol=1e-9, atol=1e-9)
        assert same == transform.keeps_quantiles(horizon)


@pytest.mark.parametrize("text", TEXTS)
def test_fitted_values_travel_in_the_state_dict(text):
    past, future = windows(text, 4, level=50.0, spread=5.0, missing=0.2, dtype=torch.float32)
    fitted = build_transform(text, 2).fit(past)
    other = build_transform(text, 2)
    assert fitted.fitted and not other.fitted
    other.load_state_dict(fitted.state_dict())
    assert other.fitted
    empty = torch.full_like(past, math.nan)  # takes the training part's values where there are any
    for window in (past, empty):
        transformed, state = fitted.transform(window)
        again, other_state = other.transform(window)
        assert torch.equal(transformed.nan_to_num(9e9), again.nan_to_num(9e9))
        assert torch.equal(fitted.inverse(future / 50, state), other.inverse(future / 50, other_state))
