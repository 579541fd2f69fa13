"""Backtests equal a loop that cuts the file; nothing after a cutoff is seen."""

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from seqlight.data import CSVDataModule, DataError, ForecastDataModule
from seqlight.experiments import Backtest, backtest, build_forecaster, fit, forecast_future, portfolio
from seqlight.experiments.interval_recipes import with_intervals
from seqlight.experiments.simple_forecasts import least_squares
from seqlight.metrics.functional import mean_absolute_scaled_error
from seqlight.models import Forecaster, LinearForecaster, NaiveForecaster
from seqlight.predictor import Forecast

SIZES = {"context_length": 24, "prediction_length": 6}
Module = Callable[..., CSVDataModule]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def linear(data: ForecastDataModule) -> LinearForecaster:
    """Least squares of all that a network sees, without categories, which it has no use for."""
    found = least_squares(data)
    assert found is not None
    return found


def lstm(data: ForecastDataModule) -> Forecaster:
    """Return a network that embeds the text column, after an epoch; its scales are the fold's."""
    return fit(
        lambda: build_forecaster("lstm", data, hidden_size=4, transform="standard"),
        data,
        seed=0,
        epochs=1,
        accelerator="cpu",
    ).model


def cut(frame: pl.DataFrame, windows_before_end: int, step_size: int) -> pl.DataFrame:
    """Return the file as it was: targets after the cutoff are empty, columns known ahead stay, H steps."""
    known = {"east": 200, "west": 170}
    kept = []
    for shop, end in known.items():
        cutoff = end - 6 - windows_before_end * step_size
        own = frame.filter(pl.col("shop") == shop).with_row_index("row").head(cutoff + 6)
        kept.append(own.with_columns(y=pl.when(pl.col("row") < cutoff).then("y")).drop("row"))
    return pl.concat(kept)


@pytest.mark.parametrize("recipe", [linear, lstm])
@pytest.mark.parametrize("refit", [True, 2])
def test_it_is_a_loop_that_cuts_the_file(
    recipe: Any, refit: Any, frame: pl.DataFrame, module: Module
) -> None:
    found = backtest({"model": recipe}, module(frame), windows=3, step_size=5, refit=refit)
    assert [window.fitted for window in found.windows] == [True, refit is True, True]
    fitted_on = None
    for number, window in enumerate(found.windows):
        own = module(cut(frame, 2 - number, 5), test_size=0)
        if window.fitted:
            fitted_on, model = own, recipe(own)
        own.use_schema(fitted_on.schema())  # texts are numbered as in the training
        expected, series, start = forecast_future(model, own)
        torch.testing.assert_close(window.forecasts.forecasts["model"].point, expected.point)
        assert window.forecasts.series_index.tolist() == series.tolist()
        assert window.forecasts.start.tolist() == start.tolist()
        # The denominators of MASE are of all that was known, not of the training part.
        full = module(cut(frame, 2 - number, 5), test_size=0, val_size=0)
        np.testing.assert_allclose(window.forecasts.scale.numpy(), full.scale, rtol=1e-6)


@pytest.fixture(scope="module")
def three(frame: pl.DataFrame, module: Module) -> Backtest:
    """Naive forecasts and a recipe, fitted once, from three cutoffs."""
    return backtest({"naive": NaiveForecaster(**SIZES), "linear": linear}, module(frame), windows=3)


def test_the_table(three: Backtest, frame: pl.DataFrame) -> None:
    table = three.frame
    assert table.columns == ["shop", "ds", "cutoff", "y", "naive", "linear"]
    assert len(table) == 2 * 3 * 6
    assert table.equals(table.sort("shop", "cutoff", "ds"))
    original = frame.select("shop", "ds", "y")
    both = table.join(original, on=["shop", "ds"], suffix="_file")
    np.testing.assert_allclose(both["y"], both["y_file"], rtol=1e-6)
    last = original.join(
        table.select("shop", "cutoff").unique(), left_on=["shop", "ds"], right_on=["shop", "cutoff"]
    )
    for shop, cutoff, value in last.iter_rows():
        own = table.filter((pl.col("shop") == shop) & (pl.col("cutoff") == cutoff))
        assert own["ds"][0] - cutoff == own["ds"][1] - own["ds"][0]
        np.testing.assert_allclose(own["naive"], value, rtol=1e-6)


def test_errors_are_over_all_cutoffs(three: Backtest) -> None:
    table = three.frame
    row = next(row for row in three.rows if row["model"] == "naive")
    error = (table["naive"] - table["y"]).drop_nulls()
    assert row["mae"] == pytest.approx(error.abs().mean(), rel=1e-6)
    assert row["windows"] == 6
    windows = three.forecasts
    mase = mean_absolute_scaled_error(
        windows.forecasts["naive"].point.double(), windows.target.double(), windows.scale.double()
    )
    assert row["mase"] == pytest.approx(mase.item(), rel=1e-5)
    by_window = three.by_window.filter(pl.col("model") == "naive")
    assert by_window["window"].to_list() == [1, 2, 3]
    assert by_window["mae"].mean() == pytest.approx(row["mae"], rel=1e-6)
    assert three.window_number.tolist() == [1, 1, 2, 2, 3, 3]


def portfolio_of(data: ForecastDataModule) -> Forecaster:
    """Return the mean of the simple members, weighed on the fold's validation part."""
    return portfolio(data, max_time=0, names=[]).predictor


@pytest.mark.parametrize("origin", ["own", "common"])
def test_nothing_after_a_cutoff_is_seen(origin: Any, frame: pl.DataFrame, module: Module) -> None:
    """What comes after the second cutoff is made up, in targets, texts and past covariates.

    With one cutoff for all, east has 30 hours more than west, which ends after the second cutoff, and new
    begins 100 hours after both.
    """
    late = frame.filter(pl.col("shop") == "east").with_columns(shop=pl.lit("new")).slice(100, 85)
    frame = pl.concat([frame, late])
    options = {
        "future_covariate_cols": [],
        "past_covariate_cols": ["promo", "kind"],
        "calibration_size": 0.15,
    }
    models = {"naive": NaiveForecaster(**SIZES), "linear": with_intervals(linear, [50], method="adaptive")}
    if origin == "common":
        models |= {"lstm": lstm, "portfolio": portfolio_of}
    apart = {"windows": 3, "step_size": 16, "refit": True, "level": [50], "origin": origin}
    before = backtest(models, module(frame, **options), **apart)
    position = pl.int_range(pl.len()).over("shop")
    ends = {"east": 200, "west": 170, "new": 85}
    if origin == "common":
        later = pl.col("ds") >= frame["ds"].min() + datetime.timedelta(hours=200 - 6 - 16)
        assert [window.judged.tolist() for window in before.windows] == [
            [True, True, True],
            [True, False, True],
            [True, False, False],
        ]
    else:
        later = position >= pl.col("shop").replace_strict(ends, return_dtype=pl.Int64) - 22
    changed = frame.with_columns(
        y=pl.when(later).then(pl.col("y") * 1000).otherwise("y"),
        promo=pl.when(later).then(pl.lit(0.5)).otherwise("promo"),
        kind=pl.when(later).then(pl.lit("unheard of")).otherwise("kind"),
    )
    after = backtest(models, module(changed, **options), **apart)
    for number in (0, 1):
        old, new = before.windows[number].forecasts, after.windows[number].forecasts
        torch.testing.assert_close(old.scale, new.scale, rtol=0, atol=0)
        for name in models:
            one, two = old.forecasts[name], new.forecasts[name]
            torch.testing.assert_close(one.point, two.point, rtol=0, atol=0)
            if one.quantiles is not None:
                torch.testing.assert_close(one.quantiles, two.quantiles, rtol=0, atol=0, equal_nan=True)
    for name in models:
        third = [found.windows[2].forecasts.forecasts[name].point for found in (before, after)]
        assert not torch.equal(*third)


def test_a_series_that_ends_in_a_window_counts_to_its_end(frame: pl.DataFrame, module: Module) -> None:
    """East is known 200 hours, west 170, with six rows more of what is known ahead."""
    naive = {"naive": NaiveForecaster(**SIZES)}
    found = backtest(naive, module(frame, origin="auto"), windows=2, step_size=26)
    first = found.windows[0]
    assert first.cutoff.tolist() == [168, 168] and first.judged.all()
    assert first.forecasts.known[1, :, 0].tolist() == [True] * 2 + [False] * 4
    assert found.windows[1].judged.tolist() == [True, False]
    # Without these rows nothing is known ahead where west has ended.
    ended = frame.filter(~((pl.col("shop") == "west") & (pl.int_range(pl.len()).over("shop") >= 170)))
    found = backtest(naive, module(ended, origin="auto"), windows=2, step_size=26)
    assert found.windows[0].judged.tolist() == [True, False]
    alone = backtest(
        naive, module(ended, origin="auto", future_covariate_cols=[]), windows=2, step_size=26
    ).windows[0]
    assert alone.judged.all()
    assert alone.forecasts.known[1, :, 0].tolist() == [True] * 2 + [False] * 4


class WithQuantiles(NaiveForecaster):
    """The last value again, give or take 1."""

    def predict(self, batch: Any, *, quantile_levels: Any = (), samples: int = 0) -> Forecast:
        point = super().predict(batch).point
        offsets = torch.tensor([2 * level - 1 for level in quantile_levels])
        levels = tuple(quantile_levels)
        return Forecast(point, point[..., None] + offsets if levels else None, levels)


def test_levels_have_columns(data: CSVDataModule) -> None:
    models = {"naive": NaiveForecaster(**SIZES), "banded": WithQuantiles(**SIZES)}
    table = backtest(models, data, windows=1, level=[95, 80]).frame
    assert table.columns[4:] == [
        "naive",
        "banded",
        *(f"banded-{side}-{level}" for level in (80, 95) for side in ("lo", "hi")),
    ]
    np.testing.assert_allclose(table["banded-hi-80"] - table["banded"], 0.8, rtol=1e-4)
    np.testing.assert_allclose(table["banded"] - table["banded-lo-95"], 0.95, rtol=1e-4)


def test_a_series_too_short_for_the_first_window_is_in_the_later_ones(
    frame: pl.DataFrame, module: Module
) -> None:
    new = frame.filter(pl.col("shop") == "east").head(10).with_columns(shop=pl.lit("new"))
    data = module(pl.concat([frame, new]))
    found = backtest({"naive": NaiveForecaster(**SIZES)}, data, windows=2)
    assert [window.judged.tolist() for window in found.windows] == [[True, True, False], [True, True, True]]
    assert [window.forecasts.windows for window in found.windows] == [2, 3]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"windows": 0}, DataError, "windows: expected a whole number of at least 1, got 0"),
        ({"windows": 2, "step_size": 0}, DataError, "step_size: expected a whole number of at least 1"),
        ({"windows": 40}, DataError, "need 241 steps, the longest series has 200; give at most 33"),
        ({"windows": 1, "refit": -1}, ValueError, "refit: expected True, False or a number of windows"),
        ({"windows": 1, "level": [0.8]}, ValueError, "write 80 for 0.8"),
        ({"windows": 1, "models": {}}, ValueError, "models: expected at least one"),
    ],
)
def test_what_is_refused(options: Any, error: type[Exception], message: str, data: CSVDataModule) -> None:
    options = {"models": {"naive": NaiveForecaster(**SIZES)}, **options}
    with pytest.raises(error, match=message):
        backtest(options.pop("models"), data, **options)


def test_a_model_named_as_a_column_is_refused(data: CSVDataModule) -> None:
    with pytest.raises(ValueError, match="two columns 'y'"):
        backtest({"y": NaiveForecaster(**SIZES)}, data, windows=1)
