"""``seqlight backtest``: forecasts from several past times, each as if nothing after it were known.

Everything about arguments and data is checked before torch is imported, let alone a model trained; the table
appears at the very end, whole or not at all.
"""

from dataclasses import replace

from seqlight.cli.backtest.arguments import BacktestArguments, parse
from seqlight.cli.wording import in_words_of_options


def run(arguments: list[str]) -> None:
    """Run the command with the arguments after ``backtest``.

    Raises:
        CommandError: something the user can mend, in the words of the command's options.
    """
    given = parse(arguments)
    with in_words_of_options():
        backtest(given)


def backtest(given: BacktestArguments) -> None:
    """Check the data, then import torch, fit, forecast from each time, and write."""
    from seqlight.cli.forecast.plan import check_model, plan
    from seqlight.cli.time_column import found_columns

    saved = None
    if given.checkpoint is not None:
        from seqlight.cli.backtest.checkpoint import as_trained, read_checkpoint

        saved = read_checkpoint(given.checkpoint)
        given = as_trained(given, saved)
    given, found = found_columns(given, "backtest")
    settled = plan(given)
    settled.notes[:0] = [found] if found else []
    if saved is not None and "calendar_features" in saved.settings:
        settled = replace(settled, calendar_features=list(saved.settings["calendar_features"]))
    for model in given.models or ():
        check_model(model, settled)

    from seqlight.cli.backtest import job

    job.run(given, settled, saved)
