"""What all tests share: plots without a display, repeatable hypothesis runs, the extension, devices, data."""

import importlib.util
import os
import runpy
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings

from seqlight import _extension

os.environ.setdefault("MPLBACKEND", "Agg")

# No deadline: the first example pays for warming up, and a shared machine is slow at times. Derandomised:
# the same commit passes or fails everywhere; HYPOTHESIS_PROFILE=explore looks for new examples.
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    database=None,
    # a `device` is the same for all examples of a test
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("explore", deadline=None, database=None)
settings.register_profile("sanitize", settings.get_profile("repeatable"))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

SANITIZE_EXAMPLES = 8


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of a GPU, and draw few examples a test for `make sanitize`, where kernels are slow."""
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        of_device = [parameters.get(name) for name in ("device", "other_device", "cuda", "full_tiles")]
        if "gpu" in (*getattr(item, "fixturenames", ()), *of_device):
            item.add_marker("gpu")
    if os.environ.get("HYPOTHESIS_PROFILE") != "sanitize":
        return
    for item in items:
        test = getattr(item, "obj", None)
        if getattr(test, "is_hypothesis_test", False):
            own = getattr(test, "_hypothesis_internal_use_settings", None) or settings()
            # hypothesis has no public way to lower what a test asks for itself
            test._hypothesis_internal_use_settings = settings(
                own, max_examples=min(own.max_examples, SANITIZE_EXAMPLES)
            )


@pytest.fixture(scope="session")
def native() -> ModuleType:
    """``seqlight._C``. Without it the tests of the kernels fail: they must not pass on the fallback."""
    if _extension.extension is None:
        reason = _extension.build_info()["reason"]
        if os.environ.get("SEQLIGHT_BUILD") == "0":
            pytest.skip(f"NATIVE KERNELS UNTESTED: SEQLIGHT_BUILD=0, and {reason}")
        pytest.fail(f"the extension is missing: {reason}. SEQLIGHT_BUILD=0 skips the tests of the kernels")
    return _extension.extension


@pytest.fixture
def gpu(native: ModuleType) -> Iterator[torch.device]:
    """The GPU, if this machine has one and this build has kernels for it; cuDNN computes in float32 there."""
    missing = None
    if not torch.cuda.is_available():
        missing = "torch finds no CUDA device"
    elif not _extension.build_info().get("cuda"):
        missing = f"no CUDA kernels were built ({_extension.build_info().get('cuda_reason')})"
    if missing is not None:
        if os.environ.get("SEQLIGHT_REQUIRE_CUDA") == "1":
            pytest.fail(f"SEQLIGHT_REQUIRE_CUDA=1, but {missing}")
        pytest.skip(f"CUDA KERNELS UNTESTED: {missing}; SEQLIGHT_REQUIRE_CUDA=1 makes this a failure")
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield torch.device("cuda")


def stand_in_module() -> ModuleType:
    """Import stand_in.py and what it imports, which lie here and are in no package."""
    for name in ("stand_in_cells", "stand_in"):
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
            assert spec is not None and spec.loader is not None
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
    return sys.modules["stand_in"]


@pytest.fixture
def stand_in(native: ModuleType) -> Iterator[Any]:
    """A device in place of a GPU: see stand_in.py."""
    with stand_in_module().stand_in() as device:
        yield device


# What runs on a GPU can be tried without one: SEQLIGHT_STAND_IN=1 puts the stand-in in its place.
@pytest.fixture(params=["cpu", "stand-in" if os.environ.get("SEQLIGHT_STAND_IN") == "1" else "gpu"])
def device(request: pytest.FixtureRequest, native: ModuleType) -> Iterator[torch.device]:
    """Where the test runs: its tensors are made there by default."""
    if request.param == "cpu":
        yield torch.device("cpu")
    elif request.param == "stand-in":
        request.getfixturevalue("stand_in")
        with stand_in_module().DEVICE as stand_in:
            yield stand_in
    else:
        with request.getfixturevalue("gpu") as gpu:
            yield gpu


@dataclass(frozen=True)
class OtherDevice:
    """A device that is not the CPU.

    Attributes:
        device: what tensors are moved to.
        without_waiting: context manager that fails where the host has to wait for the device.
        trainer_options: gives what a Lightning Trainer takes to work there.
    """

    device: torch.device
    without_waiting: Callable[[], AbstractContextManager[None]]
    trainer_options: Callable[[], dict[str, Any]]


@pytest.fixture(params=["stand-in", "gpu"])
def other_device(request: pytest.FixtureRequest) -> OtherDevice:
    """The stand-in and a GPU; nothing is there by default."""
    if request.param == "gpu":
        options = {"accelerator": "gpu", "devices": 1}
        return OtherDevice(request.getfixturevalue("gpu"), no_synchronisation, lambda: options)
    stand_in, module = request.getfixturevalue("stand_in"), stand_in_module()
    return OtherDevice(module.DEVICE, stand_in.without_waiting, module.trainer_options)


@contextmanager
def no_synchronisation() -> Iterator[None]:
    """CUDA, asked to raise an error where it would wait."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def statsforecast_stand_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A library in the place of statsforecast: see stand_in_statsforecast.py."""
    return runpy.run_path(str(Path(__file__).with_name("stand_in_statsforecast.py")))["Library"](monkeypatch)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """``real_data("ETTh1.csv")``: its path, in SEQLIGHT_DATA or beside the repository; skips if absent."""
    folder = Path(os.environ.get("SEQLIGHT_DATA", REPOSITORY.parent / "shared" / "data"))

    def find(name: str) -> Path:
        path = folder / name
        if not path.is_file():
            pytest.skip(f"no {name} in {folder}; set SEQLIGHT_DATA to the folder that holds it")
        return path

    return find


@pytest.fixture(scope="session")
def case_file() -> Callable[[str], Path]:
    """``case_file("no_time.csv")``: its path, in SEQLIGHT_CASES or beside the repository; skips if absent."""
    folder = Path(os.environ.get("SEQLIGHT_CASES", REPOSITORY.parent / "shared" / "cases"))

    def find(name: str) -> Path:
        path = folder / name
        if not path.is_file():
            pytest.skip(f"no {name} in {folder}; set SEQLIGHT_CASES to the folder that holds it")
        return path

    return find
