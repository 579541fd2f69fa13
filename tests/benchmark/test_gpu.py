"""``make gpu`` where there is no GPU: what it says, its parts, its table, and measurements on the CPU."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from seqlight import _extension
from seqlight.benchmark.convolution import GATED_FAMILY, ConvCase
from seqlight.benchmark.generation import GENERATION_FAMILY, GenerationCase
from seqlight.benchmark.recurrent_case import parse_cases
from seqlight.benchmark.recurrent_families import GRU_FAMILY, LAYER_NORM_LSTM_FAMILY

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FOLDER / "gpu.py"), *arguments],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_gpu_it_says_so_and_does_nothing(tmp_path: Path) -> None:
    ended = run(str(tmp_path / "results"))
    assert ended.returncode == 2
    assert "torch finds no CUDA device here; nothing was built, tested or measured" in ended.stderr
    assert not list(tmp_path.iterdir())


def test_the_folder_must_be_named() -> None:
    ended = run()
    assert ended.returncode == 2 and "the following arguments are required: folder" in ended.stderr


def test_its_parts(program: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = program("gpu")
    monkeypatch.setenv("PYTHONPATH", "site")
    parts = gpu.make_parts(tmp_path, "9.0", build=True)
    assert [part.name for part in parts] == [
        *("build", "flashrnn", "tests", "memcheck", "racecheck", "speed")
    ]
    assert parts[0].environment["SEQLIGHT_CUDA"] == "1"
    assert parts[2].environment["SEQLIGHT_REQUIRE_CUDA"] == "1"
    assert parts[2].environment["PYTHONPATH"] == os.pathsep.join([str(gpu.REPOSITORY), "site"])
    assert parts[1].optional and parts[1].beside and parts[-1].alone
    assert all((gpu.REPOSITORY / path).exists() for path in (*gpu.TESTS, *gpu.MODULE_TESTS))
    assert gpu.make_parts(tmp_path, "9.0", build=False) == parts[1:]
    monkeypatch.setattr(gpu, "sanitizer", lambda: None)
    of_tool = gpu.make_parts(tmp_path, "9.0", build=False)[2:4]
    assert all(part.optional and "compute-sanitizer" in part.obstacle for part in of_tool)
    assert gpu.missing("json", "no_such_module") == "not installed here: no_such_module"


def test_parts_run_in_turn_and_each_has_its_time(program: Any, tmp_path: Path) -> None:
    gpu_parts, gpu = program("gpu_parts"), program("gpu")

    def part(name: str, code: str, limit: float = 20.0, **options: Any) -> Any:
        return gpu_parts.Part(name, [sys.executable, "-c", code], limit, **options)

    begin = time.monotonic()
    outcomes = gpu_parts.run_parts(
        [
            part("wrong", "print('what is wrong'); raise SystemExit(3)"),
            part("slow", "import time; time.sleep(60)", limit=0.5),
            part("right", "import os; print(os.environ['WORD'])", environment={"WORD": "done"}),
            part("absent", "", obstacle="no such tool", optional=True),
            part("needed", "", obstacle="no such module"),
        ],
        tmp_path,
        total=60.0,
    )
    assert time.monotonic() - begin < 50
    assert [each.status for each in outcomes] == ["failed", "out of time", "passed", "left out", "failed"]
    assert [each.failed for each in outcomes] == [True, True, False, False, True]
    assert outcomes[2].detail == "done"
    assert (tmp_path / "wrong.log").read_text() == "what is wrong\n"
    marks = [tmp_path / "mark", tmp_path / "other mark"]
    wait = "import pathlib, sys, time\nwhile not pathlib.Path({!r}).exists(): time.sleep(0.01)"
    sides = [
        part("side", wait.format(str(marks[0])) + f"\npathlib.Path({str(marks[1])!r}).touch()", beside=True),
        part("main", f"import pathlib; pathlib.Path({str(marks[0])!r}).touch()"),
        part("last", f"import pathlib; assert pathlib.Path({str(marks[1])!r}).exists()", alone=True),
    ]
    ended = gpu_parts.run_parts(sides, tmp_path, total=60.0)
    assert [(each.name, each.status) for each in ended] == [
        (name, "passed") for name in ("main", "side", "last")
    ]
    late = gpu_parts.run_parts([part("late", "print()")], tmp_path, total=0.0)
    assert late[0].status == "out of time"
    gpu.summarise(outcomes, tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text())[0]["status"] == "failed"
    assert "- absent: left out, 0 s. no such tool" in (tmp_path / "speed.md").read_text()


def test_the_table(program: Any) -> None:
    table = program("gpu_table")
    row = ("LSTM", "32,50,1,20", "float32", "training")
    figures = [
        table.Figure(*row, "seqlight", True, False, 0.5, 0.125, True, 1e-7),
        table.Figure(*row, "torch.nn.LSTM", False, True, 1.0, 0.125, False, 2e-7, "not captured"),
        table.Figure(*row, "torch.compile", False, False, remark="a|b"),
    ]
    lines = table.markdown(figures, {"torch": "2.11"}).splitlines()
    assert "- torch: 2.11" in lines
    begin = "| LSTM | 32,50,1,20 | float32 | training | "
    assert lines[-3] == begin + "**seqlight** | 0.5 | 2.00 | 0.125 | 25% | yes | 1e-07 |  |"
    assert lines[-2] == begin + "torch.nn.LSTM | 1 | 1.00 | 0.125 | 12% |  | 2e-07 | not captured |"
    assert lines[-1] == begin + "torch.compile |  |  |  |  |  |  | a/b |"
    assert table.as_json(figures)[0]["milliseconds"] == 0.5


@pytest.mark.filterwarnings("ignore:.*oneDNN:UserWarning")
def test_measurements_on_the_cpu(program: Any) -> None:
    speed, timing = program("gpu_speed"), program("gpu_timing")
    cpu = torch.device("cpu")
    ceilings = timing.Ceilings(cpu, size=64, bytes_copied=2**16)
    plan = [
        *speed.rows_of(LAYER_NORM_LSTM_FAMILY, parse_cases("2,3,4,5"), "float32", "bfloat16"),
        *speed.rows_of(GRU_FAMILY, parse_cases("2,3,4,5"), "tf32", modes="training"),
        *speed.rows_of(GATED_FAMILY, [ConvCase(2, 9, 3)], "float32", modes="training"),
        *speed.rows_of(GENERATION_FAMILY, [GenerationCase(2, 4, 1, 2)], "float32"),
    ]
    figures = speed.measure(plan, cpu, ceilings, seconds=60.0, compiling=False)
    assert {figure.row for figure in figures} == {
        (row.family.name, row.case.label, row.dtype, row.mode) for row in plan
    }
    untimed = [(figure.row, figure.name, figure.remark) for figure in figures if figure.milliseconds is None]
    assert not untimed
    assert all(figure.floor > 0 and figure.error < speed.TOLERANCE[figure.dtype] for figure in figures)
    assert sum(figure.ours for figure in figures) >= len(plan)
    assert sum(figure.baseline for figure in figures) == len(plan)
    late = speed.measure(plan, cpu, ceilings, seconds=-1.0, compiling=False)
    assert all(figure.remark == "not measured: the time is up" for figure in late)
    assert torch.get_default_dtype() == torch.float32


def test_the_small_case_calls_every_operator(program: Any) -> None:
    assert _extension.extension is not None
    before = _extension.extension.call_counts()
    program("gpu_small_case").main("cpu")
    after = _extension.extension.call_counts()
    called = {name.removesuffix(".float32") for name in after if after[name] > before.get(name, 0)}
    layers = ("lstm", "gru", "rnn", "causal_conv1d", "wavenet_layer")
    assert called >= {f"{op}_{way}" for op in layers for way in ("forward", "backward")} | {
        "wavenet_generate"
    }


def test_the_floor_is_the_larger_of_both(program: Any) -> None:
    ceilings = program("gpu_timing").Ceilings(torch.device("cpu"), size=8, bytes_copied=2**12)
    ceilings.operations["float32"], ceilings.bandwidth = 1e12, 1e9
    assert ceilings.floor_milliseconds("float32", 4e9, 1e6) == pytest.approx(4.0)
    assert ceilings.floor_milliseconds("float32", 1e9, 3e6) == pytest.approx(3.0)
