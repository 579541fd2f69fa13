"""Callbacks for Lightning's Trainer."""

from .forecast_writer import ForecastWriter, forecast_frame, write_csv
from .gradient_monitor import GradientMonitor

__all__ = ["ForecastWriter", "GradientMonitor", "forecast_frame", "write_csv"]
