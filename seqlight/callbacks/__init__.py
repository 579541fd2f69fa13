"""Callbacks for Lightning's Trainer."""

from .forecast_writer import ForecastWriter, forecast_frame, write_csv
from .gradient_monitor import GradientMonitor
from .imputation_writer import ImputationWriter
from .label_writer import LabelWriter, label_frame

__all__ = [
    "ForecastWriter",
    "GradientMonitor",
    "ImputationWriter",
    "LabelWriter",
    "forecast_frame",
    "label_frame",
    "write_csv",
]
