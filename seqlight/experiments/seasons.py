"""The seasons that data may have, by their step: day, week, year."""

from typing import Any

from seqlight.data.time.frequency import DAY, WEEK, FixedFrequency, MonthFrequency

YEAR_OF_DAYS = 365
LEAST_CYCLES = 3
"""Times that a cycle must have come round in the training part to be learned."""


def seasons(data: Any) -> list[int]:
    """Return the steps of a day, a week and a year, as far as they are whole numbers above 1, rising.

    The DataModule's own season is among them, whatever the step.

    Args:
        data: a DataModule of windows that is set up.

    """
    found = {int(data.season_length)}
    grid = data.store.grid
    frequency = None if grid is None else grid.frequency
    if isinstance(frequency, FixedFrequency):
        step = frequency.step
        found |= {span // step for span in (DAY, WEEK) if span % step == 0}
        if step == DAY:
            found.add(YEAR_OF_DAYS)
        elif step == WEEK:
            found.add(YEAR_OF_DAYS // 7)
    elif isinstance(frequency, MonthFrequency) and 12 % frequency.months == 0:
        found.add(12 // frequency.months)
    return sorted(season for season in found if season > 1)


def learnable_cycles(data: Any) -> list[int]:
    """Return the seasons that come round often enough in training for each of their steps to be learned."""
    longest = int(data.split.train_stop.max()) if hasattr(data, "split") else data.context_length
    return [season for season in seasons(data) if LEAST_CYCLES * season <= longest]
