"""Generators of synthetic series: one file each, and the name by which a DataModule finds it."""

from seqlight.data.generators.generated import Generated, SeriesGenerator
from seqlight.data.generators.sine_waves import SineWaves
from seqlight.data.generators.trend_and_seasons import trend_and_seasons

GENERATORS: dict[str, SeriesGenerator] = {"sine_waves": SineWaves()}

__all__ = ["GENERATORS", "Generated", "SeriesGenerator", "SineWaves", "trend_and_seasons"]
