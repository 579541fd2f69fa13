"""Short series are weighed at several origins, by members that know nothing of what came after."""

import numpy as np
import polars as pl
import pytest
import torch

from seqlight.data import CSVDataModule
from seqlight.evaluation import WindowForecasts
from seqlight.experiments import TrainingError, portfolio
from seqlight.experiments.candidates import Candidate
from seqlight.experiments.ensemble_weights import ScoredCells, combined, weights_of_origins
from seqlight.experiments.member_training import Making
from seqlight.experiments.members import simple_members
from seqlight.experiments.origins import origins_of, windows_at_origins
from seqlight.experiments.weighing import weigh
from seqlight.models import NaiveForecaster

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
MONTHS = 120


def monthly(values: np.ndarray, **options: object) -> CSVDataModule:
    times = np.datetime64("2010-01", "M") + np.arange(len(values))
    frame = pl.DataFrame({"time": times.astype("datetime64[us]"), "y": values})
    sizes = {"context_length": 24, "prediction_length": 12, "val_size": 12, "test_size": 12}
    data = CSVDataModule(frame, time_col="time", target_cols="y", **sizes | options)
    data.setup("fit")
    return data


def values_of() -> np.ndarray:
    draw = np.random.default_rng(0)
    month = np.arange(MONTHS)
    return 100 + 0.3 * month + 10 * np.sin(2 * np.pi * month / 12) + draw.normal(0, 2, MONTHS)


def at_origins(
    members: list[Candidate], data: CSVDataModule, made: Making | None = None
) -> list[WindowForecasts]:
    return windows_at_origins(
        members, origins_of(data), made or Making(), seconds=60, tell=lambda number: None
    )


def test_origins_lie_one_validation_part_apart_and_leave_enough_to_train_on():
    data = monthly(values_of())
    found = origins_of(data)
    assert [(int(one.split.train_stop[0]), int(one.split.val_stop[0])) for one in found] == [
        (96, 108),
        (84, 96),
        (72, 84),
        (60, 72),
    ]
    assert found[0].split.train_stop == data.split.train_stop
    assert len(origins_of(monthly(values_of()[:84]))) == 3  # of 60 steps of training 36 stay, not 24
    assert origins_of(monthly(values_of(), prediction_length=3, val_size=12)) == []  # four horizons


def test_nothing_after_an_origin_is_known_there():
    """The forecasts from an origin stay, whatever came after it."""
    values = values_of()
    changed = values.copy()
    changed[84:] += 50
    points = []
    for some in (values, changed):
        data = monthly(some)
        members = list(simple_members(data, smoothing_seconds=0.0, notes=[]))
        windows = windows_at_origins(
            members, origins_of(data), Making(), seconds=60, tell=lambda number: None
        )
        points.append([torch.stack([one.point for one in part.forecasts.values()]) for part in windows])
    for origin in (1, 2, 3):  # what followed the origin 84 is judged, not known
        assert torch.equal(points[0][origin], points[1][origin])
    assert not torch.equal(points[0][0], points[1][0])


def test_a_short_series_is_weighed_at_four_origins():
    data = monthly(values_of())
    told = []
    found = portfolio(data, names=[], on_progress=lambda title, done: told.append((title, round(done, 3))))
    assert found.origins == 4 and found.validation.windows == 4
    assert told[-2:] == [("earlier origins", 0.8), ("weights", 1.0)]
    rows = {row["model"]: row["mase"] for row in found.validation.rows}
    for name, error in found.errors.items():
        assert error == pytest.approx(rows[name], rel=1e-4)
    assert found.errors[found.best.name] == min(found.errors.values())


def test_a_member_that_cannot_be_made_at_an_origin_has_no_weight():
    data = monthly(values_of())

    def fails(more: object, max_time: float | None) -> Candidate:
        raise TrainingError("the loss is nan", "epoch 0, step 1")

    members = list(simple_members(data, smoothing_seconds=0.0, notes=[]))
    made_once = Candidate("made once", members[-1].predictor, again=fails)
    windows = at_origins([*members, made_once], data)
    assert len(windows) == 4
    weighed = weigh([*members, made_once], data, {}, windows)
    assert weighed.weights["made once"] == 0.0
    assert sum(weighed.weights.values()) == pytest.approx(1)


def test_an_interrupt_leaves_the_origins_that_are_done():
    data = monthly(values_of())
    sizes = {"context_length": 24, "prediction_length": 12}
    calls = []

    def again(more: object, max_time: float | None) -> Candidate:
        calls.append(more)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return Candidate("it", NaiveForecaster(**sizes))

    made = Making()
    member = Candidate("it", NaiveForecaster(**sizes), again=again)
    windows = at_origins([member], data, made)
    assert len(windows) == 2 and made.interrupted


def test_half_of_the_weights_are_of_the_latest_origin_unless_that_is_worse():
    target = torch.zeros(4, 1, 1)
    cells = ScoredCells(target, torch.ones_like(target).bool(), torch.ones(4, 1))
    unusable = torch.full((4,), torch.nan)

    def found(*each: list[float]) -> list[float]:
        preds = torch.stack([*(torch.tensor(one) for one in each), unusable])[..., None, None]
        weights = weights_of_origins(preds, cells, 1)
        best = min(float(cells.sums(one).sum()) for one in preds[:-1])
        assert float(cells.sums(combined(preds, weights)).sum()) <= best
        return weights.tolist()

    # All windows: half of each; the latest, which is the first: one part to two.
    expected = [(1 / 2 + 1 / 3) / 2, (1 / 2 + 2 / 3) / 2, 0.0]
    assert found([1.0, -1.0, 1.0, -1.0], [-0.5, 1.0, -1.0, 1.0]) == pytest.approx(expected)
    # All windows: the first, with an error of 1; every share of the second, the best in the latest, is worse.
    assert found([1.0, 0.0, 0.0, 0.0], [0.0, 0.4, 0.4, 0.4]) == [1.0, 0.0, 0.0]
