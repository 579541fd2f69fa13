"""``seqlight forecast``: from a CSV to a table of errors, a forecast and a picture.

Everything about arguments and data is checked before torch is imported, let alone a model trained; files
appear at the very end, all of them or none.
"""

from seqlight.cli.forecast.arguments import MAX_TIME, SIMPLE, SIZED, ForecastArguments, parse
from seqlight.cli.network_arguments import SIZES, given_network_options
from seqlight.cli.wording import in_words_of_options


def run(arguments: list[str]) -> None:
    """Run the command with the arguments after ``forecast``.

    Raises:
        CommandError: something the user can mend, in the words of the command's options.
    """
    given = parse(arguments)
    with in_words_of_options():
        forecast(given)


def forecast(given: ForecastArguments) -> None:
    """Check the data, then import torch, train, compare, and write."""
    from seqlight.cli.forecast.plan import check_columns, check_model, plan
    from seqlight.cli.time_column import found_columns

    given, found = found_columns(given, "forecast")
    check_columns(given)
    settled = plan(given)
    settled.notes[:0] = [found] if found else []
    check_model(given.model, settled)
    settled.notes.extend(unused_options(given))

    from seqlight.cli.forecast import job

    job.run(given, settled)


def unused_options(given: ForecastArguments) -> list[str]:
    """Return a sentence about the options of networks that ``--model`` leaves without effect; [] for none."""
    options = given_network_options(given, MAX_TIME)
    why = "trains no network"
    if given.model not in SIMPLE:
        why = "has sizes of its own"
        options = [] if given.model in SIZED else [name for name in options if name in SIZES]
    return [f"no effect: {', '.join(options)}; --model {given.model} {why}"] if options else []
