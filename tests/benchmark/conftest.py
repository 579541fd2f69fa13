"""Fixtures of the benchmark tests."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from seqlight.benchmark import suite
from seqlight.benchmark.results import Report, Results
from seqlight.benchmark.timing import Schedule

GPU_PROGRAMS = Path(__file__).resolve().parents[2] / "benchmarks"
BRIEF = Schedule(rounds=3, min_seconds=0.0, warmup_rounds=1, sample_seconds=0.0)


def _load_toys() -> ModuleType:
    # the tests are imported by path (importlib mode), so a module beside them is too
    spec = importlib.util.spec_from_file_location("toy_family", Path(__file__).with_name("toy_family.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    """The toy family's module."""
    return _load_toys()


@pytest.fixture
def run_toys(toy, monkeypatch):
    """Rows of toy peers at one thread, in both modes, without the matrix-product check."""
    monkeypatch.setattr(suite, "matrix_product_gflops", lambda *, threads: 100.0 * threads)

    def run(*peers, **options) -> list:
        settings = suite.Settings(**{"threads": [1], "schedule": BRIEF, **options})
        return list(suite.run(toy.family(*peers), [toy.ToyCase(8)], settings))

    return run


@pytest.fixture
def results(toy, run_toys) -> Results:
    """Results with a good peer, one of ours, a wrong one and a skipped one."""
    rows = run_toys(toy.GOOD, toy.OURS, toy.FLIPPED, toy.TOO_LONG)
    machine = {
        "time": "2026-01-02T03:04:05+00:00",
        "cpu": "Toy CPU",
        "cores": 2,
        "system": "Linux",
        "python": "3.11",
        "torch": "2.13",
        "torch_cpu_capability": "AVX2",
        "onednn": True,
        "seqlight": "0.1",
        "seqlight_build": {"native": True, "cpu_isa": "avx2", "compiler": "gcc"},
        "allocator": "glibc 2.36 default",
        "flush_denormal": False,
        "load_average": [0.5, 0.5, 0.5],
    }
    settings = {"warmup_rounds": 1, "tolerance": 1e-5}
    return Results("toy", ["toy", "--quick"], [Report(machine, settings, rows)])


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``program("gpu_table")``: that file of benchmarks/, as its neighbours import it."""
    monkeypatch.syspath_prepend(GPU_PROGRAMS)

    def load(name: str) -> ModuleType:
        __import__(name)
        return sys.modules[name]

    return load
