"""Callbacks for Lightning's Trainer."""

from .forecast_writer import ForecastWriter, forecast_frame, write_csv
from .imputation_writer import ImputationWriter

__all__ = ["ForecastWriter", "ImputationWriter", "forecast_frame", "write_csv"]
