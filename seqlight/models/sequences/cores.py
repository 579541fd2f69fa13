"""Sequence layers by name, for models that can be built upon any of them."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from seqlight.models.lightning.checks import choose
from seqlight.nn import GRU, LSTM, RNN, TCN, WaveNet

RECURRENT_CORES: dict[str, type[nn.Module]] = {"lstm": LSTM, "gru": GRU, "rnn": RNN}
"""The recurrent layers by name."""

CORES: dict[str, type[nn.Module]] = RECURRENT_CORES | {"tcn": TCN, "wavenet": WaveNet}
"""All sequence layers by the names that a model's ``core`` argument takes."""


def build_core(
    core: str,
    input_size: int,
    hidden_size: int,
    options: Mapping[str, Any] | None = None,
    *,
    name: str = "core_options",
) -> nn.Module:
    """Return a layer from ``[B, T, input_size]`` to ``[B, T, hidden_size]`` (twice that if bidirectional).

    Args:
        core: a key of :data:`CORES`.
        input_size: channels of the input.
        hidden_size: units, or channels of the convolutions.
        options: further arguments of the layer, plain values.
        name: what the caller's argument for ``options`` is called, for messages.

    Raises:
        ValueError: an unknown core, an option that the layer does not have, or a value that it refuses.

    """
    layer = choose("core", core, CORES)
    options = dict(options or {})
    taken = {"self", "input_size", "hidden_size", "output_size", "device", "dtype"}
    known = inspect.signature(layer).parameters.keys() - taken
    unknown = sorted(options.keys() - known)
    if unknown:
        raise ValueError(
            f"{name}: {layer.__name__} has no option {unknown[0]!r}; it has {', '.join(sorted(known))}"
        )
    if layer is WaveNet:
        return WaveNet(input_size, hidden_size, hidden_size=hidden_size, **options)
    return layer(input_size, hidden_size, **options)


def output_channels(core: nn.Module, hidden_size: int) -> int:
    """Return the channels of a core's output."""
    return hidden_size * int(getattr(core, "num_directions", 1))
