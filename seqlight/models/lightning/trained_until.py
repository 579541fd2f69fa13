"""Up to which step of each series a model was trained, so that it is not judged on what it has seen."""

from typing import Any

import numpy as np


class TrainedOnTargetsError(ValueError):
    """A model was trained on what it is to be judged by."""


def check_trained_before(model: Any, data: Any, start: Any, name: str) -> None:
    """Raise where a model was trained on targets that it is to be judged by.

    Args:
        model: has ``trained_until``, by series the time of the last target of training as an integer of the
            time axis (microseconds since 1970, or the position in series without times); one without passes.
        data: the DataModule of the series: ``series_ids``, ``store``, ``format_timestamps``.
        start: int ``[S]``, position of the first step of each series to be judged.
        name: what the model is called.

    Raises:
        TrainedOnTargetsError: naming the first such series, and both times.

    """
    until = getattr(model, "trained_until", None)
    if not until:
        return
    series = data.series_ids
    known = np.array([index for index, one in enumerate(series) if one in until], np.int64)
    if not len(known):
        return
    first = data.store.timestamps_at(known, np.asarray(start, np.int64)[known])
    last = np.array([until[series[index]] for index in known], np.int64)
    early = np.flatnonzero(first.to_physical().to_numpy() <= last)
    if len(early):
        place = int(early[0])
        begins = data.format_timestamps(first[place : place + 1])[0]
        ended = (first[place : place + 1].to_physical() * 0 + int(last[place])).cast(first.dtype)
        raise TrainedOnTargetsError(
            f"{name} was trained on series {series[int(known[place])]!r} up to "
            f"{data.format_timestamps(ended)[0]} and cannot be judged from {begins} on; judge it on later "
            "data, or the model as it was before it was trained on these"
        )


def check_part_is_later(model: Any, data: Any, part: str, name: str) -> None:
    """Raise where a model was trained on targets of a part ("val", "calibration", "test") of a DataModule.

    Raises:
        TrainedOnTargetsError: naming the first such series, and both times.

    """
    if getattr(model, "trained_until", None) and hasattr(data, "split"):
        check_trained_before(model, data, data.split.targets(part)[0], name)


def last_targets(data: Any, stop: Any) -> dict[str, int]:
    """Return by series the time of the last step before ``stop`` [S], for ``trained_until``.

    Series without any such step are left out.
    """
    stop = np.asarray(stop, np.int64)
    begun = np.flatnonzero(stop > 0)
    times = data.store.timestamps_at(begun, stop[begun] - 1).to_physical().to_list()
    return {data.series_ids[index]: int(time) for index, time in zip(begun.tolist(), times, strict=True)}
