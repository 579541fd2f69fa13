"""``--holidays``: known ahead, or refused with the line that says why."""

import sys
from pathlib import Path

import pytest

from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.arguments import parse
from seqlight.cli.forecast.job import build_data
from seqlight.cli.forecast.plan import ForecastPlan, plan
from seqlight.data.time import calendar_features

pytest.importorskip("holidays", reason="public holidays need the package holidays")
COLUMNS = ["--time", "ds", "--target", "y"]


def planned(path: Path, *options: str) -> tuple[ForecastPlan, object]:
    given = parse([str(path), *COLUMNS, *options])
    settled = plan(given)
    return settled, build_data(given, 0, settled)


@pytest.fixture
def days(tmp_path: Path) -> Path:
    path = tmp_path / "days.csv"
    rows = "".join(f"2023-{month:02d}-{day:02d},{day}\n" for month in (10, 11, 12) for day in range(1, 25))
    path.write_text("ds,y\n" + rows)
    return path


def test_they_are_covariates_known_ahead(days: Path) -> None:
    options = ("--horizon", "2", "--frequency", "1d")
    settled, data = planned(days, *options, "--holidays", "DE", "--holidays", "US-CA", "--holidays", "DE")
    assert settled.calendar_features[-2:] == ["holidays:DE", "holidays:US-CA"]
    batch = next(iter(data.predict_dataloader()))
    # 25 and 26 December are holidays in Germany, 25 in California; and so is the day after the 25th.
    assert batch["future_covariates"][0, :, -4:].tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]


@pytest.mark.parametrize(("code", "said"), [("XX", "Country XX"), ("DE-XX", "subdivision XX")])
def test_unknown_codes(code: str, said: str, days: Path) -> None:
    with pytest.raises(CommandError, match=f"--holidays: expected the ISO code of a country.*{said}"):
        planned(days, "--holidays", code)


def test_steps_of_more_than_a_day(tmp_path: Path) -> None:
    path = tmp_path / "quarters.csv"
    path.write_text("ds,y\n" + "".join(f"{1990 + n // 4}Q{n % 4 + 1},{n}\n" for n in range(60)))
    with pytest.raises(CommandError, match="--holidays: a holiday says something of steps of a day or less"):
        planned(path, "--holidays", "DE")


def test_where_the_package_is_absent(days: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calendar_features._holidays.cache_clear()
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(CommandError, match=r"--holidays: 'DE' needs .* pip install 'seqlight\[holidays\]'"):
        planned(days, "--holidays", "DE")
