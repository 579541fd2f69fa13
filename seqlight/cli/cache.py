"""``seqlight cache``: what was kept of large files, and its removal."""

import time

from seqlight.cli.errors import CommandError
from seqlight.cli.parser import Parser

DESCRIPTION = """\
Large files are read once: their series are kept in a folder, from which later runs map them into memory.
SEQLIGHT_CACHE names another folder; SEQLIGHT_CACHE=off keeps nothing."""


def run(arguments: list[str]) -> None:
    """List or clear the cache.

    Raises:
        CommandError: there is no cache, or something in it cannot be removed.
    """
    parser = Parser(prog="seqlight cache", description=DESCRIPTION)
    parser.add_argument("what", choices=["list", "clear"], help="show what is kept, or remove it")
    given = parser.parse_args(arguments)

    from seqlight.data.store.cache import VARIABLE, cache_folder, clear, entries

    folder = cache_folder()
    if folder is None:
        raise CommandError(f"there is no cache: {VARIABLE} is off")
    if given.what == "list":
        found = entries(folder)
        for one in found:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.used))
            print(f"{one.bytes / 1e6:>10,.1f} MB  {when}  {one.version}  {one.source}")
        print(f"{folder}: {counted(len(found))}, {sum(one.bytes for one in found) / 1e6:,.1f} MB")
        return
    try:
        count, freed = clear(folder)
    except OSError as error:
        raise CommandError(f"{error.filename}: cannot be removed: {error.strerror}") from None
    print(f"{folder}: removed {counted(count)}, {freed / 1e6:,.1f} MB")


def counted(stores: int) -> str:
    """Return a number of stores in words: ``1 store``, ``2 stores``."""
    return f"{stores} store{'s' * (stores != 1)}"
