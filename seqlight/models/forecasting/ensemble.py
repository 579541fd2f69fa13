"""The weighted mean of the forecasts of several forecasters."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from seqlight.models.forecasting.fixed_forecaster import FixedForecaster
from seqlight.models.forecasting.window_forecaster import WindowForecaster
from seqlight.models.forecasting.window_prediction import WindowForecast
from seqlight.models.forecasting.window_values import Batch
from seqlight.models.lightning.checkpoint import MODELS, class_reference
from seqlight.models.lightning.checks import check_integer
from seqlight.models.lightning.evaluation_mode import evaluation_mode
from seqlight.models.lightning.load import class_named
from seqlight.models.lightning.series_rows import SeriesRows
from seqlight.predictor import Forecast

OVER_PAST = (
    "past_target",
    "past_observed",
    "past_covariates",
    "past_categories",
    "historic_future_covariates",
    "historic_future_categories",
)
"""The entries of a batch over a window's past, of which a member takes the last steps."""


class EnsembleForecaster(FixedForecaster):
    r"""Forecasts the weighted mean of what its members forecast, in original units:

    .. math::
        \hat y = \sum_m w_m \hat y^{(m)}, \qquad w_m \ge 0, \quad \sum_m w_m = 1

    Each member transforms the window itself and is given what it was built for. Members may have contexts of
    different lengths; each takes the last steps of the window. The members are part of the module: its
    checkpoint and its ONNX file hold them all. Trained as they are, they are not trained further here.

    **Quantiles** are averaged level by level, with the same weights. A member that gives a point alone counts
    as its point, moved by the mean distance of the others' quantiles from their points; so the ensemble has
    quantiles if one member has, at the levels that all those members know. Sample paths it has none.

    :func:`seqlight.experiments.portfolio` trains members and finds weights; :meth:`of` joins forecasters that
    are there.

    Args:
        members: for each member its class, under ``"class"`` as a name of :mod:`seqlight.models` or as
            ``"module:name"``, and under ``"arguments"`` those that make it. Plain values, so that a
            checkpoint holds them.
        weights: one for each member, which add up to 1; None for the same for all.
        series_ids: names of series that have weights of their own.
        series_weights: these, one list for each of the names. Batches and calls then need ``series_index``;
            all other series have ``weights``.
        context_length: number L of past steps, at least that of each member.
        prediction_length: number H of future steps, that of each member.
        target_size: number C of target channels, that of each member.
        bounds: the lowest and the highest value of the mean, as in :class:`WindowForecaster`.
        nonnegative: the same as a lowest value of 0.
        integer: round the mean to whole numbers.

    Raises:
        TypeError: a member is no forecaster.
        ValueError: no member, weights that do not fit or do not add up to 1, or members of other sizes.

    """

    members: nn.ModuleList
    weights: Tensor
    own_weights: Tensor

    def __init__(
        self,
        *,
        members: list[dict[str, Any]],
        weights: list[float] | None = None,
        series_ids: list[str] | None = None,
        series_weights: list[list[float]] | None = None,
        context_length: int,
        prediction_length: int,
        target_size: int = 1,
        bounds: tuple[float | None, float | None] | None = None,
        nonnegative: bool = False,
        integer: bool = False,
    ) -> None:
        made = [_member(number, one) for number, one in enumerate(members)]
        super().__init__(
            context_length=check_integer("context_length", context_length, 1),
            prediction_length=prediction_length,
            target_size=target_size,
            bounds=bounds,
            nonnegative=nonnegative,
            integer=integer,
        )
        if not members:
            raise ValueError("members: expected at least one, got none")
        self.members = nn.ModuleList(made)
        for number, member in enumerate(self.forecasters):
            self._check_sizes(number, member)
        self.future_covariate_size = max(one.future_covariate_size for one in made)
        weights = [1 / len(members)] * len(members) if weights is None else weights
        names, rows = series_ids or [], series_weights or []
        if len(names) != len(rows):
            raise ValueError(
                f"series_weights: expected one list for each of the {len(names)} series_ids, got {len(rows)}"
            )
        for row in (weights, *rows):
            _check_weights(row, len(members))
        self.series_rows = SeriesRows(names) if names else None
        table = torch.tensor([*rows, weights], dtype=torch.float64)
        self.register_buffer("weight_table", (table / table.sum(1, keepdim=True)).float())
        self.quantile_levels = _common(one.quantile_levels for one in made if one.has_distribution)
        scored_levels = _common(one.scored_levels for one in made if one.has_distribution)
        if scored_levels:
            self._score_quantiles(scored_levels)

    @classmethod
    def of(
        cls, forecasters: Sequence[WindowForecaster], weights: Sequence[float] | None = None, **kwargs: Any
    ) -> Self:
        """Join forecasters, with copies of their weights and all that they have learned.

        Args:
            forecasters: of one horizon and number of channels.
            weights: one for each; None for the same for all.
            kwargs: ``series_ids``, ``series_weights``, bounds, and a ``context_length`` above the longest of
                the members, which it is by default.

        """
        if not forecasters:
            raise ValueError("forecasters: expected at least one, got none")
        members = [
            {
                "class": class_reference(type(one)),
                "arguments": {
                    name: value
                    for name, value in one._arguments_to_save().items()
                    if not name.startswith("_")
                },
            }
            for one in forecasters
        ]
        made = cls(
            members=members,
            weights=None if weights is None else [float(weight) for weight in weights],
            **{"context_length": max(one.context_length for one in forecasters)} | kwargs,
            prediction_length=forecasters[0].prediction_length,
            target_size=forecasters[0].target_size,
        )
        until: dict[str, int] = {}
        for member, one in zip(made.forecasters, forecasters, strict=True):
            member.load_state_dict(one.state_dict())
            for series, last in (one.trained_until or {}).items():
                until[series] = max(last, until.get(series, last))
        made.trained_until = until or None
        return made

    @property
    def forecasters(self) -> list[WindowForecaster]:
        """The members."""
        return [member for member in self.members if isinstance(member, WindowForecaster)]

    @property
    def has_distribution(self) -> bool:
        """Whether a member has quantiles."""
        return any(member.has_distribution for member in self.forecasters)

    def check_levels(self, levels: Sequence[float]) -> None:
        """Raise ValueError where a member with quantiles would not have all of these."""
        if not self.has_distribution:
            super().check_levels(levels)
        for member in self.forecasters:
            if member.has_distribution:
                member.check_levels(levels)

    @property
    def onnx_obstacle(self) -> str | None:
        """Why a member, which is named, has no form in ONNX; None where all have one."""
        for number, member in enumerate(self.forecasters):
            if member.onnx_obstacle is not None:
                return f"members[{number}]: {type(member).__name__}: {member.onnx_obstacle}"
        return None

    @property
    def takes_phase(self) -> bool:
        """Whether a member has a cycle."""
        return any(member.takes_phase for member in self.forecasters)

    @property
    def takes_series(self) -> bool:
        """Whether series have weights of their own, or a member knows them."""
        return self.series_rows is not None or any(member.takes_series for member in self.forecasters)

    @property
    def covariates_taken(self) -> list[str]:
        """The covariates and categories of a batch that a member needs."""
        return list(dict.fromkeys(name for one in self.forecasters for name in one.covariates_taken))

    def use_series(self, ids: Sequence[str]) -> None:
        """Take ``series_index`` of batches for positions in ``ids`` from now on."""
        if self.series_rows is not None:
            self.series_rows.use(ids)
        for member in self.forecasters:
            member.use_series(ids)

    def check_data(self, data: Any) -> None:
        """Compare a DataModule with what the members were trained on, and find their series in it."""
        super().check_data(data)
        for member in self.forecasters:
            member.check_data(data)

    def example_inputs(self, batch_size: int = 1) -> dict[str, Tensor]:
        """Return keyword arguments of :meth:`forward` with the right shapes, for export and tests."""
        made: dict[str, Tensor] = super().example_inputs(batch_size)
        for member in self.forecasters:
            for name, value in member.example_inputs(batch_size).items():
                if name in OVER_PAST:
                    shape = (batch_size, self.context_length, *value.shape[2:])
                    value = value[:, :1].expand(shape).clone()
                made.setdefault(name, value)
        return made

    def forecast(
        self, given: Mapping[str, Tensor], levels: Sequence[float] = (), samples: int = 0
    ) -> WindowForecast:
        """Forecast one batch of windows, see :meth:`seqlight.models.WindowForecaster.forecast`."""
        if self.training:  # the members are trained already: nothing is dropped
            with evaluation_mode(self):
                return self.forecast(given, levels, samples)
        made = []
        for member in self.forecasters:
            entries = self._given(member, given)
            wanted = levels if member.has_distribution else ()
            made.append(member._forecast_of_values(entries.pop("past_target"), entries, wanted))
        return self._joined(made, given)

    def joined(self, batch: Batch, forecasts: Sequence[Forecast]) -> Forecast:
        """Return what :meth:`predict` does for a batch, of forecasts that its members have made.

        Args:
            batch: as in :meth:`predict`.
            forecasts: of each member, in their order, at the same quantiles.

        """
        if len(forecasts) != len(self.members):
            raise ValueError(
                f"forecasts: expected {len(self.members)}, one for each member, got {len(forecasts)}"
            )
        here = {name: value.to(self.device) for name, value in batch.items()}
        levels = next((one.quantile_levels for one in forecasts if one.quantiles is not None), ())
        made = [
            (one.point.to(self.device), None if one.quantiles is None else one.quantiles.to(self.device))
            for one in forecasts
        ]
        with evaluation_mode(self):
            given = self._forecast_checked(here, lambda values: self._joined(made, values))
        home = batch["past_target"].device
        quantiles = None if given.quantiles is None else given.quantiles.to(home)
        return Forecast(given.point.to(home), quantiles, levels)

    def _joined(
        self, made: Sequence[tuple[Tensor, Tensor | None]], given: Mapping[str, Tensor]
    ) -> WindowForecast:
        """Return the mean of the members' points and quantiles."""
        spreads, spreading = [], []
        for number, (point, quantiles) in enumerate(made):
            if quantiles is not None:
                spreads.append(quantiles - point.unsqueeze(-1))
                spreading.append(number)
        forecasts = torch.stack([point for point, _ in made])
        # A member whose shorter window holds no known value has no forecast; the others share its weight.
        parts = torch.where(forecasts.isnan(), 0.0, self._weights(given))
        mean = _weighted_mean(forecasts, parts)
        if not spreads:
            return WindowForecast(self.bounds.apply(mean))
        spread = _mean_spread(torch.stack(spreads), parts[spreading])
        # Rounding may turn two quantiles that lie close together the other way round.
        rising = [mean + spread[..., 0]]
        for step in spread.unbind(-1)[1:]:
            rising.append(torch.maximum(rising[-1], mean + step))
        return WindowForecast(self.bounds.apply(mean), self.bounds.apply(torch.stack(rising, dim=-1)))

    def _given(self, member: WindowForecaster, entries: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what a member takes of the entries of a batch."""
        names = ["past_target", "past_observed", *member.entries_taken]
        return {
            name: entries[name][:, -member.context_length :] if name in OVER_PAST else entries[name]
            for name in names
            if entries.get(name) is not None
        }

    def _weights(self, entries: Mapping[str, Tensor]) -> Tensor:
        """Return the members' weights ``[M, 1 or B, 1, 1]``."""
        table: Tensor = self.weight_table  # type: ignore[assignment]
        if self.series_rows is None:
            return table[-1].view(-1, 1, 1, 1)
        return table[self.series_rows(entries["series_index"])].T[..., None, None]

    def _check_sizes(self, number: int, member: WindowForecaster) -> None:
        sizes = {"prediction_length": self.prediction_length, "target_size": self.target_size}
        for name, size in sizes.items():
            if getattr(member, name) != size:
                raise ValueError(f"members[{number}]: expected {name} = {size}, got {getattr(member, name)}")
        if member.context_length > self.context_length:
            raise ValueError(
                f"members[{number}]: expected a context_length of at most {self.context_length}, that of the "
                f"ensemble, got {member.context_length}"
            )


def _common(levels: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    """Return the levels that all have, rising; none of none."""
    first, *others = [set(some) for some in levels] or [set()]
    return tuple(sorted(first.intersection(*others)))


def _weighted_mean(values: Tensor, parts: Tensor) -> Tensor:
    """Return the mean over the first axis; a value of weight 0 is left out, whatever it is."""
    return torch.where(parts > 0, values * parts, 0.0).sum(0) / parts.sum(0)


def _mean_spread(spreads: Tensor, parts: Tensor) -> Tensor:
    """Return the weighted mean distance of quantiles from their points, ``[B, H, C, Q]``.

    Args:
        spreads: of each member with quantiles, ``[D, B, H, C, Q]``.
        parts: these members' weights ``[D, B, H, C]``; where all are 0, which leaves points alone, all of
            them count the same.

    """
    alike = (~spreads[..., 0].isnan()).to(parts.dtype)
    return _weighted_mean(spreads, torch.where(parts.sum(0) > 0, parts, alike).unsqueeze(-1))


def _member(number: int, described: Any) -> WindowForecaster:
    if not isinstance(described, Mapping) or not isinstance(described.get("class"), str):
        raise TypeError(
            f"members[{number}]: expected a dict with 'class' and 'arguments', got {described!r}; "
            "EnsembleForecaster.of joins forecasters that are there"
        )
    reference = described["class"]
    own: Any = getattr(sys.modules[MODELS], reference, None)
    found = class_named(reference) if ":" in reference else own
    if not isinstance(found, type) or not issubclass(found, WindowForecaster):
        raise TypeError(f"members[{number}]: expected the name of a forecaster, got {reference!r}")
    made: WindowForecaster = found(**described.get("arguments", {}))
    return made


def _check_weights(weights: Sequence[float], members: int) -> None:
    if len(weights) != members:
        raise ValueError(f"weights: expected {members}, one for each member, got {len(weights)}")
    if any(not weight >= 0 for weight in weights) or abs(sum(weights) - 1) > 1e-3:
        raise ValueError(f"weights: expected numbers of at least 0 that add up to 1, got {list(weights)}")
