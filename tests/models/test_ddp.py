import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import seqlight

SCRIPT = Path(__file__).with_name("ddp_script.py")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ddp")
    package = str(Path(seqlight.__file__).parent.parent)  # this one, installed or not
    search_path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    for processes in (1, 2):
        done = subprocess.run(
            [sys.executable, str(SCRIPT), str(processes), str(folder)],
            env=os.environ | {"PYTHONPATH": search_path},
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stderr
    return {
        processes: (
            torch.load(folder / f"{processes}.ckpt", weights_only=True),
            torch.load(folder / f"{processes}.pt", weights_only=True),
        )
        for processes in (1, 2)
    }


def test_two_processes_train_as_one_does_with_the_same_global_batch(results):
    one, two = results[1][0]["state_dict"], results[2][0]["state_dict"]
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-5, msg=name)


def test_two_processes_log_what_one_does(results):
    one, two = results[1][1], results[2][1]
    assert {"train_loss", "val_loss", "val_mae", "val_rmse", "val_mase", "val_smape"} <= one.keys()
    for name, value in one.items():
        assert two[name] == pytest.approx(value, rel=1e-5), name


def test_every_process_has_its_random_state_saved(results):
    first, second = results[2][0]["seqlight"]["random_states"]
    assert first.keys() == second.keys() == {"cpu"}
