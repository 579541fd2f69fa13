"""Output files that are checked before any work, and that appear whole or not at all."""

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from seqlight.cli.errors import CommandError

PLOT_FORMATS = (".png", ".pdf", ".svg")


def check_output(path: Path, option: str, *, input_path: Path | None = None) -> None:
    """Raise :class:`CommandError` unless ``path`` can be written later without loss.

    Its folder must exist and be writable, it must not be a folder or a device, and not the input file. An
    earlier output of the same name is fine: it is replaced when the new one is complete.
    """
    parent = path.resolve().parent
    if not parent.is_dir():
        raise CommandError(
            f"{option}: the folder {str(parent)!r} does not exist; create it first: mkdir -p {parent}"
        )
    if path.is_dir():
        raise CommandError(f"{option}: {str(path)!r} is a folder; give a file name in it")
    if path.exists() and not path.is_file():
        raise CommandError(f"{option}: {str(path)!r} is not a regular file; give another name")
    if input_path is not None and path.exists() and input_path.exists() and path.samefile(input_path):
        raise CommandError(
            f"{option}: {str(path)!r} is the input file and would be overwritten; give another name"
        )
    if not os.access(parent, os.W_OK):
        raise CommandError(f"{option}: no permission to write in {str(parent)!r}")


def check_plot_name(path: Path) -> None:
    """Raise :class:`CommandError` unless ``path`` has the ending of a picture."""
    if path.suffix.lower() not in PLOT_FORMATS:
        raise CommandError(f"--plot: expected a name that ends in {' or '.join(PLOT_FORMATS)}, got {path}")


def check_distinct(outputs: dict[str, Path]) -> None:
    """Raise :class:`CommandError` when two options (the keys) name the same file."""
    options_by_path: dict[Path, str] = {}
    for option, path in outputs.items():
        other = options_by_path.setdefault(path.resolve(), option)
        if other != option:
            raise CommandError(
                f"{option} and {other} name the same file {str(path)!r}; give two different names"
            )


def check_outputs(given: argparse.Namespace) -> None:
    """Check what ``--output``, ``--plot`` and ``--save`` name, where given; ``given.csv`` is the input.

    Raises:
        CommandError: a file that could not be written, or one named twice.
    """
    named = {f"--{name}": getattr(given, name, None) for name in ("output", "plot", "save")}
    outputs = {option: path for option, path in named.items() if path is not None}
    if "--plot" in outputs:
        check_plot_name(given.plot)
    for option, path in outputs.items():
        check_output(path, option, input_path=given.csv)
    check_distinct(outputs)


@contextmanager
def staged(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield one temporary path beside each of ``paths``; rename them all at the end.

    When the block raises, the temporary files are removed and what was at ``paths`` before is untouched. A
    rename replaces the old file in one step, so a reader never sees half a file.
    """
    targets = [path.resolve() for path in paths]  # through symbolic links: the link stays, its target changes
    temporary = [target.with_name(f".{target.name}.{os.getpid()}.tmp") for target in targets]
    try:
        yield temporary
        for source, target in zip(temporary, targets, strict=True):
            os.replace(source, target)
    finally:
        for source in temporary:
            source.unlink(missing_ok=True)
