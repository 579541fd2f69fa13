"""ESRNNForecaster: the recursion, its parameters for each series, the dilated layers."""

import math

import pytest
import torch
from torch import nn

from seqlight import models
from seqlight.inputs import ExponentialSmoothing
from seqlight.nn import DilatedLSTM

N, C, S = 3, 2, 4


def smoothing(season=S):
    torch.manual_seed(0)
    module = ExponentialSmoothing(N, season, C).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
    return module


def by_loop(module, past, series, phase, horizon):
    """The equations, value by value."""
    rows, ahead = [], []
    length, period = past.shape[1], module.season_length
    for row in range(len(past)):
        own = int(series[row])
        pick = (lambda table, own=own: table[own]) if own < N else (lambda table: table.median(0).values)
        alpha = torch.sigmoid(pick(module.level_logit))
        if period == 1:
            season, gamma = {t: torch.zeros(C) for t in range(length + horizon)}, torch.zeros(C)
        else:
            gamma, table = torch.sigmoid(pick(module.season_logit)), pick(module.season)
            season = {t: table[(int(phase[row]) - length + t) % period] for t in range(period)}
        first = range(length if period == 1 else min(period, length))
        level = sum(past[row, t] - season[t] for t in first) / len(first)
        for t in range(length):
            level = alpha * (past[row, t] - season[t]) + (1 - alpha) * level
            season[t + period] = gamma * (past[row, t] - level) + (1 - gamma) * season[t]
        rows.append(torch.stack([past[row, t] - level - season[t] for t in range(length)]))
        steps = [length + h for h in range(horizon)]
        ahead.append(
            torch.stack([level + season[t if period == 1 else length + (t - length) % period] for t in steps])
        )
    return torch.stack(rows), torch.stack(ahead)


@pytest.mark.parametrize("season", [1, S])
@pytest.mark.parametrize("length", [3, 8, 10])
@pytest.mark.parametrize("horizon", [2, 7])
def test_recursion(season, length, horizon):
    module = smoothing(season)
    past = torch.randn(5, length, C, dtype=torch.float64)
    series, phase = torch.tensor([0, 2, 1, 3, 3]), torch.tensor([0, 5, -3, 10**6, 2])
    left, ahead = module(past, series, phase, horizon)
    expected_left, expected_ahead = by_loop(module, past, series, phase, horizon)
    torch.testing.assert_close(left, expected_left)
    torch.testing.assert_close(ahead, expected_ahead)


def test_missing_values_count_as_the_last_before_them():
    module = smoothing()
    nan = math.nan
    past = (
        torch.tensor([nan, 2.0, 3.0, nan, nan, 6.0, 7.0, nan], dtype=torch.float64)
        .view(1, 8, 1)
        .repeat(1, 1, C)
    )
    filled = torch.tensor([2.0, 2, 3, 3, 3, 6, 7, 7], dtype=torch.float64).view(1, 8, 1).repeat(1, 1, C)
    series, phase = torch.tensor([1]), torch.tensor([3])
    left, ahead = module(past, series, phase, 5)
    expected_left, expected_ahead = module(filled, series, phase, 5)
    torch.testing.assert_close(ahead, expected_ahead)
    assert torch.equal(left.isnan(), past.isnan())
    torch.testing.assert_close(left[~past.isnan()], expected_left[~past.isnan()])


def test_parameters_that_are_no_numbers_are_no_gaps():
    module = smoothing()
    with torch.no_grad():
        module.level_logit[1] = math.nan
    left, ahead = module(torch.ones(1, 8, C, dtype=torch.float64), torch.tensor([1]), torch.tensor([0]), 2)
    assert left.isinf().all() and ahead.isinf().all()


@pytest.mark.parametrize("length", [8, 11])
def test_dilated_layers_are_loops_over_every_dth_step(length):
    torch.manual_seed(0)
    net = DilatedLSTM(2, 3, [[1, 2], [4]]).double()
    x = torch.randn(4, length, 2, dtype=torch.float64)
    first = net.layers[0](x)[0]

    def dilated(layer, x, d):
        x = torch.cat([x.new_zeros(x.shape[0], -x.shape[1] % d, x.shape[2]), x], dim=1)
        out = torch.stack([torch.zeros_like(layer(x)[0][:, 0])] * x.shape[1], dim=1)
        for offset in range(d):
            out[:, offset::d] = layer(x[:, offset::d])[0]
        return out[:, -length:]

    second = dilated(net.layers[1], first, 2)
    third = dilated(net.layers[2], second, 4) + second
    torch.testing.assert_close(net(x)[0], third)
    assert all(layer.peephole for layer in net.layers)
    with pytest.raises(ValueError, match=r"^dilations: expected blocks such as"):
        DilatedLSTM(2, 3, [[]])


SIZES = {"context_length": 24, "prediction_length": 6}


def seasonal_windows(count=64):
    """Series of two kinds of season and of many sizes, above 0."""
    generator = torch.Generator().manual_seed(0)
    series = torch.arange(count) % 4
    shape = torch.rand(4, S, generator=generator) + 0.5
    phase = torch.randint(0, 100, (count,), generator=generator)
    steps = (phase[:, None] + torch.arange(-24, 6)) % S
    level = 10.0 ** torch.randint(-3, 4, (count, 1), generator=generator)
    values = (level * shape[series][torch.arange(count)[:, None], steps]).unsqueeze(-1)
    return {
        "past_target": values[:, :24],
        "future_target": values[:, 24:],
        "series_index": series,
        "phase": phase,
        "scale": level,
    }


def test_factors_of_each_series_are_learned(trainer):
    """Only in parameters of the series can a season be that is longer than what a network is shown."""
    torch.manual_seed(0)
    batch = seasonal_windows()
    rows = [{name: value[index] for name, value in batch.items()} for index in range(64)]
    loader = torch.utils.data.DataLoader(rows, batch_size=16)
    model = models.ESRNNForecaster(
        series_ids=["a", "b", "c", "d"], season_length=S, hidden_size=4, dilations=[[1, 2]], lr=0.03, **SIZES
    )
    trainer(max_epochs=30, limit_val_batches=0).fit(model, loader)
    error = (model.predict(batch).point / batch["future_target"]).log().abs().mean()
    assert error < 0.05
    season = model.smoothing.season.detach()
    assert season.std(0).max() > 0.05  # not the same for all
    # Ids in another order, and one that is not known, which has the medians.
    before = model.predict(batch).point
    model.use_series(["d", "x", "c", "b", "a"])
    order = torch.tensor([4, 3, 2, 0])[batch["series_index"]]
    torch.testing.assert_close(model.predict(batch | {"series_index": order}).point, before)
    unknown = model.predict(batch | {"series_index": torch.ones(64, dtype=torch.int64)}).point
    assert unknown.isfinite().all() and not torch.allclose(unknown, before)


def test_any_values_without_logarithms():
    model = models.ESRNNForecaster(
        series_ids=["a"], season_length=7, transform="instance", hidden_size=3, target_size=2, **SIZES
    )
    batch = {
        "past_target": torch.randn(3, 24, 2),
        "series_index": torch.zeros(3, dtype=torch.int64),
        "phase": torch.arange(3),
    }
    assert model.predict(batch).point.isfinite().all()
    with pytest.raises(ValueError, match=r"^phase: needed, for the model was built for a season"):
        model(batch["past_target"], series_index=batch["series_index"])
    with pytest.raises(ValueError, match=r"^series_index: needed"):
        model(batch["past_target"], phase=batch["phase"])
    with pytest.raises(ValueError, match=r"^series_ids: expected the names"):
        models.ESRNNForecaster(series_ids=[], **SIZES)


def test_without_a_season_no_phase_is_needed():
    model = models.ESRNNForecaster(series_ids=["a", "b"], hidden_size=3, **SIZES)
    assert not model.takes_phase
    forecast = model(torch.rand(2, 24, 1) + 1, series_index=torch.tensor([0, 1]))
    assert forecast.isfinite().all()
    assert isinstance(model.network.core, nn.Module)
