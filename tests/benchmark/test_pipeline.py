"""``benchmarks/pipeline.py`` on a small file, in this process: every row of its page is there."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "pipeline.py"


@pytest.mark.filterwarnings("ignore")  # Lightning's advice on short trainings
def test_the_page_has_every_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("pipeline", PROGRAM)
    assert spec is not None and spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    for name, size in {"CONTEXT": 12, "HORIZON": 4, "BATCH": 8, "HIDDEN": 4}.items():
        monkeypatch.setattr(program, name, size)
    monkeypatch.setenv("SEQLIGHT_CACHE", "off")  # put back after the program has set it

    def in_this_process(part: str, clock: str, *arguments: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["pipeline.py", "--part", part, "--clock", clock, *arguments])
        program.main()
        return json.loads(capsys.readouterr().out.strip().splitlines()[-1])

    monkeypatch.setattr(program, "alone", in_this_process)
    page = tmp_path / "pipeline.md"
    small = ["--rows", "2000", "--series", "4", "--repeat", "1"]
    monkeypatch.setattr(sys, "argv", ["pipeline.py", *small, "--output", str(page)])
    program.main()
    text = page.read_text()
    rows = dict(re.findall(r"^\| ([^|]+) \| ([0-9.e-]+)", text, re.MULTILINE))
    assert {"read_csv", "bare", "seqlight", "seqlight, from its cache"} <= rows.keys()
    for strategy in ("direct", "every_step"):
        assert {f"{strategy}, {kind}" for kind in ("none", "past", "future")} <= rows.keys()
    assert float(rows["seqlight"]) > 0 == float(rows["seqlight, from its cache"])
    assert re.search(r"takes [0-9.]+ .* times that of `polars.read_csv`", text)
    assert re.search(r"to the beginning of the next: [0-9.]+", text)
