"""Recurrent layers take what makes torch.nn's layers; what they cannot take says what to write."""

import re
from typing import Any

import pytest
import torch
from torch import nn

import seqlight

#: As torch's constructors take them, one by one.
POSITIONAL = {
    "LSTM": (3, 5, 2, True, True, 0.25, True),
    "GRU": (3, 5, 2, False, True, 0.25, True),
    "RNN": (3, 5, 2, "relu", True, True, 0.25, True),
}


@pytest.mark.parametrize("name", POSITIONAL)
@pytest.mark.parametrize("count", range(2, 9))
def test_positional_arguments(name: str, count: int) -> None:
    arguments = POSITIONAL[name][:count]
    theirs = getattr(nn, name)(*arguments).double().eval()
    theirs.batch_first = True  # where it is not among the arguments; ours takes nothing else
    ours = getattr(seqlight.nn, name)(*arguments).double().eval()
    ours.load_state_dict(theirs.state_dict())
    assert ours.dropout == theirs.dropout
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", POSITIONAL)
def test_batch_first(name: str) -> None:
    """Given as True it changes nothing; as False it would change the meaning of x, and is refused."""
    make = getattr(seqlight.nn, name)
    layer = make(3, 5, batch_first=True)
    assert layer.batch_first
    assert layer(torch.zeros(4, 6, 3))[0].shape == (4, 6, 5)
    with pytest.raises(ValueError, match=re.escape(f"{name}: batch_first expected True, got False")) as error:
        make(3, 5, batch_first=False)
    # what the message says to write
    assert "layer(x.transpose(0, 1))" in str(error.value)
    theirs, x = getattr(nn, name)(3, 5), torch.randn(6, 4, 3)
    layer.load_state_dict(theirs.state_dict())
    output, state = layer(x.transpose(0, 1))
    torch.testing.assert_close((output.transpose(0, 1), state), theirs(x))


WRONG: list[tuple[str, tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
    ("LSTM", (3, 5, 1, True, False), {}, ValueError, "LSTM: batch_first expected True, got False"),
    ("GRU", (3, 5), {"batch_first": None}, TypeError, "GRU: batch_first expected True or False, got None"),
    ("GRU", (3, 5, 2, 0.2), {}, TypeError, "GRU: bias expected True or False, got 0.2"),
    ("RNN", (3, 5, 2, True), {}, ValueError, "nonlinearity expected 'tanh' or 'relu', got True"),
    ("LSTM", (3, 5), {"proj_size": 2}, ValueError, "LSTM: proj_size expected 0, got 2: there is no cell"),
]


@pytest.mark.parametrize(("name", "arguments", "options", "kind", "message"), WRONG)
def test_refused(name: str, arguments: Any, options: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=re.escape(message)):
        getattr(seqlight.nn, name)(*arguments, **options)
