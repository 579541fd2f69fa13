"""Reports in one HTML file: what was forecast, how far to trust it, and what is odd in the data.

>>> from seqlight.report import Series, build, write
>>> write("report.html", build([Series(...)], past=PastForecasts(...)))

The file needs no network and no other file, and reads without a script too.
"""

from .build import build
from .inputs import ModelRun, Origin, PastForecasts, Series
from .model import HiddenErrors, Report
from .oddities import Rules, find_oddities
from .render import render
from .write import write

__all__ = [
    "HiddenErrors",
    "ModelRun",
    "Origin",
    "PastForecasts",
    "Report",
    "Rules",
    "Series",
    "build",
    "find_oddities",
    "render",
    "write",
]
