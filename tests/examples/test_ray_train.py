"""examples/ray_train.py with two local workers, where ray is installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_two_workers_train_on_one_store(tmp_path: Path) -> None:
    pytest.importorskip("ray.train", reason="ray is not installed")
    folders = [str(EXAMPLES.parent), os.environ.get("PYTHONPATH")]
    environment = os.environ | {
        "SEQLIGHT_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join(filter(None, folders)),
    }
    options = ["--workers", "2", "--epochs", "1", "--folder", tmp_path / "results"]
    done = subprocess.run(
        [sys.executable, EXAMPLES / "ray_train.py", *options],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "results" / "metrics.json").read_text())
    assert found["workers"] == 2 and found["store"] == "memmap"
    assert found["windows of this worker"] == -(-found["windows"] // 2)
    assert 0 < found["val_mase"] < 10
    assert len(list((tmp_path / "cache").rglob("values.npy"))) == 1
    checkpoint = torch.load(tmp_path / "results" / "model.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 1 or checkpoint["global_step"] > 0
