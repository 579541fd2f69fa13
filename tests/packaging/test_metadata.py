"""Facts that more than one packaging file must state agree with each other."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import seqlight
from seqlight import _extension

REPOSITORY = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PINS = {
    canonicalize_name(requirement.name): next(iter(requirement.specifier)).version
    for line in (REPOSITORY / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
    for requirement in [Requirement(line)]
}


def requirements() -> list[Requirement]:
    project = PYPROJECT["project"]
    groups = [project["dependencies"], PYPROJECT["build-system"]["requires"]]
    groups += project["optional-dependencies"].values()
    return [Requirement(line) for group in groups for line in group]


def test_every_dependency_is_pinned_within_its_bounds() -> None:
    ours = [requirement for requirement in requirements() if requirement.name != "seqlight"]
    assert {canonicalize_name(requirement.name) for requirement in ours} <= PINS.keys()
    for requirement in ours:
        assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)]), requirement


def test_oldest_torch_is_the_same_everywhere() -> None:
    (torch,) = (requirement for requirement in requirements() if requirement.name == "torch")
    (oldest,) = torch.specifier
    major, minor = map(int, oldest.version.split("."))
    assert (major, minor) == _extension._OLDEST_TORCH
    flag = f"-DTORCH_TARGET_VERSION=0x{major:02x}{minor:02x}000000000000"
    for name in ("setup.py", "Makefile"):
        assert re.findall(r"-DTORCH_TARGET_VERSION=\w+", (REPOSITORY / name).read_text()) == [flag], name


def test_makefile_asks_for_the_pinned_torch() -> None:
    asked = re.findall(r"\btorch==(\S+)", (REPOSITORY / "Makefile").read_text())
    assert asked and set(asked) == {PINS["torch"]}


def test_torch_is_no_build_requirement() -> None:
    assert "torch" not in {Requirement(line).name for line in PYPROJECT["build-system"]["requires"]}


def test_version_has_one_source() -> None:
    assert "version" in PYPROJECT["project"]["dynamic"]
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "seqlight.__version__"}
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", seqlight.__version__)
