"""Callbacks for Lightning's Trainer."""

from .forecast_writer import ForecastWriter, forecast_frame
from .fused_layers import FusedLayers
from .gradient_monitor import GradientMonitor
from .imputation_writer import ImputationWriter
from .label_writer import LabelWriter, label_frame
from .sample_table import samples_frame
from .table_csv import csv_bytes, empty_cells_note, write_csv

__all__ = [
    "ForecastWriter",
    "FusedLayers",
    "GradientMonitor",
    "ImputationWriter",
    "LabelWriter",
    "csv_bytes",
    "empty_cells_note",
    "forecast_frame",
    "label_frame",
    "samples_frame",
    "write_csv",
]
