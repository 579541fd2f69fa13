"""Callbacks for Lightning's Trainer."""

from .forecast_writer import ForecastWriter, forecast_frame, write_csv

__all__ = ["ForecastWriter", "forecast_frame", "write_csv"]
