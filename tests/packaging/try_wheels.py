"""Install a wheel for each Python and torch, and use it where no compiler is to be found.

Run by ``make wheels``. It needs nothing but the standard library, so any Python can run it for itself. For
each pair it makes a virtual environment, installs torch and the wheel with all that they require, takes every
other program off the path, compares the kernels of each instruction set with torch's layers, and forecasts
the CSV that comes along. Where the package index has only CUDA builds of torch, an environment takes
several gigabytes; it is removed before the next is made.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHONS = [f"python3.{minor}" for minor in range(11, 15)]
CPU_ISAS = ("base", "avx2", "avx512")
#: What torch requires besides Python packages: CUDA's libraries and the compiler for its kernels.
OF_CUDA = re.compile(r"(nvidia|cuda|triton)", re.IGNORECASE)


class Environment:
    """A virtual environment, and commands run in it without any other program on the path."""

    def __init__(self, python: str, folder: Path) -> None:
        self.folder = folder / "environment"
        subprocess.run([python, "-m", "venv", str(self.folder)], check=True)
        self.python = self.folder / "bin" / "python"
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()
        self.site_packages = next(self.folder.glob("lib/python*/site-packages"))

    def run(self, *command: str | Path, **variables: str) -> str:
        """Give what the command prints; stop where it fails."""
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        environment |= {"PATH": str(self.folder / "bin"), **variables}
        for compiler in ("cc", "gcc", "c++", "g++", "clang"):
            assert shutil.which(compiler, path=environment["PATH"]) is None, f"{compiler} is on the path"
        ran = subprocess.run(
            [str(part) for part in command],
            cwd=self.elsewhere,
            env=environment,
            capture_output=True,
            text=True,
        )
        if ran.returncode != 0:
            shown = " ".join(str(part) for part in command)
            sys.exit(f"{shown} failed with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
        return ran.stdout

    def install(self, *arguments: str | Path) -> None:
        """Install packages, none of which may need a compiler."""
        self.run(
            *(self.python, "-m", "pip", "install", "-q", "--disable-pip-version-check"),
            *("--no-compile", "--only-binary=:all:", *arguments),
        )

    def pretend_cuda(self, libraries: Path) -> None:
        """Let the environment use CUDA libraries that lie elsewhere, and tell pip that they are installed."""
        (metadata,) = self.site_packages.glob("torch-*.dist-info/METADATA")
        for line in metadata.read_text(encoding="utf-8").splitlines():
            found = re.match(r"Requires-Dist: ([\w.-]+)(?:\[([^\]]*)\])?[^;]*?(?:==|~=|>=)\s*([\w.]+)", line)
            if found and OF_CUDA.match(found[1]):
                name, extras, version = found.groups()
                folder = self.site_packages / f"{name.replace('-', '_')}-{version}.dist-info"
                folder.mkdir()
                lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
                lines += [f"Provides-Extra: {extra}" for extra in (extras or "").split(",") if extra]
                (folder / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
                (folder / "RECORD").touch()
        (self.site_packages / "nvidia").symlink_to((libraries / "nvidia").resolve())


def processor_isas(environment: Environment) -> list[str]:
    """Give the instruction sets that this processor has, of those in the wheel."""
    code = "import seqlight; info = seqlight.build_info(); print(*info['cpu_isas']); print(info['cpu_isa'])"
    built, best = environment.run(environment.python, "-c", code).splitlines()
    assert built.split() == list(CPU_ISAS) or best == "neon", f"the wheel has kernels for {built} only"
    return list(CPU_ISAS[: CPU_ISAS.index(best) + 1]) if best in CPU_ISAS else [best]


def try_one(wheel: Path, python: str, torch: str, cuda: Path | None) -> str:
    """Give a line that says what was tried; stop where something fails."""
    with tempfile.TemporaryDirectory(prefix="seqlight-wheel-") as temporary:
        environment = Environment(python, Path(temporary))
        if cuda is None:
            environment.install(torch)
        else:
            environment.install("--no-deps", torch)
            environment.pretend_cuda(cuda)
        environment.install(wheel)
        isas = processor_isas(environment)
        for isa in isas:
            chosen = {} if isa == "neon" else {"SEQLIGHT_CPU_ISA": isa}
            environment.run(environment.python, "-c", (HERE / "installed_wheel.py").read_text(), **chosen)
        command = environment.folder / "bin" / "seqlight"
        environment.run(command, "info")
        environment.run(
            *(command, "forecast", "--demo", "--model", "lstm", "--epochs", "1", "--hidden-size", "8"),
            *("--no-progress", "-o", "forecast.csv", "--plot", "forecast.png"),
        )
        for name in ("forecast.csv", "forecast.png"):
            assert (environment.elsewhere / name).stat().st_size > 100, f"{name} is empty"
        code = "from platform import *; import torch; print(python_version(), torch.__version__, *libc_ver())"
        versions = environment.run(environment.python, "-c", code).split()
    return "Python {}, torch {}, {} {}: ".format(*versions) + f"kernels of {', '.join(isas)}, command line"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("wheels", type=Path, help="a wheel, or the folder that holds it")
    parser.add_argument(
        "--pythons", nargs="+", default=None, help="by default python3.11 to 3.14, as far as found"
    )
    parser.add_argument(
        "--torches", nargs="+", default=None, help="versions; by default the oldest and the newest"
    )
    parser.add_argument(
        "--cuda",
        type=Path,
        help="folder with CUDA's libraries as their packages hold them (nvidia/...), which all environments "
        "use in place of a download for each",
    )
    arguments = parser.parse_args()
    wheel = arguments.wheels
    if wheel.is_dir():
        (wheel,) = wheel.glob("seqlight-*.whl")
    wheel = wheel.resolve()
    metadata = next(
        name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".dist-info/METADATA")
    )
    oldest = re.search(r"Requires-Dist: torch>=([\d.]+)", zipfile.ZipFile(wheel).read(metadata).decode())
    assert oldest is not None
    torches = arguments.torches or [f"{oldest[1]}.*", ""]
    pythons = arguments.pythons or [name for name in PYTHONS if _runs(name)]
    for name in PYTHONS:
        if arguments.pythons is None and name not in pythons:
            print(f"not tried: {name}, which was not found", flush=True)
    if not pythons:
        sys.exit("no Python was found to try the wheel with")
    for python in pythons:
        for torch in torches:
            wanted = f"torch=={torch}" if torch else "torch"
            print("tried:", try_one(wheel, python, wanted, arguments.cuda), flush=True)
    print(f"{len(pythons) * len(torches)} passed, 0 failed")


def _runs(python: str) -> bool:
    if shutil.which(python) is None:
        return False
    return subprocess.run([python, "-c", "import venv, ensurepip"], capture_output=True).returncode == 0


if __name__ == "__main__":
    main()
