"""Abbreviations of zones: their offsets, and the zone that two of them together mean."""

from collections.abc import Collection

from seqlight.data.errors import DataError

# Minutes east of UTC. "CST" and others have several meanings; only with their twin of summer are they clear.
OFFSETS = {
    **dict.fromkeys(("UTC", "GMT", "Z", "WET"), 0),
    **dict.fromkeys(("CET", "WEST", "BST"), 60),
    **dict.fromkeys(("CEST", "EET"), 120),
    "EEST": 180,
    "EST": -300,
    "EDT": -240,
    "CST": -360,
    "CDT": -300,
    "MST": -420,
    "MDT": -360,
    "PST": -480,
    "PDT": -420,
    "AEST": 600,
    "AEDT": 660,
    "NZST": 720,
    "NZDT": 780,
}
_PAIRS = {
    ("CET", "CEST"): "Europe/Berlin",
    ("WET", "WEST"): "Europe/Lisbon",
    ("EET", "EEST"): "Europe/Athens",
    ("GMT", "BST"): "Europe/London",
    ("EST", "EDT"): "America/New_York",
    ("CST", "CDT"): "America/Chicago",
    ("MST", "MDT"): "America/Denver",
    ("PST", "PDT"): "America/Los_Angeles",
    ("AEST", "AEDT"): "Australia/Sydney",
    ("NZST", "NZDT"): "Pacific/Auckland",
}


def zone_of(names: Collection[str]) -> str:
    """Return the zone whose abbreviations are ``names``: winter's and summer's.

    Raises:
        DataError: they are not the two of one zone.
    """
    for pair, zone in _PAIRS.items():
        if set(names) == set(pair):
            return zone
    raise DataError(
        f"the times have the zones {', '.join(sorted(names))}, which are not winter and summer time of one "
        "known zone; write them with UTC offsets, such as +01:00"
    )
