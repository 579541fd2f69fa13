"""Loads the compiled extension ``seqlight._C`` once and remembers why it could not.

Importing the extension registers the operators ``torch.ops.seqlight.*``. Where it was not built, or
``SEQLIGHT_DISABLE_NATIVE=1`` is set, the package runs the same equations in plain PyTorch.
"""

import importlib
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

_MODULE = "seqlight._C"
_OLDEST_TORCH = (2, 11)  # the stable ABI that the binary asks for: setup.py's TORCH_TARGET_VERSION
_REASON_FILE = Path(__file__).with_name("_build_reason.txt")  # written by setup.py, lines "part: reason"


def _recorded_reasons() -> dict[str, str]:
    """What the build left out, by part (``"native"``, ``"cuda"``), and why."""
    if not _REASON_FILE.is_file():
        return {}
    lines = _REASON_FILE.read_text(encoding="utf-8").splitlines()
    return {part: reason for part, _, reason in (line.partition(": ") for line in lines)}


def _load() -> tuple[ModuleType | None, str]:
    """The extension and ``""``, or None and the reason for its absence.

    Raises ImportError where the extension was built but does not load: hiding that would leave a user
    with the slow path and no hint of it.
    """
    if os.environ.get("SEQLIGHT_DISABLE_NATIVE") == "1":
        return None, "SEQLIGHT_DISABLE_NATIVE=1 is set"
    try:
        return importlib.import_module(_MODULE), ""
    except ModuleNotFoundError as error:
        if error.name != _MODULE:
            raise
        not_built = f"{_MODULE} has not been built; `make build` does it in a source tree"
        return None, _recorded_reasons().get("native", not_built)
    except ImportError as error:
        oldest = ".".join(map(str, _OLDEST_TORCH))
        advice = (
            f"It needs torch {oldest} or later: `pip install -U torch`"
            if tuple(map(int, torch.__version__.split(".")[:2])) < _OLDEST_TORCH
            else "Rebuild it (`make build`, or `pip install --force-reinstall --no-deps` of seqlight)"
        )
        raise ImportError(
            f"{_MODULE} was built but does not load with torch {torch.__version__}: {error}. "
            f"{advice}, or set SEQLIGHT_DISABLE_NATIVE=1 to run in plain PyTorch"
        ) from error


extension, _reason = _load()
available: bool = extension is not None


def build_info() -> dict[str, Any]:
    """Tell what was built, for which processor, and if nothing, why.

    Returns:
        A plain dict. Always: ``native`` (bool) and ``torch_running`` (the version in use). With the
        extension: ``cpu_isa`` (the instruction set that the kernels use here), ``cpu_isas`` (all that were
        built), ``torch_headers`` (the version it was built with), ``compiler``, ``cxx_standard``,
        ``python_abi`` (``"abi3"``: for this Python and all later ones), ``cuda`` (bool; where False, also
        ``cuda_reason``, why the build left it out).
        Without it: ``reason``.
    """
    if extension is None:
        return {"native": False, "reason": _reason, "torch_running": torch.__version__}
    info = {
        "native": True,
        "cpu_isa": extension.cpu_isa(),
        **extension.build_info(),
        "torch_running": torch.__version__,
    }
    if not info.get("cuda"):
        reason = _recorded_reasons().get("cuda")
        if reason is not None:
            info["cuda_reason"] = reason
    return info
