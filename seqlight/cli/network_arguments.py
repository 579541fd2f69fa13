"""The arguments that say how a network is trained, shared by commands; no torch is imported."""

from dataclasses import dataclass
from typing import Any

from seqlight.cli.parser import duration, positive_int, seed

HIDDEN_SIZE, NUM_LAYERS, MAX_TIME = 64, 1, 60.0
SIZES = ("--hidden-size", "--num-layers")


@dataclass(frozen=True, kw_only=True)
class NetworkArguments:
    """Size and training of the network; None where the data decide."""

    hidden_size: int
    num_layers: int
    epochs: int | None
    max_time: float
    seed: int


def add_network_options(
    model: Any,
    *,
    sizes: str = "",
    max_time: float = MAX_TIME,
    time: str = "training also ends after this time",
) -> None:
    """Add the size of the network and the limits of its training to a group of options.

    Args:
        model: the group.
        sizes: whose sizes they are, where not all networks have them.
        max_time: the default of ``--max-time``.
        time: what ``--max-time`` means.

    """
    of = f" {sizes};" if sizes else ";"
    model.add_argument(
        "--hidden-size",
        type=positive_int,
        default=HIDDEN_SIZE,
        metavar="N",
        help=f"units of each layer{of} default: %(default)s",
    )
    model.add_argument(
        "--num-layers",
        type=positive_int,
        default=NUM_LAYERS,
        metavar="N",
        help=f"layers{of} default: %(default)s",
    )
    model.add_argument(
        "--epochs",
        type=positive_int,
        metavar="N",
        help="at most so many; training ends earlier when the validation loss stops falling; "
        "default: 12, more for short series",
    )
    model.add_argument(
        "--max-time",
        type=duration,
        default=max_time,
        metavar="SECONDS",
        help=f"{time}; default: {max_time:g}",
    )
    model.add_argument("--seed", type=seed, default=0, metavar="N", help="of the random numbers; default: 0")


def given_network_options(given: NetworkArguments, max_time: float = MAX_TIME) -> list[str]:
    """The options of the network that differ from their defaults; ``max_time`` is that of ``--max-time``."""
    changed = {
        "--hidden-size": given.hidden_size != HIDDEN_SIZE,
        "--num-layers": given.num_layers != NUM_LAYERS,
        "--epochs": given.epochs is not None,
        "--max-time": given.max_time != max_time,
    }
    return [option for option, is_changed in changed.items() if is_changed]
