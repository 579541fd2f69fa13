"""All that a GPU can tell of seqlight, in under nine minutes and without a network: gpu.py FOLDER.

Builds the extension with its CUDA kernels, runs the device tests with none skipped, measures speed
(gpu_speed.py) and runs every operator under compute-sanitizer's memcheck and racecheck where that tool is
installed. Where FlashRNN is installed, it makes its kernels meanwhile, to be measured too. Each part has a
time limit, and the next one runs where one has failed. FOLDER gets a log of each part, speed.json, speed.md
and summary.json. Exits with 1 if a part failed, with 2 if there is no GPU.
"""

import argparse
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gpu_parts import Outcome, Part, run_parts

REPOSITORY = Path(__file__).resolve().parent.parent
TOTAL_SECONDS = 530.0
#: Where tests of a GPU are: of operators and layers, and of the modules, whose data want polars.
TESTS = ("tests/ops", "tests/nn/test_devices.py")
MODULE_TESTS = ("tests/models/test_every_module.py",)
#: Several, as most tests wait for launches, and an illegal access spoils its whole process.
TEST_PROCESSES = 8


def missing(*modules: str) -> str | None:
    """Name those that are not installed."""
    absent = [module for module in modules if importlib.util.find_spec(module) is None]
    return f"not installed here: {', '.join(absent)}" if absent else None


def sanitizer() -> str | None:
    """The path of compute-sanitizer, if there is one."""
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    return shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path=f"{home}/bin")


def make_parts(folder: Path, architecture: str, *, build: bool) -> list[Part]:
    """The parts, in their order; `architecture` is the device's, "9.0"."""
    python = sys.executable
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        "PYTHONPATH": os.pathsep.join(paths),
        "SEQLIGHT_REQUIRE_CUDA": "1",
        "PYTHONUNBUFFERED": "1",
    }
    tests = [*TESTS, *(() if missing("polars") else MODULE_TESTS)]
    in_processes = [] if missing("xdist") else ["-n", str(TEST_PROCESSES), "--dist", "worksteal"]
    tool = sanitizer()
    no_tool = None if tool else "there is no compute-sanitizer on this machine"
    building = {"SEQLIGHT_BUILD": "1", "SEQLIGHT_CUDA": "1", "TORCH_CUDA_ARCH_LIST": architecture}
    parts = [
        Part(
            "build",
            [python, "setup.py", "-q", "build_ext", "--inplace"],
            200,
            building,
            obstacle=missing("setuptools"),
        ),
        Part(
            "flashrnn",
            [python, "benchmarks/gpu_flashrnn_build.py", "--seconds", "150"],
            170,
            environment,
            obstacle=missing("flashrnn"),
            optional=True,
            beside=True,
        ),
        Part(
            "tests",
            # -v: the names are in the log if the time is up
            [python, "-m", "pytest", "-v", "-m", "gpu", *in_processes, *tests],
            200,
            environment,
            obstacle=missing("pytest", "hypothesis", "lightning"),
        ),
        *(
            Part(
                name,
                [str(tool), "--tool", name, *options, python, "benchmarks/gpu_small_case.py"],
                70,
                environment,
                obstacle=no_tool,
                optional=True,
            )
            for name, options in (
                # torch asks for things that a driver may lack, and copes
                ("memcheck", ("--error-exitcode", "1", "--report-api-errors", "no")),
                # our own kernels alone: the library's take long
                ("racecheck", ("--error-exitcode", "1", "--kernel-regex", "kns=for_each")),
            )
        ),
        Part(
            "speed",
            [python, "benchmarks/gpu_speed.py", str(folder), "--seconds", "150"],
            240,
            environment,
            obstacle=missing("numpy"),
            alone=True,
        ),
    ]
    return parts if build else parts[1:]


def summarise(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write summary.json, and how the parts ended into the page of the figures."""
    (folder / "summary.json").write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    page = folder / "speed.md"
    lines = [f"- {each.name}: {each.status}, {each.seconds:.0f} s. {each.detail}\n" for each in outcomes]
    before = page.read_text() if page.exists() else "# Speed on a GPU\n\nNot measured.\n"
    page.write_text(before + "\n## Parts of this run\n\n" + "".join(lines))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts; give the exit code."""
    parser = argparse.ArgumentParser(prog="gpu.py", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where results and logs go; made if it is not there")
    parser.add_argument("--no-build", action="store_true", help="take the extension as it is")
    options = parser.parse_args(arguments)
    import torch  # after the arguments: it takes seconds

    if not torch.cuda.is_available():
        print(
            "gpu.py: torch finds no CUDA device here; nothing was built, tested or measured", file=sys.stderr
        )
        return 2
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(REPOSITORY)
    if missing("polars"):
        print(f"{', '.join(MODULE_TESTS)} is left out; {missing('polars')}")
    major, minor = torch.cuda.get_device_capability()
    parts = make_parts(folder, f"{major}.{minor}", build=not options.no_build)
    outcomes = run_parts(parts, folder, total=TOTAL_SECONDS)
    summarise(outcomes, folder)
    return int(any(outcome.failed for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
