"""What every transform of a target series offers."""

from abc import ABC, abstractmethod
from enum import Enum
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from seqlight.transforms.training_part import TrainingPart

WindowState = tuple[Any, ...]
"""What one batch of windows must remember so that its future can be transformed and forecasts inverted:
tensors, or the states of the parts of a composition.
"""


class Growth(Enum):
    """How fast an inverse grows with the forecast."""

    LINEAR = "linear"
    POWER = "power"
    EXPONENTIAL = "exponential"
    FASTER = "faster"


class Transform(nn.Module, ABC):
    """A reversible change of a target series, with what it learned from the training part as buffers.

    Values are floating-point tensors ``[..., T, C]`` (time, then target channels) in which **a missing cell
    is NaN and stays NaN**, so no mask has to travel beside them. Every method that takes a window's past
    uses nothing but that past, and so can be used on series that were not there at training.

    - :meth:`fit` learns from the training part; its results are buffers and so part of a checkpoint;
    - :meth:`transform` takes the past of a window and returns it transformed, with the window's state;
    - :meth:`transform_future` takes the true future of the same window (training and validation);
    - :meth:`inverse` takes a forecast for that future back to original units.

    For all windows, ``inverse(transform_future(future, state), state)`` equals ``future`` up to rounding
    wherever all of the future that the transform needs is known. In float32 rounding is about 1e-6 of the
    largest value met on the way; buffers of :meth:`torch.nn.Module.double` give float64's.

    **Sample paths** (the leading dimensions of :meth:`inverse`) always come back right, and so quantiles may
    be taken of the paths that came back. Quantiles of each step by itself come back as that step's quantiles
    where :meth:`keeps_quantiles` says so.

    Args:
        target_size: number of target channels C.

    """

    window_dependent: ClassVar[bool] = False
    """Whether a cell's result depends on other cells of its window, and not on its own value alone."""

    scales_only: ClassVar[bool] = False
    """Whether it divides by a positive number, one for all steps of a window, and does nothing else, so that
    what comes of counts still has their distributions."""

    fitted: Tensor

    def __init__(self, target_size: int) -> None:
        super().__init__()
        if target_size < 1:
            raise ValueError(f"target_size must be at least 1, got {target_size}")
        self.target_size = target_size
        self.register_buffer("fitted", torch.tensor(False))

    @property
    def min_context_length(self) -> int:
        """Steps that the past of a window must have."""
        return 1

    @property
    def fits_on_windows(self) -> bool:
        """Whether :meth:`fit` needs windows ``[N, L, C]``, as they come in training, and not just cells."""
        return False

    @property
    def inverse_growth(self) -> Growth:
        """How fast :meth:`inverse` grows with the forecast, which says of what it has a finite mean."""
        return Growth.LINEAR

    def keeps_quantiles(self, prediction_length: int) -> bool:
        """Say whether :meth:`inverse` takes quantiles of every step to quantiles, for so many steps ahead.

        It does where each step of the result is an increasing function of that step of the forecast alone.
        """
        return True

    @abstractmethod
    def fit(self, values: Tensor, observed: Tensor | None = None) -> Self:
        """Learn from the training part and return self.

        Args:
            values: training values ``[..., C]`` in original units; NaN where missing. Where
                :attr:`fits_on_windows`, ``[..., T, C]``: windows, or one whole series.
            observed: bool ``[..., C]``, False where a cell is missing; None means all that are not NaN.

        """

    def fit_on(self, part: TrainingPart) -> Self:
        """Learn as :meth:`fit` does, of a training part that is too large to be held; return self.

        Only for transforms that need no windows, see :attr:`fits_on_windows`. This one holds a copy after
        all; a subclass that does not need to overrides it.

        Args:
            part: the rows of the training part.

        """
        return self.fit(torch.cat(list(part.parts())))

    @abstractmethod
    def transform(self, past: Tensor) -> tuple[Tensor, WindowState]:
        """Transform the past of a batch of windows.

        Args:
            past: ``[B, L, C]`` in original units, NaN where missing.

        Returns:
            The transformed past ``[B, L, C]`` and the state that the other two methods need.

        """

    @abstractmethod
    def transform_future(self, future: Tensor, state: WindowState) -> Tensor:
        """Transform the values that follow the past of the same windows: ``[B, H, C]`` to ``[B, H, C]``."""

    @abstractmethod
    def inverse(self, forecast: Tensor, state: WindowState) -> Tensor:
        """Take a forecast ``[..., B, H, C]`` of the same windows back to original units."""

    def extra_repr(self) -> str:  # noqa: D102
        return f"target_size={self.target_size}"

    @staticmethod
    def _check_flag(name: str, value: bool) -> bool:
        """Return ``value``, which must be a bool: the word ``"false"`` counts as true."""
        if not isinstance(value, bool):
            raise TypeError(f"{name}: expected True or False, got {value!r} ({type(value).__name__})")
        return value

    def _check_length(self, past: Tensor) -> None:
        """Raise where the past of :meth:`transform` is shorter than ``min_context_length``."""
        if past.shape[-2] < self.min_context_length:
            raise ValueError(
                f"past: {self!r} needs at least {self.min_context_length} steps, got {past.shape[-2]}; "
                "make the window longer or the lags and seasons shorter"
            )

    def _training_values(self, values: Tensor, observed: Tensor | None) -> Tensor:
        """Check what :meth:`fit` was given and return it as float64 ``[N, C]``, NaN where missing."""
        return self._known_values(values, observed).reshape(-1, self.target_size)

    def _known_values(self, values: Tensor, observed: Tensor | None) -> Tensor:
        """Check what :meth:`fit` was given and return it as float64 ``[..., C]``, NaN where missing."""
        if values.ndim < 2 or values.shape[-1] != self.target_size:
            raise ValueError(
                f"values: expected a shape [..., {self.target_size}] with the target channels last, "
                f"got {list(values.shape)}"
            )
        if observed is not None and observed.shape != values.shape:
            raise ValueError(
                f"observed: expected the shape of values, {list(values.shape)}, got {list(observed.shape)}"
            )
        values = values.detach().to(torch.float64)
        if observed is not None:
            values = values.masked_fill(~observed.bool(), torch.nan)
        return values
