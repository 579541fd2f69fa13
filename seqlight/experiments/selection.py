"""Choosing by the validation part and judging by the test part, with every window forecast once."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import torch
from torch import Tensor

from seqlight.data import WindowDataModule
from seqlight.evaluation import ComparisonRow, WindowForecasts, forecast_windows
from seqlight.evaluation.scored_windows import tell_data
from seqlight.evaluation.window_forecasts import concatenated
from seqlight.experiments.candidates import Candidate
from seqlight.predictor import Forecast, Predictor


@dataclass(frozen=True)
class Selection:
    """Candidates judged on the same windows, the one in use, and its forecast.

    Attributes:
        candidates: all of them by the names that tables have, in the order of the tables' rows.
        chosen: name of the one in use.
        chosen_by: ``"mase"`` or ``"mae"``, the validation error that it was chosen by; None if the caller
            named it.
        weights: of each candidate in the forecast; one is 1, all others are 0, unless they are combined.
        validation: forecasts of the validation part, of all candidates or, if the caller named one, of that
            one; None where there is no validation part. ``validation.rows`` are its errors.
        test: forecasts of the test part by all candidates; ``test.rows`` are their errors.
        forecast: what comes after the last known step of each series, S windows.
        series_index: int64 ``[S]``, the series of each window of ``forecast``.
        start: int64 ``[S]``, position of its first step on the series' grid.
    """

    candidates: Mapping[str, Candidate]
    chosen: str
    chosen_by: str | None
    weights: Mapping[str, float]
    validation: WindowForecasts | None
    test: WindowForecasts
    forecast: Forecast
    series_index: Tensor
    start: Tensor

    @property
    def predictor(self) -> Predictor:
        """The one in use."""
        return self.candidates[self.chosen].predictor

    @property
    def errors(self) -> pl.DataFrame:
        """One row for each part and candidate.

        Columns: ``part, model, mae, rmse, mase, smape, windows, weight, seconds``; seconds are those of
        making it.
        """
        parts = [self.test] if self.validation is None else [self.validation, self.test]
        rows = [
            {
                "part": part.part,
                **row,
                "weight": self.weights[row["model"]],
                "seconds": self.candidates[row["model"]].seconds,
            }
            for part in parts
            for row in part.rows
        ]
        return pl.DataFrame(rows)


def select(
    candidates: Iterable[Candidate],
    data: WindowDataModule,
    *,
    name: str | None = None,
    validation: WindowForecasts | None = None,
    quantile_levels: Sequence[float] = (),
) -> Selection:
    """Choose by the error on the validation part, judge all candidates on the test part, forecast.

    The error is MASE where there is one, else MAE; of equals the last candidate is taken, so let the simplest
    come last. Each window is forecast once by each candidate.

    Args:
        candidates: from the most to the least elaborate, each name once.
        data: a DataModule that is set up; its parts are ``"val"``, ``"test"`` and ``"predict"``.
        name: the one to take, whatever its errors; None chooses.
        validation: forecasts of the validation part by all candidates, where they were made before.
        quantile_levels: the quantiles that are wanted of those that have any.

    Raises:
        ValueError: no candidate, two of one name, or ``name`` is none of theirs.

    """
    by_name: dict[str, Candidate] = {}
    for candidate in candidates:
        if by_name.setdefault(candidate.name, candidate) is not candidate:
            raise ValueError(f"candidates: expected each name once, got {candidate.name!r} twice")
    if not by_name:
        raise ValueError("candidates: expected at least one, got none")
    if name is not None and name not in by_name:
        raise ValueError(f"name: expected one of {', '.join(map(repr, by_name))}, got {name!r}")
    predictors = {called: candidate.predictor for called, candidate in by_name.items()}
    members = {
        called: one.members
        for called, one in by_name.items()
        if one.members and by_name.keys() >= set(one.members)
    }
    judged = predictors if name is None else {name: predictors[name]}
    if validation is None and len(data.dataset("val")):
        validation = forecast_windows(judged, data, part="val", quantile_levels=quantile_levels)
    chosen_by = None
    if name is None:
        if validation is None:
            raise ValueError("data: there is no validation part to choose by; name the one to take")
        chosen_by = deciding_error(validation.rows)
        name = best_row(validation.rows, chosen_by)["model"]
    forecast, series_index, start = forecast_future(predictors[name], data, quantile_levels)
    return Selection(
        candidates=by_name,
        chosen=name,
        chosen_by=chosen_by,
        weights={called: float(called == name) for called in by_name},
        validation=validation,
        test=forecast_windows(
            predictors, data, part="test", quantile_levels=quantile_levels, members=members
        ),
        forecast=forecast,
        series_index=series_index,
        start=start,
    )


def forecast_future(
    predictor: Predictor, data: Any, quantile_levels: Sequence[float] = ()
) -> tuple[Forecast, Tensor, Tensor]:
    """Forecast what comes after each series' last known step.

    Returns:
        The forecast of S windows, the series of each, and the position of its first step, int64 ``[S]``.

    """
    batches = list(data.predict_dataloader())
    tell_data([predictor], data)
    forecasts = [predictor.predict(batch, quantile_levels=quantile_levels) for batch in batches]
    index, start = (torch.cat([batch[name] for batch in batches]) for name in ("series_index", "start"))
    return concatenated(forecasts), index, start


def deciding_error(rows: Sequence[ComparisonRow]) -> str:
    """Return the error that models are chosen by: ``"mase"``, or ``"mae"`` where there is no MASE."""
    return "mase" if any(math.isfinite(row["mase"]) for row in rows) else "mae"


def best_row(rows: Sequence[ComparisonRow], column: str) -> ComparisonRow:
    """Return the row with the lowest error; the last one of equals, for simpler models come later."""
    errors: list[float] = [row[column] for row in rows]  # type: ignore[literal-required]
    ranks = [(error if math.isfinite(error) else math.inf, -index) for index, error in enumerate(errors)]
    return rows[ranks.index(min(ranks))]
