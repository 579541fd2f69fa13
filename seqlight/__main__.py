"""``python -m seqlight``: the same as the console script ``seqlight``."""

import sys

from seqlight.cli import main

if __name__ == "__main__":
    sys.exit(main())
