"""Numbers among the options of Lightning's commands that would end in a traceback somewhere inside."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from seqlight.cli.errors import CommandError
from seqlight.cli.parser import LARGEST_SEED

LARGEST = 2**63 - 1
MOST_DIGITS = 40  # that are read of a text
# Smallest and largest value of what Lightning itself does not check.
LIMITS: dict[str, tuple[float, float]] = {
    "seed_everything": (0, LARGEST_SEED),
    "trainer.accumulate_grad_batches": (1, LARGEST),
    "trainer.check_val_every_n_epoch": (1, LARGEST),
    "trainer.val_check_interval": (1e-9, LARGEST),
    "trainer.devices": (-1, 4096),
    "trainer.num_nodes": (1, 65536),
}


def check_numbers(config: Any) -> None:
    """Raise :class:`CommandError` for the first number of a parsed configuration that is out of limits."""
    for name, value in _numbers(config, ""):
        low, high = LIMITS.get(name, (-LARGEST - 1, LARGEST))
        checked = isinstance(value, int) or name in LIMITS
        if checked and not low <= value <= high:
            option = name.replace(".init_args", "")
            raise CommandError(f"--{option}: expected a number from {low} to {high}, got {value}")


def _numbers(value: Any, name: str) -> Iterator[tuple[str, int | float]]:
    """Yield every number of a nested configuration with its dotted name."""
    if hasattr(value, "as_dict"):  # a Namespace of jsonargparse
        value = value.as_dict()
    if isinstance(value, bool):
        return
    if isinstance(value, str) and name in LIMITS and re.fullmatch(r"[+-]?\d+", value):
        value = int(value[:MOST_DIGITS])  # as of devices, which may be a name too
    if isinstance(value, int | float):
        yield name, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _numbers(one, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _numbers(one, name)
