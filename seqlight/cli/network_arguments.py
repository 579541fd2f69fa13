"""The arguments that say how a network is trained, shared by commands; no torch is imported."""

from dataclasses import dataclass
from typing import Any

from seqlight.cli.parser import duration, positive_int, seed

HIDDEN_SIZE, NUM_LAYERS, MAX_TIME = 64, 1, 60.0


@dataclass(frozen=True, kw_only=True)
class NetworkArguments:
    """Size and training of the network; None where the data decide."""

    hidden_size: int
    num_layers: int
    epochs: int | None
    max_time: float
    seed: int


def add_network_options(model: Any) -> None:
    """Add the size of the network and the limits of its training to a group of options."""
    model.add_argument(
        "--hidden-size", type=positive_int, default=HIDDEN_SIZE, metavar="N", help="default: %(default)s"
    )
    model.add_argument(
        "--num-layers", type=positive_int, default=NUM_LAYERS, metavar="N", help="default: %(default)s"
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
        default=MAX_TIME,
        metavar="SECONDS",
        help="training also ends after this time; default: 60",
    )
    model.add_argument("--seed", type=seed, default=0, metavar="N", help="of the random numbers; default: 0")


def given_network_options(given: NetworkArguments) -> list[str]:
    """The options of the network that differ from their defaults."""
    changed = {
        "--hidden-size": given.hidden_size != HIDDEN_SIZE,
        "--num-layers": given.num_layers != NUM_LAYERS,
        "--epochs": given.epochs is not None,
        "--max-time": given.max_time != MAX_TIME,
    }
    return [option for option, is_changed in changed.items() if is_changed]
