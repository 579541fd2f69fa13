"""Networks by the names that ``--model`` and portfolios call them."""

from typing import Any

from seqlight.data import WindowDataModule
from seqlight.experiments.members import Network, networks
from seqlight.experiments.networks import build_forecaster

OTHERS = {"gru": "GRU", "wavenet": "WaveNet"}
"""Titles of the networks that are trained by name, but are in no portfolio."""

SIZED = ("lstm", "gru")
"""The networks that take ``hidden_size`` and ``num_layers``."""


def named_network(name: str, data: WindowDataModule, cycle: int | None = None, **options: Any) -> Network:
    """Return a network with the sizes of the data: one of a portfolio as it is there, or another.

    Args:
        name: ``"segment_rnn"``, ``"linear_rnn"``, ``"es_rnn"``, ``"lstm"``, ``"tcn"``, ``"gru"`` or
            ``"wavenet"``.
        data: a DataModule that is set up.
        cycle: the cycle of the clock that networks learn beside the rest, as far as they do; None for none.
        options: ``bounds``, ``nonnegative``, ``integer``, and ``hidden_size`` and ``num_layers``, which those
            of ``SIZED`` take.

    Raises:
        ValueError: an unknown name.

    """
    known = {network.name: network for network in networks(data, cycle, **options)}
    if name in known:
        return known[name]
    if name not in OTHERS:
        raise ValueError(f"name: expected one of {', '.join(map(repr, [*known, *OTHERS]))}, got {name!r}")
    taken = {
        option: value
        for option, value in options.items()
        if name in SIZED or option not in ("hidden_size", "num_layers")
    }
    return Network(name, OTHERS[name], lambda: build_forecaster(name, data, **taken))
