"""Series for experiments: two shops, hours of a season, a promotion that is known ahead, a text column."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from seqlight.data import CSVDataModule

HOURS = {"east": 200, "west": 170}
SIZES = {"context_length": 24, "prediction_length": 6}


def shops(seed: int = 0) -> pl.DataFrame:
    """Columns ``shop, ds, y, promo, kind``; one cell missing; the last 6 rows of each have no target."""
    rng = np.random.default_rng(seed)
    frames = []
    for shop, hours in HOURS.items():
        step = np.arange(hours + 6)
        promo = rng.uniform(0, 1, len(step)).round(2)
        y = 50 + 10 * np.sin(2 * np.pi * step / 24) + 5 * promo + rng.normal(0, 1, len(step))
        y[30] = np.nan
        y[hours:] = np.nan
        frames.append(
            pl.DataFrame(
                {
                    "shop": [shop] * len(step),
                    "ds": np.datetime64("2024-01-01", "us") + step * np.timedelta64(1, "h"),
                    "y": y,
                    "promo": promo,
                    "kind": np.array(["a", "b", "c"])[rng.integers(0, 3, len(step))],
                },
                nan_to_null=True,
            )
        )
    return pl.concat(frames)


def made(frame: pl.DataFrame, **options: object) -> CSVDataModule:
    """Return the shops' DataModule, set up to fit."""
    settings = {
        "time_col": "ds",
        "target_cols": "y",
        "id_col": "shop",
        "future_covariate_cols": ["promo", "kind"],
        "calendar_features": ["hour"],
        "missing": "mask",
        "origin": "own",
        **SIZES,
    }
    data = CSVDataModule(frame, **settings | options)  # type: ignore[arg-type]
    data.setup("fit")
    return data


@pytest.fixture(scope="session")
def frame() -> pl.DataFrame:
    return shops()


@pytest.fixture(scope="session")
def module() -> Callable[..., CSVDataModule]:
    """``module(frame, **options)``: a DataModule of such a frame, set up to fit."""
    return made


@pytest.fixture
def data(frame: pl.DataFrame) -> CSVDataModule:
    return made(frame)
