"""The benchmark on real series, cut short: what the whole of it shows is in benchmarks/."""

import dataclasses
import importlib.util
import sys
import warnings
from pathlib import Path

import pytest
import torch
from rich.console import Console

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "real_data.py"


@pytest.fixture(scope="module")
def benchmark_script():
    spec = importlib.util.spec_from_file_location("real_data_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def rows_of(script, series, path):
    warnings.filterwarnings("ignore", module="lightning")
    rows = script.evaluate(series, path.parent, [0], Console(quiet=True))
    return {row["model"]: row for row in rows}


def test_air_passengers(benchmark_script, real_data):
    series = dataclasses.replace(benchmark_script.SERIES["air"], epochs=80)
    rows = rows_of(benchmark_script, series, real_data(series.file))
    assert rows["naive"]["windows"] == 18
    # The seasonal naive forecast by hand: the year before, over all 12-month windows of the last 29 months.
    values = torch.tensor(
        [float(line.split(",")[1]) for line in real_data(series.file).read_text().split()[1:]]
    )
    errors = torch.stack([(values[at : at + 12] - values[at - 12 : at]).abs() for at in range(115, 133)])
    scale = (values[12:101] - values[:89]).abs().mean()
    seasonal = rows["seasonal naive, period 12"]
    assert seasonal["mae"] == pytest.approx(errors.mean().item(), rel=1e-5)
    assert seasonal["mase"] == pytest.approx((errors.mean() / scale).item(), rel=1e-4)
    assert rows["linear, least squares"]["mase"] < seasonal["mase"]
    assert rows["peephole LSTM, seed 0"]["mase"] < seasonal["mase"]


def test_milk_with_missing_months(benchmark_script, real_data):
    series = dataclasses.replace(benchmark_script.SERIES["milk"], epochs=30)
    rows = rows_of(benchmark_script, series, real_data(series.file))
    assert rows["peephole LSTM, seed 0"]["mase"] < rows["naive"]["mase"]
    report = benchmark_script.markdown(series, list(rows.values()))
    assert "MASE with period 12" in report
    assert all(f"| {name} |" in report for name in rows)


def test_oil_temperature(benchmark_script, real_data):
    """A tenth of the benchmark's training is enough to come below the seasonal naive forecast."""
    series = dataclasses.replace(benchmark_script.SERIES["etth1"], epochs=1, batches=50, target_col="OT")
    rows = rows_of(benchmark_script, series, real_data(series.file))
    seasonal = rows["seasonal naive, period 24"]
    assert seasonal["windows"] == 3461
    assert rows["linear, least squares"]["mase"] < seasonal["mase"]
    assert rows["peephole LSTM, seed 0"]["mase"] < seasonal["mase"]
