"""``seqlight forecast --report``."""

from pathlib import Path

from seqlight.cli.forecast.arguments import ForecastArguments
from seqlight.cli.forecast.plan import ForecastPlan
from seqlight.cli.html_report import origin_of
from seqlight.data import CSVDataModule
from seqlight.experiments import Selection
from seqlight.report import of_selection, write


def write_report(
    given: ForecastArguments,
    plan: ForecastPlan,
    selection: Selection,
    data: CSVDataModule,
    path: Path,
) -> None:
    """Write the report of a forecast."""
    decided = {
        "context length": data.context_length,
        "prediction length": data.prediction_length,
        "season length": data.season_length,
        "calendar features": plan.calendar_features,
    }
    report = of_selection(
        selection,
        data,
        origin=origin_of(given, decided, [plan.begins, *plan.notes], given.csv),
    )
    write(path, report)
