"""The arguments of a forecaster that the data decide."""

from typing import Any

COVARIATES = (
    "past_covariate_size",
    "future_covariate_size",
    "static_covariate_size",
    "past_cardinalities",
    "future_cardinalities",
    "static_cardinalities",
)


def window_arguments(data: Any) -> dict[str, Any]:
    """Return ``context_length``, ``prediction_length`` and ``target_size`` of a DataModule of windows."""
    return {name: getattr(data, name) for name in ("context_length", "prediction_length", "target_size")}


def covariate_arguments(data: Any) -> dict[str, Any]:
    """Return a forecaster's arguments that say what a DataModule of windows has beside the targets."""
    found = {name: getattr(data, name) for name in COVARIATES if getattr(data, name, None)}
    return found | ({"schema": data.schema()} if callable(getattr(data, "schema", None)) else {})


def forecaster_arguments(data: Any) -> dict[str, Any]:
    """Return all arguments of a forecaster that a DataModule of windows decides."""
    return (
        window_arguments(data) | covariate_arguments(data) | {"observed_indicator": data.observed_indicator}
    )
