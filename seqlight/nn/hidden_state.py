"""Recurrent layers whose state is the hidden state alone."""

from typing import Any

from torch import Tensor

from seqlight.nn.recurrent import Recurrent


class HiddenStateRecurrent(Recurrent[Tensor]):
    """Base of the layers whose state is one tensor h [num_layers * num_directions, B, H]."""

    state_count = 1

    def split_state(self, state: Tensor) -> dict[str, Tensor]:
        """Name the tensor."""
        given: Any = state
        if not isinstance(given, Tensor):
            raise TypeError(
                f"{type(self).__name__}: state expected a torch.Tensor h, got {type(given).__name__}"
            )
        return {"h": given}

    def join_state(self, states: tuple[Tensor, ...]) -> Tensor:
        """Give the tensor."""
        (h,) = states
        return h
