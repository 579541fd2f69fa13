"""Build the source distribution and from it the wheel; try the wheel outside the source tree.

Run by ``make wheel-test``. The wheel goes into a virtual environment of its own that borrows its dependencies
from the environment that runs this file, so nothing is downloaded.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SMOKE_TEST = Path(__file__).with_name("installed_wheel.py")


def run(*command: str | Path, cwd: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["SEQLIGHT_BUILD"] = "1"
    print("+", *(str(part) for part in command if "\n" not in str(part)), flush=True)
    subprocess.run([str(part) for part in command], cwd=cwd, env=environment, check=True)


def build_wheel(directory: Path) -> Path:
    """sdist, then wheel from the sdist, so that a file missing from the sdist is noticed."""
    log = directory / "build.log"
    with log.open("w") as output:
        built = subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(directory), str(REPOSITORY)],
            # unoptimised: what is looked at is the packaging, and it takes a quarter of the time
            env={**os.environ, "SEQLIGHT_BUILD": "1", "CFLAGS": "-O0", "CXXFLAGS": "-O0"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    if built.returncode != 0:
        sys.exit(f"the wheel could not be built:\n{log.read_text()}")
    (wheel,) = directory.glob("*.whl")
    return wheel


def environment_with(wheel: Path, directory: Path) -> Path:
    """Python of a new virtual environment that holds the wheel and borrows all else."""
    environment = directory / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    site_packages = next(environment.glob("lib/python*/site-packages"))
    run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "-q"),
        *("--no-deps", "--no-index", "--disable-pip-version-check", wheel),
        cwd=directory,
    )
    # Behind the wheel on the path, and without its .pth files: an editable seqlight there stays out.
    (site_packages / "borrowed.pth").write_text(f"{sysconfig.get_path('platlib')}\n")
    return python


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="seqlight-wheel-") as temporary:
        directory = Path(temporary)
        wheel = build_wheel(directory)
        members = zipfile.ZipFile(wheel).namelist()
        print(f"{wheel.name}: {len(members)} files, {wheel.stat().st_size // 1024} KiB")
        python = environment_with(wheel, directory)
        elsewhere = directory / "elsewhere"
        elsewhere.mkdir()
        run(python, "-c", SMOKE_TEST.read_text(), cwd=elsewhere)
        command = python.with_name("seqlight")
        run(command, "--version", cwd=elsewhere)
        run(
            *(command, "forecast", "--demo", "--model", "lstm", "--epochs", "1", "--hidden-size", "8"),
            *("--no-progress", "-o", "forecast.csv", "--plot", "forecast.png"),
            cwd=elsewhere,
        )
        for name in ("forecast.csv", "forecast.png"):
            size = (elsewhere / name).stat().st_size
            assert size > 100, f"{name} has {size} bytes only"
    print("wheel-test: passed")


if __name__ == "__main__":
    main()
