"""``seqlight impute``: the empty cells of a CSV filled, and marked.

Everything about arguments and data is checked before torch is imported, let alone a model trained; files
appear at the very end, all of them or none.
"""

from seqlight.cli.impute.arguments import ImputeArguments, parse
from seqlight.cli.wording import in_words_of_options


def run(arguments: list[str]) -> None:
    """Run the command with the arguments after ``impute``.

    Raises:
        CommandError: something the user can mend, in the words of the command's options.
    """
    given = parse(arguments)
    with in_words_of_options():
        impute(given)


def impute(given: ImputeArguments) -> None:
    """Check the data, then import torch, train, compare, fill, and write."""
    from seqlight.cli.impute.plan import plan

    settled = plan(given)

    from seqlight.cli.impute import job

    job.run(given, settled)
