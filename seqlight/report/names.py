"""Names from the data as text that does no harm: no control characters, no turned direction, no flood."""

import re
import unicodedata

SHORT = 60

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]")
_ISOLATE, _END = "\u2068", "\u2069"
_TURNING = ("R", "AL", "AN", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "FSI", "PDF", "PDI")


def clean(text: str) -> str:
    """Replace what HTML does not allow, such as control characters and halves of surrogate pairs."""
    return _CONTROL.sub("\ufffd", text)


def plain(text: object) -> str:
    """A name for the middle of a sentence or an attribute: one line, at most 60 characters, isolated.

    Text that runs from right to left, or says so, is put between marks that keep it from turning the rest.
    """
    line = " ".join(clean(str(text)).split())
    if len(line) > SHORT:
        line = f"{line[: SHORT - 1]}…"
    if any(unicodedata.bidirectional(character) in _TURNING for character in line):
        return f"{_ISOLATE}{line}{_END}"
    return line
