"""Series, windows and DataModules, in original units throughout.

The names are handed on when first used, so that importing this package imports neither polars nor Lightning.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from seqlight.data.errors import DataError

if TYPE_CHECKING:
    from seqlight.data.csv_data_module import CSVDataModule
    from seqlight.data.csv_file import CSVDialect, read_csv_table
    from seqlight.data.csv_imputation_data_module import CSVImputationDataModule
    from seqlight.data.frequency import Frequency, infer_frequency, parse_frequency
    from seqlight.data.gap_windows import GapWindows
    from seqlight.data.imputation_data_module import ImputationDataModule
    from seqlight.data.mase_scale import seasonal_scale
    from seqlight.data.series_store import SeriesStore, TimeGrid
    from seqlight.data.stateful_sampler import StatefulSampler
    from seqlight.data.synthetic_data_module import SyntheticDataModule
    from seqlight.data.synthetic_imputation_data_module import SyntheticImputationDataModule
    from seqlight.data.tbptt_loader import TBPTTLoader
    from seqlight.data.window_data_module import WindowDataModule
    from seqlight.data.window_loader import WindowLoader, WindowSampler
    from seqlight.data.windows import WindowDataset

_HOMES = {
    "CSVDataModule": "csv_data_module",
    "CSVDialect": "csv_file",
    "CSVImputationDataModule": "csv_imputation_data_module",
    "Frequency": "frequency",
    "GapWindows": "gap_windows",
    "ImputationDataModule": "imputation_data_module",
    "SeriesStore": "series_store",
    "StatefulSampler": "stateful_sampler",
    "SyntheticDataModule": "synthetic_data_module",
    "SyntheticImputationDataModule": "synthetic_imputation_data_module",
    "TBPTTLoader": "tbptt_loader",
    "TimeGrid": "series_store",
    "WindowDataModule": "window_data_module",
    "WindowDataset": "windows",
    "WindowLoader": "window_loader",
    "WindowSampler": "window_loader",
    "infer_frequency": "frequency",
    "parse_frequency": "frequency",
    "read_csv_table": "csv_file",
    "seasonal_scale": "mase_scale",
}

__all__ = [
    "CSVDataModule",
    "CSVDialect",
    "CSVImputationDataModule",
    "DataError",
    "Frequency",
    "GapWindows",
    "ImputationDataModule",
    "SeriesStore",
    "StatefulSampler",
    "SyntheticDataModule",
    "SyntheticImputationDataModule",
    "TBPTTLoader",
    "TimeGrid",
    "WindowDataModule",
    "WindowDataset",
    "WindowLoader",
    "WindowSampler",
    "infer_frequency",
    "parse_frequency",
    "read_csv_table",
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
