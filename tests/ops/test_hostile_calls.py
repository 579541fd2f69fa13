"""No argument of a private op can crash it, hang it or lead it past a buffer: right results or an exception.

The calls are made from valid ones (hostile_bases.py) by replacing one argument after another
(hostile_calls.py), in processes of their own, so that a crash fails the test with the name of its call.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

PROGRAM = Path(__file__).with_name("hostile_calls.py")
# Together in one process, so that the groups take about as long.
GROUPS = {
    "lstm": ("lstm_forward", "lstm_backward", "lstm_pack", "lstm_step"),
    "gru and rnn": tuple(
        f"{cell}_{op}" for cell in ("gru", "rnn") for op in ("forward", "backward", "pack", "step")
    ),
    "convolution": ("causal_conv1d_forward", "causal_conv1d_backward", "sigmoid", "tanh"),
    "wavenet": ("wavenet_layer_forward", "wavenet_layer_backward", "wavenet_generate"),
}
# Crashes after which the rest of the calls is still tried.
MOST_CRASHES = 10


def run(first: int, ops: tuple[str, ...]) -> tuple[int, list[str]]:
    """Run the program from one case on; give its exit code and what it wrote."""
    result = subprocess.run(
        [sys.executable, str(PROGRAM), str(first), *ops],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    return result.returncode, result.stdout.splitlines()


def failures(ops: tuple[str, ...]) -> tuple[int, list[str]]:
    """Run all cases of the ops; give how many there were, and what was wrong with which."""
    first, wrong = 0, []
    for _ in range(MOST_CRASHES):
        code, lines = run(first, ops)
        last = ""
        for line in lines:
            if line.startswith("wrong\t"):
                wrong.append(f"{last}: {line.removeprefix('wrong	')}")
            elif line != "end":
                number, last = line.split("\t", 1)
                first = int(number)
        if lines and lines[-1] == "end":
            return first, wrong
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        wrong.append(f"{last or 'before the first call'}: {'took too long' if name == 'SIGALRM' else name}")
        if not last:
            break
    return first, wrong


def test_every_op_is_in_the_table(native: ModuleType) -> None:
    registered = {
        name.removeprefix("seqlight::").split(".")[0]
        for name in torch._C._dispatch_get_all_op_names()
        if name.startswith("seqlight::")
    }
    code, lines = run(0, ())
    assert code == 0
    bases = {line.split("\t")[1] for line in lines if line != "end"}
    grouped = [op for ops in GROUPS.values() for op in ops]
    assert registered == bases == set(grouped), "add the new op to hostile_bases.py, and to a group here"
    assert len(grouped) == len(set(grouped))


@pytest.mark.parametrize("group", GROUPS)
def test_hostile_calls(native: ModuleType, group: str) -> None:
    count, wrong = failures(GROUPS[group])
    assert not wrong, f"{len(wrong)} of {count} calls:\n" + "\n".join(wrong[:40])
    assert count > 1000


def test_a_crash_is_told_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests above would say of a call that reads past a guarded buffer, and of one that hangs."""
    program = tmp_path / "program.py"
    program.write_text(
        f"""import sys, time, signal
sys.path.insert(0, {str(PROGRAM.parent)!r})
import torch
from guarded_memory import guarded
first = int(sys.argv[1])
numbers = torch.arange(8.0)
def end(tensor, offset):
    import ctypes
    return ctypes.c_float.from_address(tensor.data_ptr() + offset).value
calls = [
    lambda: end(guarded(numbers, at_end=True), 28),
    lambda: end(guarded(numbers, at_end=True), 32),
    lambda: end(guarded(numbers, at_end=False), 0),
    lambda: end(guarded(numbers, at_end=False), -4),
    lambda: time.sleep(60),
]
signal.signal(signal.SIGALRM, signal.SIG_DFL)
for number, call in enumerate(calls, 1):
    if number > first:
        print(f"{{number}}\\tcall {{number}}", flush=True)
        signal.setitimer(signal.ITIMER_REAL, 1)
        call()
        signal.setitimer(signal.ITIMER_REAL, 0)
print("end")
"""
    )
    monkeypatch.setattr(sys.modules[__name__], "PROGRAM", program)
    count, wrong = failures(())
    assert count == 5
    assert wrong == ["call 2: SIGSEGV", "call 4: SIGSEGV", "call 5: took too long"]
