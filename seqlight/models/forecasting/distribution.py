"""The distribution that a forecaster's head gives: point, quantiles and paths in original units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seqlight.heads import Head, PointHead, normal_scores
from seqlight.inputs import Window
from seqlight.metrics.probabilistic import NINE_LEVELS
from seqlight.models.forecasting.path_quantiles import check_levels, path_quantiles, path_scores
from seqlight.models.forecasting.step_dependence import StepDependence
from seqlight.models.forecasting.window_prediction import WindowForecast
from seqlight.models.forecasting.windows import ForecasterWindows
from seqlight.strategies import Feed, PointwiseLoss
from seqlight.transforms import WindowState


@dataclass(frozen=True)
class NetworkForecast(WindowForecast):
    """A forecast of windows, and what it was made of.

    Attributes:
        outputs: the network's, ``[B, H, C]`` or ``[B, H, C, P]``, in transformed space; None of a strategy
            that knows paths alone.

    """

    outputs: Tensor | None = None


class ForecasterDistribution(ForecasterWindows):
    """What :class:`~seqlight.models.Forecaster` makes of its network's outputs.

    Three ways lead to quantiles. Where every step has an output of its own and the transform's inverse keeps
    them, they are the head's, taken back. Where the inverse adds up steps, paths are drawn whose steps depend
    on each other as errors do (:class:`StepDependence`), taken back, and sorted. Where the strategy knows a
    step only given those before it, the paths are those that it feeds back.
    """

    head: Head
    pointwise_loss: PointwiseLoss
    num_samples: int
    dependence: StepDependence | None
    path_scores: Tensor | None

    def _build_distribution(self) -> None:
        """Make what quantiles and paths need beside the network; called once, in the constructor."""
        self.dependence = None
        self.register_buffer("path_scores", None)
        if isinstance(self.head, PointHead):
            return
        scored_levels = NINE_LEVELS if self.head.levels is None else self.head.levels
        if self.head.draws and not self.strategy.conditional:
            self.dependence = StepDependence(self.prediction_length, self.target_size)
        if self._by_paths:
            check_levels((*scored_levels, *self.quantile_levels), self.num_samples)
            scores = path_scores(self.num_samples, self.prediction_length, self.target_size)
            self.register_buffer("path_scores", scores, persistent=False)
        self._score_quantiles(scored_levels)

    @property
    def has_distribution(self) -> bool:
        """Whether the head gives more than points."""
        return not isinstance(self.head, PointHead)

    def check_levels(self, levels: Sequence[float]) -> None:
        """Raise ValueError where a forecast would not have all these quantiles."""
        normal_scores(levels)
        if isinstance(self.head, PointHead):
            if levels:
                raise ValueError(
                    "quantiles: head='point' gives none; train with head='quantile' or a distribution, such "
                    "as head='student_t', or take intervals from past errors with seqlight.intervals"
                )
        elif self._by_paths:
            check_levels(levels, self.num_samples)
        else:
            parameters = torch.zeros(self.head.parameter_count)
            self.head.quantiles(self.head.parameters(parameters), levels)

    def check_samples(self, samples: int) -> None:
        """Raise ValueError where a forecast would not have so many paths."""
        if samples and not self.has_distribution:
            raise ValueError(
                f"samples: head='point' gives points alone, got samples={samples}; train with head='normal', "
                "'student_t', 'poisson' or 'negative_binomial'"
            )

    def cell_loss(self, window: Window) -> PointwiseLoss:
        """Return the loss of every cell of windows, of the network's outputs and transformed targets."""
        scaled = self.scaled_loss
        if scaled is not None:
            return lambda outputs, target: scaled(outputs, target, window.units)
        if isinstance(self.head, PointHead):
            return self.pointwise_loss

        def loss(outputs: Tensor, target: Tensor) -> Tensor:
            if self.head.counts:
                target = (target * _like_cells(window.scale, target)).round()
            return self.head.loss(self._head_parameters(outputs, window), target)

        return loss

    def _head_parameters(self, outputs: Tensor, window: Window) -> Tensor:
        """Return the head's parameters ``[B, ..., C, P]`` for outputs of a window."""
        scale = _like_cells(window.scale, outputs[..., 0]) if self.head.counts else None
        return self.head.parameters(outputs, scale)

    def _in_transformed_space(self, values: Tensor, window: Window) -> Tensor:
        """Return a head's values ``[B, ..., C]`` as the network is given them."""
        return values / _like_cells(window.scale, values) if self.head.counts else values

    def _fed_back(self, window: Window) -> Feed | None:
        """Return what a strategy feeds back of an output: the median; None for the output itself."""
        if isinstance(self.head, PointHead):
            return None

        def median(output: Tensor, step: int) -> Tensor:
            return self._in_transformed_space(self.head.point(self._head_parameters(output, window)), window)

        return median

    def _taken_back(self, values: Tensor, state: WindowState) -> Tensor:
        """Return a head's values ``[..., B, H, C]`` in original units, within the bounds."""
        return self.bounds.apply(values) if self.head.counts else self._original_units(values, state)

    @property
    def _by_paths(self) -> bool:
        """Whether quantiles are those of paths."""
        mixes = not self.transform.keeps_quantiles(self.prediction_length)
        return not isinstance(self.head, PointHead) and (self.strategy.conditional or mixes)

    def forecast(
        self, given: Mapping[str, Tensor], levels: Sequence[float] = (), samples: int = 0
    ) -> WindowForecast:
        """Forecast one batch of windows, see :meth:`seqlight.models.WindowForecaster.forecast`."""
        return self._forecast(*self._window(given), levels, samples)

    def _forecast(
        self, window: Window, state: WindowState, levels: Sequence[float] = (), samples: int = 0
    ) -> NetworkForecast:
        """Forecast one batch of windows.

        Args:
            window: its past.
            state: the transform's.
            levels: of the quantiles; none for a head of points.
            samples: number of random paths.

        Raises:
            ValueError: the head does not know a quantile, or nothing can be drawn from it.

        """
        if isinstance(self.head, PointHead):
            decoded = self.decode(window)
            return NetworkForecast(self._original_units(decoded, state), outputs=decoded)
        outputs = None if self.strategy.conditional else self._outputs(window)
        if self._by_paths:
            check_levels(levels, self.num_samples)
            assert self.path_scores is not None
            paths = self._paths(window, state, outputs, self.path_scores)
            point, *_ = path_quantiles(paths, (0.5,), whole=self.head.counts).unbind(-1)
            quantiles = path_quantiles(paths, levels, whole=self.head.counts) if levels else None
        else:
            assert outputs is not None
            parameters = self._head_parameters(outputs, window)
            point = self._taken_back(self.head.point(parameters), state)
            quantiles = self._quantiles(parameters, state, levels) if levels else None
        drawn = None
        if samples:
            shape = (samples, *point.shape)
            scores = torch.randn(shape, device=point.device, dtype=point.dtype)
            drawn = self._paths(window, state, outputs, scores)
        return NetworkForecast(point, quantiles, drawn, outputs)

    def _outputs(self, window: Window) -> Tensor:
        outputs = self.decode(window)
        expected = (window.past.shape[0], self.prediction_length, self.target_size)
        if outputs.shape != (*expected, self.head.parameter_count):
            raise ValueError(
                f"{type(self).__name__}.decode: expected [B, H, C, P] = "
                f"{[*expected, self.head.parameter_count]} for head={self.head.name!r}, got "
                f"{list(outputs.shape)}"
            )
        return outputs

    def _quantiles(self, parameters: Tensor, state: WindowState, levels: Sequence[float]) -> Tensor:
        """Return the head's quantiles ``[B, H, C, Q]`` in original units."""
        taken_back = self._taken_back(self.head.quantiles(parameters, levels).movedim(-1, 0), state)
        # An inverse is exact up to its last bit, in which two quantiles may lie the other way round.
        rising = [taken_back[0]]
        for quantile in taken_back[1:]:
            rising.append(torch.maximum(rising[-1], quantile))
        return torch.stack(rising, dim=-1)

    def _paths(self, window: Window, state: WindowState, outputs: Tensor | None, scores: Tensor) -> Tensor:
        """Return paths ``[N, B, H, C]`` in original units.

        Args:
            window: the windows' past.
            state: the transform's.
            outputs: the network's for all steps; None of a strategy that knows paths alone.
            scores: independent normal scores ``[N, B or 1, H, C]``.

        """
        if not self.head.draws:
            self.head.value_at(scores, scores)  # which says why
        if outputs is None:
            taken_back = self._original_units(self._fed_back_paths(window, scores), state)
            return taken_back.round() if self.head.counts else taken_back
        assert self.dependence is not None
        if not torch.compiler.is_compiling():
            self._check_dependence()
        parameters = self._head_parameters(outputs, window)
        values = self.head.value_at(parameters, self.dependence(scores.to(parameters.dtype)))
        return self._taken_back(values, state)

    def _fed_back_paths(self, window: Window, scores: Tensor) -> Tensor:
        """Return paths ``[N, B, H, C]`` in transformed space, each of which goes on from its own values."""
        count, rows = scores.shape[0], window.past.shape[0]
        repeated = replace(window.repeated(count), future_head=None)

        def draw(output: Tensor, step: int) -> Tensor:
            at = scores[:, :, step].expand(count, rows, -1).flatten(0, 1).unsqueeze(1)
            values = self.head.value_at(self._head_parameters(output, repeated), at.to(output.dtype))
            return self._in_transformed_space(values, repeated)

        return self.strategy.paths(self.network, window, draw, count)

    def _check_dependence(self) -> None:
        """Raise ValueError where nothing is known yet of how errors go together.

        While a fit validates it may be so, and the steps are taken for independent.
        """
        assert self.dependence is not None
        validates = self._trainer is not None and self._trainer.validating | self._trainer.sanity_checking
        cells = self.prediction_length * self.target_size
        if not validates and cells > 1 and not bool(self.dependence.fitted):
            raise ValueError(
                "samples: paths need to know how errors of steps and channels go together, which validation "
                "learns, and this forecaster has not been validated; fit it with validation data, or call "
                "Trainer.validate(forecaster, data) once"
            )


def _like_cells(scale: Tensor | None, cells: Tensor) -> Tensor:
    """View a scale ``[B, 1, C]`` so that it broadcasts with cells ``[B, ..., C]``."""
    assert scale is not None, "heads on counts have a scale in their windows"
    return scale.reshape(scale.shape[0], *[1] * (cells.ndim - 2), scale.shape[2])
