import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

PROGRAM = Path(__file__).with_name("all_metrics.py")


@pytest.fixture(scope="module")
def program():
    spec = importlib.util.spec_from_file_location("all_metrics", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_two_processes_give_what_one_gives(program, tmp_path):
    run = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    alone = program.results(torch.arange(program.WINDOWS))
    half = program.results(torch.arange(program.WINDOWS)[:7])
    differ = 0
    for rank in (0, 1):
        together = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for one, several, part in zip(alone, together, half, strict=True):
            torch.testing.assert_close(several, one, equal_nan=True)
            differ += not torch.allclose(part, one, equal_nan=True)
    assert differ > len(alone)  # half of the windows give other numbers


@pytest.mark.parametrize("name", ["mae", "rmse", "smape", "mre", "mase", "rmsse", "owa"])
def test_by_step_and_by_series_are_those_alone(program, name):
    data = program.case()
    every = torch.arange(program.WINDOWS)

    def value(rows, steps=slice(None), **parts):
        metric = program.made(**parts)[name]
        cut = {
            key: cells[:, steps] if key in ("preds", "target", "other", "mask") else cells
            for key, cells in data.items()
        }
        metric.update(*program.arguments(name, cut, rows))
        return metric.compute()

    by_step = value(every, by="step", size=program.HORIZON)
    alone = torch.stack([value(every, slice(step, step + 1)) for step in range(program.HORIZON)])
    torch.testing.assert_close(by_step, alone)
    by_series = value(every, by="series", size=program.SERIES)
    alone = torch.stack([value(every[data["series"] == series]) for series in range(program.SERIES)])
    torch.testing.assert_close(by_series, alone)


def test_a_forecast_that_is_missing_is_an_error_of_its_own(program):
    # Where the truth is known and the forecast is NaN, leaving the cell out would flatter.
    data = program.case()
    data["preds"][0, 0, 0], data["mask"][0, 0, 0] = torch.nan, True
    for name in ("mae", "rmse", "smape", "mre", "mase", "rmsse", "owa"):
        metric = program.made()[name]
        metric.update(*program.arguments(name, data, torch.arange(program.WINDOWS)))
        assert metric.compute().isnan(), name
