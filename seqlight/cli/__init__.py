"""The command line, ``seqlight forecast | impute | fit | validate | test | predict | compare | ...``.

Importing this package imports neither torch nor Lightning; each command imports what it needs, after its
arguments are checked.
"""

from seqlight.cli.dispatch import main

__all__ = ["main"]
