"""Generators of synthetic series: one file each, and the name by which a DataModule finds it."""

from seqlight.data.generators.adding_problem import AddingProblem
from seqlight.data.generators.copy_memory import CopyMemory
from seqlight.data.generators.generated import Generated, SeriesGenerator
from seqlight.data.generators.parametric_sines import ParametricSines
from seqlight.data.generators.sine_waves import SineWaves
from seqlight.data.generators.trend_and_seasons import trend_and_seasons
from seqlight.data.generators.waveforms import Waveforms

GENERATORS: dict[str, SeriesGenerator] = {
    "sine_waves": SineWaves(),
    "waveforms": Waveforms(),
    "parametric_sines": ParametricSines(),
    "adding_problem": AddingProblem(),
    "copy_memory": CopyMemory(),
}

__all__ = [
    "GENERATORS",
    "AddingProblem",
    "CopyMemory",
    "Generated",
    "ParametricSines",
    "SeriesGenerator",
    "SineWaves",
    "Waveforms",
    "trend_and_seasons",
]
