"""Speed measurements that any user can repeat: ``seqlight benchmark recurrent``.

Nothing in the package imports this one. Importing it is cheap; the work is imported by :func:`main`.
"""

from seqlight.benchmark.dispatch import main

__all__ = ["main"]
