"""``seqlight compare``: finds what is to be compared."""

from seqlight.cli.errors import CommandError
from seqlight.cli.wording import in_words_of_options

SUBJECTS = ("strategies",)
USAGE = f"usage: seqlight compare {{{','.join(SUBJECTS)}}} [options]  (or --help behind the name)"


def run(arguments: list[str]) -> None:
    """Run the command with the arguments after ``compare``.

    Raises:
        CommandError: something the user can mend, in the words of the command's options.
    """
    if arguments and arguments[0] in ("-h", "--help"):
        print(USAGE)
        return
    if not arguments or arguments[0] not in SUBJECTS:
        got = repr(arguments[0]) if arguments else "nothing"
        raise CommandError(f"compare: expected one of {', '.join(SUBJECTS)}, got {got}\n  {USAGE}")

    from seqlight.cli.compare.arguments import parse

    given = parse(arguments[1:])
    with in_words_of_options():
        from seqlight.cli.compare import job

        job.run(given)
