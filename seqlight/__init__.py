"""Time-series forecasting with PyTorch Lightning on fused recurrent and convolutional kernels.

The names below are imported when they are first used: ``import seqlight``, ``seqlight.ops`` and
``seqlight.nn`` need torch alone, and nobody waits for Lightning who does not use it.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"  # the only place; pyproject.toml reads it from here

if TYPE_CHECKING:
    from seqlight import (
        callbacks,
        data,
        evaluation,
        experiments,
        heads,
        inputs,
        intervals,
        metrics,
        models,
        nn,
        onnx,
        ops,
        plot,
        report,
        strategies,
        transforms,
    )
    from seqlight._extension import build_info
    from seqlight.models.lightning.load import load
    from seqlight.ops import use_backend

_ORIGIN_OF_NAME = {
    "build_info": "seqlight._extension",
    "load": "seqlight.models",
    "use_backend": "seqlight.ops",
}
_SUBMODULES = (
    "callbacks",
    "data",
    "evaluation",
    "experiments",
    "heads",
    "inputs",
    "intervals",
    "metrics",
    "models",
    "nn",
    "onnx",
    "ops",
    "plot",
    "report",
    "strategies",
    "transforms",
)

__all__ = [
    "__version__",
    "build_info",
    "callbacks",
    "data",
    "evaluation",
    "experiments",
    "heads",
    "inputs",
    "intervals",
    "load",
    "metrics",
    "models",
    "nn",
    "onnx",
    "ops",
    "plot",
    "report",
    "strategies",
    "transforms",
    "use_backend",
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"seqlight.{name}")
    if name in _ORIGIN_OF_NAME:
        value = getattr(importlib.import_module(_ORIGIN_OF_NAME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'seqlight' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
