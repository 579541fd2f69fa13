"""SEQLIGHT_BUILD=1, 0 and unset, with a working and a broken compiler; what build_info() tells afterwards."""

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BROKEN_COMPILER = "/bin/false"


def test_required_build_and_rebuild(project: Any) -> None:
    built = project.build(SEQLIGHT_BUILD="1")
    assert built.returncode == 0, built.stdout + built.stderr
    info = json.loads(project.build_info().stdout)
    assert info["native"] is True
    assert (info["cpu_isa"], info["answer"]) == ("toy", 42)
    assert "SEQLIGHT_CUDA=1" in info["cuda_reason"]

    # An included file that is no source of its own changes the binary too, and a failing build removes it.
    (project.root / "csrc" / "answer.inl").write_text("#define ANSWER 43\n")
    assert project.build(SEQLIGHT_BUILD="1").returncode == 0
    assert json.loads(project.build_info().stdout)["answer"] == 43

    (project.root / "csrc" / "answer.inl").write_text("#error broken on purpose\n")
    failed = project.build()
    assert failed.returncode == 0
    assert project.binaries == []
    assert "broken on purpose" in failed.stdout + failed.stderr
    info = json.loads(project.build_info().stdout)
    assert info["native"] is False
    assert "compiling failed" in info["reason"]


def test_warnings_are_errors_only_where_the_build_is_required(project: Any) -> None:
    (project.root / "csrc" / "answer.inl").write_text(
        "#define ANSWER 42\nstatic int nobody_calls_this() { return 1; }\n"
    )
    required = project.build(SEQLIGHT_BUILD="1")
    assert required.returncode != 0
    assert "nobody_calls_this" in required.stdout + required.stderr
    assert project.build().returncode == 0
    assert len(project.binaries) == 1


def test_required_build_without_a_compiler_fails(project: Any) -> None:
    failed = project.build(SEQLIGHT_BUILD="1", CXX=BROKEN_COMPILER)
    assert failed.returncode != 0
    assert project.binaries == []

    missing = project.build(SEQLIGHT_BUILD="1", CXX="no-such-compiler", PATH="/nowhere")
    assert missing.returncode != 0
    assert "no C++ compiler: no-such-compiler was not found" in missing.stderr


def test_unset_mode_without_a_compiler_installs_and_says_why(project: Any) -> None:
    wheel = project.run("setup.py", "-q", "build", "--build-lib", "installed", CXX=BROKEN_COMPILER)
    assert wheel.returncode == 0, wheel.stdout + wheel.stderr
    installed = project.root / "installed" / "seqlight"
    assert list(installed.glob("_C.*")) == []
    assert "native: compiling failed" in (installed / "_build_reason.txt").read_text()
    assert (installed / "py.typed").is_file()


def test_unset_mode_with_no_torch_says_how_to_mend_it(project: Any) -> None:
    (project.root / "without_torch.py").write_text(
        "import importlib.util, runpy, site, sys, sysconfig, setuptools\n"
        "find_spec, get_path = importlib.util.find_spec, sysconfig.get_path\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'torch' else find_spec(name, *rest)\n"
        "site.getsitepackages = lambda: []\n"
        "def hide_packages(name, *rest, **named):\n"
        "    return '/nowhere' if name in ('platlib', 'purelib') else get_path(name, *rest, **named)\n"
        "sysconfig.get_path = hide_packages\n"
        "sys.argv = ['setup.py', '-q', 'build_ext', '--inplace']\n"
        "runpy.run_path('setup.py', run_name='__main__')\n"
    )
    built = project.run("without_torch.py")
    assert built.returncode == 0, built.stderr
    assert project.binaries == []
    assert "torch was not installed when seqlight was built. Install torch first" in project.reasons
    failed = project.run("without_torch.py", SEQLIGHT_BUILD="1")
    assert failed.returncode != 0
    assert "SEQLIGHT_BUILD=1, but the extension was not built: torch was not installed" in failed.stderr


def test_mode_0_builds_no_extension(project: Any) -> None:
    (project.root / "seqlight" / "_C.earlier.so").touch()
    assert project.build(SEQLIGHT_BUILD="0").returncode == 0
    assert project.binaries == []
    assert project.reasons == "native: SEQLIGHT_BUILD=0 at build time\n"
    assert json.loads(project.build_info().stdout)["reason"] == "SEQLIGHT_BUILD=0 at build time"


def test_unknown_mode(project: Any) -> None:
    failed = project.build(SEQLIGHT_BUILD="yes")
    assert failed.returncode != 0
    assert "SEQLIGHT_BUILD must be 0, 1 or unset, got 'yes'" in failed.stderr


def test_cuda_asked_for_but_impossible(project: Any) -> None:
    import torch

    if torch.version.cuda is not None:
        pytest.skip("this torch has CUDA; the test is for one without")
    failed = project.build(SEQLIGHT_BUILD="1", SEQLIGHT_CUDA="1")
    assert failed.returncode != 0
    assert "was built without CUDA" in failed.stderr
    assert project.build(SEQLIGHT_CUDA="1").returncode == 0
    assert len(project.binaries) == 1
    assert "cuda: torch" in project.reasons


def test_isolated_build_finds_the_torch_of_the_environment(project: Any) -> None:
    """pip's build isolation hides site-packages and puts the build requirements in a folder of their own."""
    import setuptools

    overlay = project.root / "overlay"
    overlay.mkdir()
    folder = Path(setuptools.__file__).parent
    (overlay / folder.name).symlink_to(folder)
    (project.root / "isolated.py").write_text(
        "import runpy, sys\n"
        f"sys.path = [p for p in sys.path if 'site-packages' not in p] + [{str(overlay)!r}]\n"
        "sys.argv = ['setup.py', '-q', 'build_ext', '--inplace']\n"
        "runpy.run_path('setup.py', run_name='__main__')\n"
    )
    built = project.run("isolated.py", SEQLIGHT_BUILD="1")
    assert built.returncode == 0, built.stdout + built.stderr
    assert len(project.binaries) == 1


def test_a_broken_binary_surfaces(project: Any) -> None:
    (project.root / "seqlight" / "_C.abi3.so").write_bytes(b"not a shared object")
    failed = project.build_info()
    assert failed.returncode != 0
    assert "seqlight._C was built but does not load" in failed.stderr
    assert "SEQLIGHT_DISABLE_NATIVE=1" in failed.stderr

    disabled = json.loads(project.build_info(SEQLIGHT_DISABLE_NATIVE="1").stdout)
    assert disabled["native"] is False
    assert disabled["reason"] == "SEQLIGHT_DISABLE_NATIVE=1 is set"


def test_a_binary_for_a_later_torch_says_which(project: Any) -> None:
    (project.root / "seqlight" / "_C.abi3.so").write_bytes(b"not a shared object")
    failed = project.run(
        "-c",
        "import sys\n"
        "sys.meta_path[:] = [finder for finder in sys.meta_path if '__editable__' not in repr(finder)]\n"
        "import torch\n"
        "torch.__version__ = '2.9.1'\n"
        "import seqlight\n"
        "seqlight.build_info()\n",
    )
    assert failed.returncode != 0
    assert "It needs torch 2.11 or later: `pip install -U torch`" in failed.stderr


def test_a_build_in_place_leaves_no_binary_of_another_name(project: Any) -> None:
    """Python would take the file that is named after its own version first, however old."""
    stale = project.root / "seqlight" / f"_C.{sys.implementation.cache_tag}-x86_64-linux-gnu.so"
    stale.write_bytes(b"of an earlier build")
    assert project.build(SEQLIGHT_BUILD="1").returncode == 0
    assert [path.name for path in project.binaries] == ["_C.abi3.so"]
    assert json.loads(project.build_info().stdout)["native"] is True


def test_a_tree_that_was_never_built(project: Any) -> None:
    info = json.loads(project.build_info().stdout)
    assert info["native"] is False
    assert "make build" in info["reason"]


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_builds_leave_nothing_for_git(project: Any) -> None:
    repository = Path(__file__).resolve().parents[2]
    shutil.copy(repository / ".gitignore", project.root)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "tree"]):
        subprocess.run([*git, *command], cwd=project.root, check=True)
    assert project.build().returncode == 0
    status = subprocess.run(
        ["git", "status", "--short"], cwd=project.root, check=True, capture_output=True, text=True
    )
    assert status.stdout == ""


def test_native_build_compiles_one_instruction_set_and_a_later_build_of_all_the_rest(project: Any) -> None:
    names = ("base", "avx2", "avx512")
    for name in names:
        (project.root / "csrc" / f"lanes_{name}.cpp").write_text(f"int lanes_{name}() {{ return 4; }}\n")

    def built() -> set[str]:
        (binary,) = project.binaries
        return {name for name in names if f"lanes_{name}".encode() in binary.read_bytes()}

    native = project.build(SEQLIGHT_BUILD="1", SEQLIGHT_BUILD_ISA="native")
    assert native.returncode == 0, native.stderr
    if platform.machine() == "x86_64" and Path("/proc/cpuinfo").is_file():
        assert len(built()) == 1
    # No source is newer than the binary, which lacks kernels all the same; what was built once is kept.
    for choice in (None, "native"):
        assert project.build(SEQLIGHT_BUILD="1", SEQLIGHT_BUILD_ISA=choice).returncode == 0
        assert built() == set(names)

    refused = project.build(SEQLIGHT_BUILD="1", SEQLIGHT_BUILD_ISA="avx3")
    assert refused.returncode != 0
    assert "SEQLIGHT_BUILD_ISA must be all, native or unset, got 'avx3'" in refused.stderr
