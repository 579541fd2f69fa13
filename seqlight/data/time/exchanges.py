"""Trading days of exchanges, from the package exchange_calendars."""

import warnings
from functools import cache
from typing import Any

import numpy as np

from seqlight.data.errors import DataError
from seqlight.data.time.steps import BoolArray

#: Days since 1970 of the first and behind the last day that :func:`open_days` tells: 1960 to 2099.
FIRST_DAY = -3653
_END_DAY = 47_482
_EARLIEST = "1990-01-01"
_INSTALL = "pip install 'seqlight[calendars]'"


def exchange_zone(code: str) -> str:
    """Return the zone of an exchange, such as "America/New_York"."""
    return str(_calendar(code).tz)


@cache
def open_days(code: str) -> BoolArray:
    """Return which days from 1960-01-01 to 2099-12-31 are trading days of an exchange.

    Beyond the years that exchange_calendars knows (it looks about a year ahead), every day of the week on
    which there usually is trading counts, and holidays are not known.

    Args:
        code: such as "XNYS".

    Returns:
        [days] bool.

    Raises:
        DataError: exchange_calendars is not installed or does not know the code.
    """
    calendar = _calendar(code)
    sessions = calendar.sessions.to_numpy("datetime64[D]").astype(np.int64)
    weekly = np.bincount((sessions[-1000:] + 3) % 7, minlength=7) > 100
    days = np.arange(FIRST_DAY, _END_DAY)
    is_open = weekly[(days + 3) % 7]
    known_days = (days >= sessions[0]) & (days <= sessions[-1])
    is_open[known_days] = np.isin(days[known_days], sessions)
    return is_open


@cache
def _calendar(code: str) -> Any:
    try:
        import exchange_calendars
    except ImportError:
        raise DataError(
            f"calendar: {code!r} would be an exchange, whose days the package exchange_calendars knows; "
            f"install it: {_INSTALL}"
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own use of deprecated parts of pandas
        try:
            return exchange_calendars.get_calendar(code, start=_EARLIEST)
        except exchange_calendars.errors.InvalidCalendarName:
            names = exchange_calendars.get_calendar_names(include_aliases=False)
            known = ", ".join(name for name in sorted(names) if name.startswith("X"))
            raise DataError(f"calendar: there is no exchange {code!r}; there are {known}") from None
        except (ValueError, NotImplementedError):
            return exchange_calendars.get_calendar(code)  # its holidays are not known so far back
