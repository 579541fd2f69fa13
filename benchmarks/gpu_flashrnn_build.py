"""Has FlashRNN make its kernels for all sizes that are measured, several at a time: gpu_flashrnn_build.py.

With --only BACKEND CASE one of them is made, in this process. Those that fail or take too long are named, and
the measurements do without them.
"""

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import torch
from gpu_flashrnn import BACKENDS, CASES, make_runner, unfit
from gpu_flashrnn_kernels import build_environment, recorded
from gpu_speed import moved_problem

from seqlight.benchmark.recurrent_case import RecurrentCase
from seqlight.benchmark.recurrent_families import LSTM_FAMILY

PROCESSES = max(1, (os.cpu_count() or 2) // 2)  # each compiles two files at a time


def make(backend: str, case: RecurrentCase) -> None:
    """Make and try the kernels of one size, forward and backward."""
    problem = moved_problem(LSTM_FAMILY.make_problem(case, 0), torch.device("cuda"), torch.bfloat16)
    x = problem.x.requires_grad_()
    with recorded(backend, case):
        runner = make_runner(problem, backend)
        torch.autograd.grad(runner.forward(x), [x, *runner.weights.values()], problem.grad_output)
        torch.cuda.synchronize()


def make_all(seconds: float) -> str:
    """Make all, in processes of their own; say how many there are."""
    deadline = time.monotonic() + seconds
    environment = {**os.environ, **build_environment()}

    def made(job: tuple[str, RecurrentCase]) -> bool:
        backend, case = job
        command = [sys.executable, __file__, "--only", backend, case.label]
        begin = time.monotonic()
        try:
            process = subprocess.run(
                command,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=max(deadline - begin, 0.1),
            )
        except subprocess.TimeoutExpired:
            print(f"{backend} {case.label}: the time is up", flush=True)
            return False
        if process.returncode:
            # the compiler's messages, which are long, are on the one, Python's on the other
            print(process.stdout[-2000:], process.stderr[-2000:], sep="\n")
        ended = f"exit code {process.returncode}" if process.returncode else "made"
        print(f"{backend} {case.label}: {ended}, {time.monotonic() - begin:.0f} s", flush=True)
        return not process.returncode

    jobs = [
        (backend, case)
        for backend in BACKENDS
        for case in CASES
        if unfit(case, "training", backend=backend) is None
    ]
    with ThreadPoolExecutor(PROCESSES) as threads:
        count = sum(threads.map(made, jobs))
    return f"FlashRNN made {count} of {len(jobs)} kernels"


def main() -> None:
    """Make one or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs=2, metavar=("BACKEND", "CASE"), help="as 'cuda_fused 16,1024,64,64'")
    parser.add_argument("--seconds", type=float, default=150.0, help="for all of them")
    options = parser.parse_args()
    if options.only:
        make(options.only[0], RecurrentCase.parse(options.only[1]))
    else:
        print(make_all(options.seconds))


if __name__ == "__main__":
    main()
