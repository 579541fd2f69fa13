"""Members that see less of the past than the windows of the data hold."""

from dataclasses import replace
from typing import TypeVar, cast

from seqlight.data import ForecastDataModule, WindowDataModule
from seqlight.experiments.candidates import Candidate
from seqlight.experiments.seasons import seasons
from seqlight.models import EnsembleForecaster, WindowForecaster

DataT = TypeVar("DataT", bound=WindowDataModule)

LEAST_SEASONS = 2
"""Of the shortest season that a shorter window must hold."""


def shorter_look_back(data: WindowDataModule) -> int | None:
    """Return half of the windows' past, in whole seasons where it holds several; None for none.

    Long windows tell more of each series and leave fewer of them for training, and which matters more is for
    the validation part to say.

    Args:
        data: a DataModule that is set up.

    """
    if not isinstance(data, ForecastDataModule):
        return None
    half = data.context_length // 2
    season = next(iter(seasons(data)), 1)
    if half < LEAST_SEASONS * season:
        return None
    whole = half - half % season
    return whole if whole > 1 else None


def with_look_back(data: DataT, look_back: int | None) -> DataT:
    """Return the same series with windows whose past has ``look_back`` steps; None leaves them as they are.

    What each part forecasts stays, and the training part may have more windows.
    """
    if look_back is None or look_back == data.context_length:
        return data
    if not isinstance(data, ForecastDataModule):
        raise TypeError(f"data: expected a ForecastDataModule, got {type(data).__name__}")
    cut = data.until(None, replace(data.splitter, context_length=look_back))
    cut.context_length = look_back
    return cast(DataT, cut)


def over_whole_windows(candidate: Candidate, data: WindowDataModule, look_back: int | None) -> Candidate:
    """Return a candidate made with :func:`with_look_back` as one that takes the windows of ``data``.

    It forecasts from the last ``look_back`` steps of each, also when it is made again.
    """
    if look_back is None or look_back == data.context_length:
        return candidate
    predictor, again = candidate.predictor, candidate.again
    assert isinstance(predictor, WindowForecaster)

    def made_again(more: ForecastDataModule, max_time: float | None) -> Candidate:
        assert again is not None
        return over_whole_windows(again(with_look_back(more, look_back), max_time), more, look_back)

    return replace(
        candidate,
        predictor=EnsembleForecaster.of([predictor], context_length=data.context_length),
        again=None if again is None else made_again,
    )
