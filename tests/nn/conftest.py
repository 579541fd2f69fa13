"""The native extension, without which the tests of the kernels fail."""

import os
from types import ModuleType

import pytest

from seqlight import _extension


@pytest.fixture(scope="session")
def native() -> ModuleType:
    """``seqlight._C``. Without it the tests of the kernels fail: they must not pass on the fallback."""
    if _extension.extension is None:
        reason = _extension.build_info()["reason"]
        if os.environ.get("SEQLIGHT_BUILD") == "0":
            pytest.skip(f"NATIVE KERNELS UNTESTED: SEQLIGHT_BUILD=0, and {reason}")
        pytest.fail(f"the extension is missing: {reason}. SEQLIGHT_BUILD=0 skips the tests of the kernels")
    return _extension.extension
