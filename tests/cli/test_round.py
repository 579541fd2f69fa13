"""``--round``: offered where times jitter around a grid, and followed; refused where there is none."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.arguments import parse
from seqlight.cli.forecast.plan import plan
from seqlight.cli.wording import in_words_of_options
from seqlight.data import CSVDataModule, DataError

COLUMNS = ["--time", "t", "--target", "y"]
HOUR = 3600


def written(path: Path, seconds: np.ndarray) -> Path:
    times = (np.datetime64("2024-01-01T00:17:00") + seconds.astype("timedelta64[s]")).astype(str)
    path.write_text("t,y\n" + "".join(f"{time},{n}\n" for n, time in enumerate(times)))
    return path


@pytest.fixture
def jittering(tmp_path: Path) -> Path:
    """Hourly readings at about 17 minutes past, two of 200 hours without one."""
    hours = np.delete(np.arange(200), [50, 51])
    return written(tmp_path / "in.csv", hours * HOUR + np.random.default_rng(0).integers(-200, 200, 198))


def test_the_message_offers_what_works(jittering: Path) -> None:
    offer = "--round rounds them to steps of 1h, around which they lie"
    with pytest.raises(CommandError, match=offer), in_words_of_options():
        plan(parse([str(jittering), *COLUMNS]))
    settled = plan(parse([str(jittering), *COLUMNS, "--round"]))
    grid = settled.store.grid
    assert grid is not None and grid.frequency.name == "1h"
    assert len(settled.store.values) == 200 and np.isnan(settled.store.values[[50, 51]]).all()
    assert settled.begins == "the forecast begins at 2024-01-09T08:15:00"
    assert any("198 of 198 times were rounded to steps of 1h, by up to 5." in note for note in settled.notes)


def test_a_calendar_that_does_not_fit_is_no_matter_of_rounding(tmp_path: Path) -> None:
    path = written(tmp_path / "in.csv", np.arange(200) * 24 * HOUR)
    said = "of step BME, as given.* Name the right one, or leave it out"
    with pytest.raises(CommandError, match=said), in_words_of_options():
        plan(parse([str(path), *COLUMNS, "--calendar", "BME"]))
    assert len(plan(parse([str(path), *COLUMNS])).store.values) == 200


def test_the_step_may_be_given(jittering: Path) -> None:
    settled = plan(parse([str(jittering), *COLUMNS, "--round", "--frequency", "30min"]))
    assert len(settled.store.values) == 399
    with warnings.catch_warnings(), pytest.raises(DataError, match=r"round=True: .* '1mo' is none"):
        warnings.simplefilter("ignore")
        data = CSVDataModule(
            jittering,
            time_col="t",
            target_cols="y",
            round=True,
            frequency="1mo",
            context_length=5,
            prediction_length=2,
        )
        _ = data.store


def test_two_rows_of_one_step(jittering: Path) -> None:
    with pytest.raises(
        DataError, match=r"round=True: line 2 and line 3 would both be .* on a grid of 1d; name"
    ):
        plan(parse([str(jittering), *COLUMNS, "--round", "--frequency", "1d"]))


def test_times_at_random_lie_around_no_grid(tmp_path: Path) -> None:
    path = written(tmp_path / "in.csv", np.sort(np.random.default_rng(1).integers(0, 999 * HOUR, 200)))
    refusal = "--round: the times in column 't' lie around no grid"
    with pytest.raises(CommandError, match=refusal), in_words_of_options():
        plan(parse([str(path), *COLUMNS, "--round"]))
    with pytest.raises(DataError) as caught:
        plan(parse([str(path), *COLUMNS]))
    assert "round=True" not in str(caught.value)


def test_times_on_a_grid_stay(tmp_path: Path) -> None:
    path = written(tmp_path / "in.csv", np.arange(100) * HOUR)
    settled = plan(parse([str(path), *COLUMNS, "--round"]))
    assert settled.begins == "the forecast begins at 2024-01-05T04:17:00"
    assert not any("rounded" in note for note in settled.notes)


def test_the_file_of_what_is_known_ahead_is_rounded_to_the_same_grid(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    path = written(tmp_path / "in.csv", np.arange(100) * HOUR + rng.integers(-200, 200, 100))
    ahead = written(tmp_path / "ahead.csv", np.arange(98, 106) * HOUR + rng.integers(-200, 200, 8))
    ahead.write_text(ahead.read_text().replace("t,y", "t,promotion"))
    more = ["--future-covariate", "promotion", "--future", str(ahead)]
    settled = plan(parse([str(path), *COLUMNS, *more, "--round"]))
    assert settled.store.lengths.tolist() == [106]
    assert settled.begins == "the forecast begins at 2024-01-05T04:15:00"
    said = [note for note in settled.notes if "rounded to steps of 1h" in note]
    assert ["in.csv" in note for note in said] == [True, False] and "ahead.csv: 8 of 8" in said[1]
    assert settled.store.covariates.future.values[98:, 0].tolist() == list(range(8))
