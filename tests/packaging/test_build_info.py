"""The extension of this very tree: it is there, and tells what it is."""

import json
import os

import pytest
import torch

import seqlight
from seqlight import _extension

PURE_PYTHON = os.environ.get("SEQLIGHT_BUILD") == "0" or os.environ.get("SEQLIGHT_DISABLE_NATIVE") == "1"


@pytest.mark.skipif(PURE_PYTHON, reason="asked for the pure Python package")
def test_the_extension_is_loaded() -> None:
    info = seqlight.build_info()
    assert info["native"] is True, f"run `make build`: {info.get('reason')}"
    assert info["cpu_isa"] in {"avx512", "avx2", "base", "neon"}
    assert info["compiler"]
    assert info["torch_running"] == torch.__version__
    assert isinstance(info["cuda"], bool)
    assert info["cuda"] or info["cuda_reason"]


def test_build_info_is_plain_data() -> None:
    info = seqlight.build_info()
    assert json.loads(json.dumps(info)) == info
    assert info["native"] is _extension.available
