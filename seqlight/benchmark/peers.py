"""What is compared: one `Peer` per implementation, made ready for one `Problem` as a `Runner`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor


class Case(Protocol):
    """One row of the benchmark: sizes of the work. Hashable."""

    @property
    def shape(self) -> dict[str, int]:
        """Sizes by the letters of the report's header, e.g. ``{"B": 32, "T": 50, "I": 1, "H": 20}``."""
        ...

    @property
    def label(self) -> str:
        """The case as the report's first column names it."""
        ...


@dataclass(frozen=True, eq=False)
class Problem:
    """The numbers all peers of one case work on.

    Attributes:
        case: the sizes.
        x: input, float32.
        weights: float32 weights by the names that the reference gives their gradients. A variant that has no
            use for one leaves it alone.
        state: initial state, or empty for zeros.
        grad_output: gradient of the output that backward starts from.
    """

    case: Case
    x: Tensor
    weights: Mapping[str, Tensor]
    state: tuple[Tensor, ...]
    grad_output: Tensor


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Runner:
    """A peer with its weights loaded.

    Attributes:
        forward: input to output, in the problem's layout.
        weights: the peer's own leaf tensors whose gradients training takes, by the problem's names.
        close: gives back what ``forward`` holds; called when the case is done.
        transposed: whether ``forward`` takes and gives [B, C, T] where the problem has [B, T, C]. The data
            are then transposed once, before anything is timed.
        units: how many of the family's units one call does; times are told per unit.
    """

    forward: Callable[[Tensor], Tensor]
    weights: dict[str, Tensor]
    close: Callable[[], None] = field(default=_nothing)
    transposed: bool = False
    units: int = 1

    def arrange(self, tensor: Tensor) -> Tensor:
        """A copy of one of the problem's tensors in the layout that ``forward`` works in."""
        arranged = tensor.transpose(1, 2) if self.transposed else tensor
        return arranged.clone(memory_format=torch.contiguous_format)

    def restore(self, tensor: Tensor) -> Tensor:
        """A tensor in the layout of ``forward``, in the problem's layout."""
        return tensor.transpose(1, 2) if self.transposed else tensor


@dataclass(frozen=True)
class Peer:
    """One implementation.

    Attributes:
        name: how ``--peers`` spells it.
        label: how the report spells it.
        variant: which of the family's references it must agree with.
        ours: whether it is seqlight's.
        build: makes it ready for a problem; may raise if it cannot run here.
        unfit: why it takes no part in a case and mode ("forward" or "training"), or None. With an empty
            reason the peer is left out in silence (it would have no meaning there).
        compiles: whether its first call compiles for long, so that the time is shown and limited.
    """

    name: str
    label: str
    variant: str
    build: Callable[[Problem], Runner]
    ours: bool = False
    unfit: Callable[[Case, str], str | None] = lambda case, mode: None
    compiles: bool = False
