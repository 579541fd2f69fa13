"""``main``: finds the benchmark that the arguments name."""

import sys

COMMANDS = ("recurrent", "conv")


def main(argv: list[str]) -> int:
    """Run ``seqlight benchmark <argv>`` and return its exit code.

    The exit code is 2 for wrong arguments, 1 if one of seqlight's own implementations disagrees with the
    float64 reference or cannot run natively, and otherwise 0.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print(f"usage: seqlight benchmark {{{','.join(COMMANDS)}}} [options]  (or --help behind the name)")
        return 0 if argv else 2
    if argv[0] not in COMMANDS:
        known = ", ".join(COMMANDS)
        print(f"seqlight benchmark: error: expected one of {known}, got {argv[0]!r}", file=sys.stderr)
        return 2
    try:
        if argv[0] == "conv":
            from seqlight.benchmark.conv import run_conv

            return run_conv(argv[1:])
        from seqlight.benchmark.recurrent import run_recurrent

        return run_recurrent(argv[1:])
    except SystemExit as stop:  # argparse's way to end
        return stop.code if isinstance(stop.code, int) else 1
