import re

import pytest
import torch

from seqlight.transforms import (
    TRANSFORMS,
    Compose,
    Decompose,
    Difference,
    Identity,
    Log,
    StandardScaler,
    build_transform,
)


def test_one_name_is_that_transform():
    assert type(build_transform("none", 2)) is Identity
    difference = build_transform("difference", 3)
    assert isinstance(difference, Difference)
    assert (difference.lags, difference.target_size) == ((1,), 3)


def test_options_reach_the_transform():
    assert build_transform("difference(1,24)", 1).lags == (1, 24)
    decompose = build_transform(" decompose( 12, trend=last ) ", 1)
    assert isinstance(decompose, Decompose)
    assert (decompose.season_length, decompose.method, decompose.trend) == (12, "classical", "last")
    assert build_transform("decompose(12, trend='last')", 1).trend == "last"
    assert build_transform("box_cox(None, offset=-2)", 1).offset == -2.0
    assert build_transform("standard(per_channel=False)", 2).per_channel is False


def test_several_are_composed_from_left_to_right():
    both = build_transform("log(1) + difference(1, 12)\n+ standard", 2)
    assert isinstance(both, Compose)
    assert [type(part) for part in both.transforms] == [Log, Difference, StandardScaler]
    assert both.target_size == 2


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_every_name_can_be_made(name):
    text = "decompose(4)" if name == "decompose" else name
    assert build_transform(text, 1).target_size == 1


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            "standart",
            ValueError,
            "expected one of 'none', 'standard'.*got 'standart'. Did you mean 'standard'?",
        ),
        ("log + zscore", ValueError, "expected one of .*several joined by '\\+'; got 'zscore'"),
        ("log++", ValueError, "cannot read 'log++'"),
        ("", ValueError, "cannot read ''"),
        ("log - standard", ValueError, "cannot read 'log - standard'"),
        ("log.exp", ValueError, "cannot read 'log.exp'"),
        ("log(__import__('os').getpid())", ValueError, "cannot read"),
        ("difference(*lags)", ValueError, "cannot read"),
        ("difference((1, 2))", ValueError, "cannot read"),
        ("log(**options)", ValueError, "cannot read"),
        (
            "decompose",
            ValueError,
            "decompose: missing a required argument: 'season_length'; its options are: season",
        ),
        (
            "decompose(12, mode=x)",
            ValueError,
            "decompose: .*'mode'; its options are: season_length: int, method",
        ),
        ("none(1)", ValueError, "none: too many positional arguments; its options are: none"),
        ("difference(0)", ValueError, "difference: lags: expected at least 1 step, got 0"),
        (
            "standard(per_channel=false)",
            TypeError,
            "standard: per_channel: expected True or False, got 'false'",
        ),
        ("log(offset=much)", TypeError, "log: offset: expected a number, got 'much'"),
        (None, TypeError, "expected a text such as .*, got None"),
        (["log", "standard"], TypeError, "expected a text such as"),
    ],
)
def test_bad_texts_are_named(text, error, message):
    message = message if ".*" in message else re.escape(message)
    with pytest.raises(error, match=f"^transform: {message}"):
        build_transform(text, 1)


def test_composition_checks_its_parts():
    with pytest.raises(ValueError, match="transforms: expected at least one, got none"):
        Compose([])
    with pytest.raises(ValueError, match=r"transforms: expected one target_size, got \[1, 2\]"):
        Compose([Log(1), Difference(2)])
    with pytest.raises(TypeError, match="transforms: expected transforms, got Linear"):
        Compose([torch.nn.Linear(1, 1)])


def test_composition_needs_the_past_of_all_parts():
    assert build_transform("difference(1, 24) + standard", 1).min_context_length == 26
    assert build_transform("difference + decompose(12)", 1).min_context_length == 25
    assert build_transform("log + standard", 1).min_context_length == 1


def test_each_part_is_fitted_on_what_those_before_it_make():
    generator = torch.Generator().manual_seed(0)
    windows = (torch.randn(20, 30, 2, generator=generator).cumsum(1) / 10).exp()
    composed = build_transform("log + difference + standard", 2).fit(windows)
    differences = windows.log().diff(dim=1).flatten(0, 1)
    scaler = composed.transforms[2]
    torch.testing.assert_close(scaler.mean, differences.mean(0), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(scaler.scale, differences.std(0, correction=0), rtol=1e-4, atol=1e-6)
    transformed, _ = composed.transform(windows)
    torch.testing.assert_close(transformed.nanmean((0, 1)), torch.zeros(2), atol=1e-5, rtol=0)


def test_masked_cells_do_not_reach_any_part():
    generator = torch.Generator().manual_seed(0)
    windows = torch.rand(8, 30, 1, generator=generator) + 1
    observed = torch.rand(8, 30, 1, generator=generator) > 0.2
    by_mask = build_transform("log + difference + standard", 1).fit(
        torch.where(observed, windows, -5.0), observed
    )
    by_nan = build_transform("log + difference + standard", 1).fit(windows.masked_fill(~observed, torch.nan))
    for name, value in by_nan.state_dict().items():
        assert torch.equal(by_mask.state_dict()[name], value)


def test_which_need_windows():
    for text in ("log + standard", "difference(1, 24)", "log + difference", "instance"):
        assert not build_transform(text, 1).fits_on_windows
    for text in ("difference + standard", "log + decompose(3) + min_max"):
        assert build_transform(text, 1).fits_on_windows
