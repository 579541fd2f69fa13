"""Two processes train as one does with the same global batch: every model, windows and chunks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import seqlight

SCRIPT = Path(__file__).with_name("ddp_script.py")
FORECASTERS = [
    "lstm",
    "rnn",
    "gru",
    "conv_gru",
    "conv_lstm",
    "wavenet",
    "tcn",
    "encoder_decoder",
    "linear",
    "segment_rnn",
    "es_rnn",
    "distribution",
    "paths",
    "tbptt",
    "stateful",
    "stateful convolution",
]
OTHERS = ["classifier", "step_classifier", "regressor", "generator", "rnn_imputer", "conv_imputer"]
CASES = FORECASTERS + OTHERS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ddp")


@pytest.fixture(scope="module")
def results(folder):
    package = str(Path(seqlight.__file__).parent.parent)  # this one, installed or not
    search_path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": search_path}
    # Another test's seed_everything sets it; Lightning seeds anew by it where it launches processes.
    environment.pop("PL_GLOBAL_SEED", None)
    for processes in (1, 2):
        done = subprocess.run(
            [sys.executable, str(SCRIPT), str(processes), str(folder)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stderr
    return {
        (case, processes): tuple(
            torch.load(folder / f"{case} {processes}.{kind}", weights_only=True) for kind in ("ckpt", "pt")
        )
        for case in CASES
        for processes in (1, 2)
    }


@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_as_one_does_with_the_same_global_batch(results, case):
    one, two = (results[case, processes][0] for processes in (1, 2))
    assert one["global_step"] == two["global_step"] > 0
    one, two = one["state_dict"], two["state_dict"]
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-5, msg=name)


@pytest.mark.parametrize("case", CASES)
def test_two_processes_log_what_one_does(results, case):
    one, two = (results[case, processes][1] for processes in (1, 2))
    logged = {"train_loss", "val_loss"}
    if case in FORECASTERS:
        logged |= {"val_mae", "val_rmse", "val_mase", "val_smape"}
    if case in ("distribution", "paths"):
        logged |= {"val_wql", "val_crps"}
    assert logged <= one.keys() == two.keys()
    for name, value in one.items():
        assert two[name] == pytest.approx(value, rel=1e-5), name


def test_two_processes_learn_one_dependence_of_the_steps(results):
    factor = results["distribution", 2][0]["state_dict"]["dependence.factor"]
    assert not torch.equal(factor, torch.eye(len(factor)))


def test_every_process_has_its_random_and_carried_state_saved(results):
    first, second = results["lstm", 2][0]["seqlight"]["random_states"]
    assert first.keys() == second.keys() == {"cpu"}
    ((whole, rows, _),) = results["tbptt", 1][0]["seqlight_carried_state"]
    shares = results["tbptt", 2][0]["seqlight_carried_state"]
    assert rows == 8
    for part in range(2):  # h and c; row r is in process r % 2
        together = torch.stack([state[part] for state, _, _ in shares], dim=2).flatten(1, 2)
        torch.testing.assert_close(together, whole[part], rtol=0, atol=1e-5)


@pytest.mark.parametrize("series", [5, 1])
def test_two_processes_evaluate_every_window_once(results, folder, series):
    one, two = (torch.load(folder / f"evaluated {series} {processes}.pt") for processes in (1, 2))
    assert {"val_loss", "val_mase", "test_mae", "test_mae_last"} <= one.keys() == two.keys()
    for name, value in one.items():
        assert two[name] == pytest.approx(value, rel=1e-5), name


@pytest.mark.parametrize("series", [5, 1])
def test_two_processes_write_one_file_in_the_order_of_one(results, folder, series):
    one, two = ((folder / f"forecast {series} {processes}.csv").read_text() for processes in (1, 2))
    assert one == two
    assert len(one.splitlines()) == 1 + series * 6
    assert [line.partition(",")[0] for line in one.splitlines()[1::6]] == [
        f"shop {number}" for number in range(series)
    ]
