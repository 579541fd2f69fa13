"""Up to which step of each series a model was trained, so that it is not judged on what it has seen."""

from typing import Any


class TrainedOnTargetsError(ValueError):
    """A model was trained on what it is to be judged by."""


def check_trained_before(model: Any, data: Any, start: Any, name: str) -> None:
    """Raise where a model was trained on targets that it is to be judged by.

    Args:
        model: has ``trained_until``, by series the time of the last target of training as an integer of the
            time axis (microseconds since 1970, or the position in series without times); one without passes.
        data: the DataModule of the series: ``series_ids``, ``timestamps``, ``format_timestamps``.
        start: int ``[S]``, position of the first step of each series to be judged.
        name: what the model is called.

    Raises:
        TrainedOnTargetsError: naming the first such series, and both times.

    """
    until = getattr(model, "trained_until", None)
    if not until:
        return
    for index, series in enumerate(data.series_ids):
        last = until.get(series)
        if last is None:
            continue
        first = data.timestamps(index, int(start[index]), 1)
        physical = first.to_physical()
        if int(physical[0]) <= last:
            begins = data.format_timestamps(first)[0]
            ended = data.format_timestamps((physical * 0 + last).cast(first.dtype))[0]
            raise TrainedOnTargetsError(
                f"{name} was trained on series {series!r} up to {ended} and cannot be judged from {begins} "
                "on; judge it on later data, or the model as it was before it was trained on all data"
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
    found = {}
    for index, series in enumerate(data.series_ids):
        if stop[index] > 0:
            found[series] = int(data.timestamps(index, int(stop[index]) - 1, 1).to_physical()[0])
    return found
