"""Several transforms, one after the other."""

from collections.abc import Iterable
from functools import partial
from typing import ClassVar, Self

from torch import Tensor, nn

from seqlight.transforms.base import Growth, Transform, WindowState
from seqlight.transforms.training_part import TrainingPart, TransformedPart


class Compose(Transform):
    """Applies transforms in order, and their inverses in reverse: ``Compose([Log(1), Difference(1)])``.

    Each is fitted on what those before it make of the training part. A part that looks beyond single cells
    (differencing, decomposition, per-window normalisation) gives windows another distribution than a whole
    series has, so whatever learns after it is fitted on windows, see :attr:`fits_on_windows`.

    Args:
        transforms: at least one, all of the same ``target_size``.

    Raises:
        TypeError: something is no transform.
        ValueError: there is none, or the sizes differ.

    """

    window_dependent: ClassVar[bool] = True

    def __init__(self, transforms: Iterable[Transform]) -> None:
        parts = list(transforms)
        if not parts:
            raise ValueError("transforms: expected at least one, got none")
        for part in parts:
            if not isinstance(part, Transform):
                raise TypeError(f"transforms: expected transforms, got {type(part).__name__}")
        sizes = [part.target_size for part in parts]
        if len(set(sizes)) > 1:
            raise ValueError(f"transforms: expected one target_size, got {sizes}")
        super().__init__(sizes[0])
        self.parts = nn.ModuleList(parts)

    @property
    def transforms(self) -> list[Transform]:
        """The parts in order."""
        return [part for part in self.parts if isinstance(part, Transform)]

    @property
    def min_context_length(self) -> int:
        """Steps for all parts: each loses the ones it needs before its own first result."""
        return 1 + sum(part.min_context_length - 1 for part in self.transforms)

    @property
    def fits_on_windows(self) -> bool:
        """Whether a part that looks beyond single cells comes before another."""
        return any(part.window_dependent for part in self.transforms[:-1])

    @property
    def scales_only(self) -> bool:  # type: ignore[override]
        """Whether all parts do."""
        return all(part.scales_only for part in self.transforms)

    @property
    def inverse_growth(self) -> Growth:
        """That of the one part that is not linear; of several, faster than any of them."""
        curved = [part.inverse_growth for part in self.transforms if part.inverse_growth != Growth.LINEAR]
        return Growth.FASTER if len(curved) > 1 else curved[0] if curved else Growth.LINEAR

    def keeps_quantiles(self, prediction_length: int) -> bool:
        """Say whether all parts do."""
        return all(part.keeps_quantiles(prediction_length) for part in self.transforms)

    def fit(self, values: Tensor, observed: Tensor | None = None) -> Self:
        """Fit each part on what those before it make of the values, in float64."""
        values = self._known_values(values, observed)
        values = values.reshape(-1, *values.shape[-2:])
        *earlier, last = self.transforms
        for part in earlier:
            values, _ = part.fit(values).transform(values)
        last.fit(values)
        self.fitted.fill_(True)
        return self

    def fit_on(self, part: TrainingPart) -> Self:
        """Do as :meth:`fit`."""
        *earlier, last = self.transforms
        for transform in earlier:
            transform.fit_on(part)
            part = TransformedPart(part, partial(_cells, transform))
        last.fit_on(part)
        self.fitted.fill_(True)
        return self

    def transform(self, past: Tensor) -> tuple[Tensor, WindowState]:
        """Return the past after all parts, and the tuple of their states."""
        states = []
        for part in self.transforms:
            past, state = part.transform(past)
            states.append(state)
        return past, tuple(states)

    def transform_future(self, future: Tensor, state: WindowState) -> Tensor:
        """Return the future after all parts."""
        for part, part_state in zip(self.transforms, state, strict=True):
            future = part.transform_future(future, part_state)
        return future

    def inverse(self, forecast: Tensor, state: WindowState) -> Tensor:
        """Return the forecast after all inverses, the last part's first."""
        for part, part_state in zip(reversed(self.transforms), reversed(state), strict=True):
            forecast = part.inverse(forecast, part_state)
        return forecast

    def extra_repr(self) -> str:  # noqa: D102
        return ""


def _cells(transform: Transform, values: Tensor) -> Tensor:
    """Rows [N, C] after a transform of single cells."""
    return transform.transform(values[None])[0][0]
