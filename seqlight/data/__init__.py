"""Series, windows and DataModules, in original units throughout.

The names are handed on when first used, so that importing this package imports neither polars nor Lightning.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from seqlight.data.errors import DataError

if TYPE_CHECKING:
    from seqlight.data.io.dialect import CSVDialect
    from seqlight.data.io.read import read_csv_table, read_table
    from seqlight.data.modules.csv_data_module import CSVDataModule
    from seqlight.data.modules.csv_imputation_data_module import CSVImputationDataModule
    from seqlight.data.modules.forecast_data_module import ForecastDataModule
    from seqlight.data.modules.imputation_data_module import ImputationDataModule
    from seqlight.data.modules.synthetic_data_module import SyntheticDataModule
    from seqlight.data.modules.synthetic_imputation_data_module import SyntheticImputationDataModule
    from seqlight.data.modules.window_data_module import WindowDataModule
    from seqlight.data.store.mase_scale import seasonal_scale
    from seqlight.data.store.prefix_sums import PrefixStatistics
    from seqlight.data.store.schema import Schema
    from seqlight.data.store.series_dataset import SeriesDataset
    from seqlight.data.store.series_file import SeriesFile
    from seqlight.data.store.series_store import SeriesStore
    from seqlight.data.store.splits import Splitter, TimeSplit
    from seqlight.data.store.time_grid import TimeGrid
    from seqlight.data.time.frequency import Frequency, infer_frequency, parse_frequency
    from seqlight.data.windows.gap_windows import GapWindows
    from seqlight.data.windows.stateful_sampler import StatefulSampler
    from seqlight.data.windows.tbptt_loader import TBPTTLoader
    from seqlight.data.windows.window_dataset import WindowDataset
    from seqlight.data.windows.window_loader import WindowLoader, WindowSampler

_HOMES = {
    "CSVDataModule": "modules.csv_data_module",
    "CSVDialect": "io.dialect",
    "ForecastDataModule": "modules.forecast_data_module",
    "PrefixStatistics": "store.prefix_sums",
    "Schema": "store.schema",
    "SeriesDataset": "store.series_dataset",
    "SeriesFile": "store.series_file",
    "CSVImputationDataModule": "modules.csv_imputation_data_module",
    "Frequency": "time.frequency",
    "GapWindows": "windows.gap_windows",
    "ImputationDataModule": "modules.imputation_data_module",
    "SeriesStore": "store.series_store",
    "Splitter": "store.splits",
    "StatefulSampler": "windows.stateful_sampler",
    "SyntheticDataModule": "modules.synthetic_data_module",
    "SyntheticImputationDataModule": "modules.synthetic_imputation_data_module",
    "TBPTTLoader": "windows.tbptt_loader",
    "TimeGrid": "store.time_grid",
    "TimeSplit": "store.splits",
    "WindowDataModule": "modules.window_data_module",
    "WindowDataset": "windows.window_dataset",
    "WindowLoader": "windows.window_loader",
    "WindowSampler": "windows.window_loader",
    "infer_frequency": "time.frequency",
    "parse_frequency": "time.frequency",
    "read_csv_table": "io.read",
    "read_table": "io.read",
    "seasonal_scale": "store.mase_scale",
}

__all__ = [
    "CSVDataModule",
    "CSVDialect",
    "CSVImputationDataModule",
    "DataError",
    "ForecastDataModule",
    "Frequency",
    "GapWindows",
    "ImputationDataModule",
    "PrefixStatistics",
    "Schema",
    "SeriesDataset",
    "SeriesFile",
    "SeriesStore",
    "Splitter",
    "StatefulSampler",
    "SyntheticDataModule",
    "SyntheticImputationDataModule",
    "TBPTTLoader",
    "TimeGrid",
    "TimeSplit",
    "WindowDataModule",
    "WindowDataset",
    "WindowLoader",
    "WindowSampler",
    "infer_frequency",
    "parse_frequency",
    "read_csv_table",
    "read_table",
    "seasonal_scale",
]


def __getattr__(name: str) -> object:
    """Import the module that defines ``name``."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
