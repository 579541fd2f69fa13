"""Callbacks for Lightning's Trainer."""

from seqlight.callbacks.forecast_writer import ForecastWriter, forecast_frame
from seqlight.callbacks.fused_layers import FusedLayers
from seqlight.callbacks.gradient_monitor import GradientMonitor
from seqlight.callbacks.imputation_writer import ImputationWriter
from seqlight.callbacks.label_writer import LabelWriter, label_frame
from seqlight.callbacks.sample_table import samples_frame
from seqlight.callbacks.table_csv import csv_bytes, empty_cells_note, write_csv

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
