"""Reports in one HTML file: what was forecast, how far to trust it, and what is odd in the data.

``write("report.html", build([Series(...)], past=PastForecasts(...)))`` makes one of arrays;
:func:`of_selection`, :func:`of_windows` and :func:`of_filled` gather what
:func:`seqlight.experiments.select`, :func:`seqlight.evaluation.forecast_windows` and
:func:`seqlight.evaluation.fill` return, and need Lightning. The file needs no network and no other file, and
reads without a script too.
"""

import importlib
from typing import TYPE_CHECKING, Any

from seqlight.report.build import build
from seqlight.report.figures import figures
from seqlight.report.inputs import ModelRun, Origin, PastForecasts, Series
from seqlight.report.model import HiddenErrors, Report
from seqlight.report.oddities import Rules, find_oddities
from seqlight.report.render import render
from seqlight.report.write import write

if TYPE_CHECKING:
    from seqlight.report.results import of_filled, of_selection, of_windows, runs_of

__all__ = [
    "HiddenErrors",
    "ModelRun",
    "Origin",
    "PastForecasts",
    "Report",
    "Rules",
    "Series",
    "build",
    "figures",
    "find_oddities",
    "of_filled",
    "of_selection",
    "of_windows",
    "render",
    "runs_of",
    "write",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("seqlight.report.results"), name)
    raise AttributeError(f"module 'seqlight.report' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
