"""``seqlight forecast``: from a CSV to a table of errors, a forecast and a picture.

Everything about arguments and data is checked before torch is imported, let alone a model trained; files
appear at the very end, all of them or none.
"""

from seqlight.cli.errors import CommandError, is_user_error
from seqlight.cli.forecast_arguments import ForecastArguments, parse
from seqlight.cli.wording import as_options


def run(arguments: list[str]) -> None:
    """Run the command with the arguments after ``forecast``.

    Raises:
        CommandError: something the user can mend, in the words of the command's options.
    """
    given = parse(arguments)
    try:
        forecast(given)
    except Exception as error:
        if not is_user_error(error) or isinstance(error, CommandError):
            raise
        raise CommandError(as_options(str(error))) from error


def forecast(given: ForecastArguments) -> None:
    """Check the data, then import torch, train, compare, and write."""
    from seqlight.cli.forecast_plan import plan

    settled = plan(given)

    from seqlight.cli import forecast_job

    forecast_job.run(given, settled)
