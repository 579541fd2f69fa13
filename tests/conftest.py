"""What all tests share: a headless plot backend, repeatable hypothesis runs, the folder of real data."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")

# `make gpu` runs the tests marked gpu, which do not need it, where it may be missing.
if importlib.util.find_spec("hypothesis"):
    from hypothesis import HealthCheck, settings

    # No deadline: the first example pays for warming up, and a shared machine is slow at times. Derandomised:
    # the same commit passes or fails everywhere; HYPOTHESIS_PROFILE=explore looks for new examples.
    settings.register_profile(
        "repeatable",
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.register_profile("explore", deadline=None, database=None)
    settings.register_profile("sanitize", settings.get_profile("repeatable"))
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

SANITIZE_EXAMPLES = 8


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of a GPU, and draw few examples a test for `make sanitize`, where kernels are slow."""
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if "gpu" in getattr(item, "fixturenames", ()) or "gpu" in (
            parameters.get("cuda"),
            parameters.get("full_tiles"),
        ):
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


REPOSITORY = Path(__file__).resolve().parent.parent


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
