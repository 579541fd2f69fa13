"""Numbers in text: which reading fits every cell of a column, and whether more than one does."""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

MISSING_SPELLINGS = ("", "na", "n/a", "#n/a", "nan", "null", "none", "-", "?")
THOUSANDS = (",", ".", " ", "'")

# [0-9], for the digits of other scripts, which \\d takes too, are no numbers to those who parse them.
_SIGN = r"[+-]?"
_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
# What stands for a blank, an apostrophe or a minus in files that were typeset.
_TYPESET = (("[\u00a0\u2009\u202f]", " "), ("\u2019", "'"), ("\u2212", "-"))


@dataclass(frozen=True)
class NumberStyle:
    """How numbers are written: the decimal mark, "." or ",", and what groups thousands (None: nothing)."""

    decimal: str
    thousands: str | None = None

    @property
    def pattern(self) -> str:
        """A regular expression for a whole cell, in groups of three (or the Indian way) or without."""
        mark = rf"\{self.decimal}"
        plain = rf"(?:[0-9]+{mark}?[0-9]*|{mark}[0-9]+){_EXPONENT}"
        if self.thousands is None:
            return rf"^{_SIGN}{plain}$"
        group = rf"\{self.thousands}" if self.thousands in ",." else self.thousands
        grouped = rf"[1-9][0-9]{{0,2}}(?:{group}[0-9]{{3}})+(?:{mark}[0-9]*)?"
        if self.thousands == ",":
            grouped = rf"(?:{grouped}|[1-9][0-9]?(?:,[0-9]{{2}})+,[0-9]{{3}}(?:{mark}[0-9]*)?)"
        return rf"^{_SIGN}(?:{plain}|{grouped})$"

    def numbers(self, text: pl.Series) -> pl.Series:
        """Cells as Float64; null for what is not written in this style."""
        fits = text.str.contains(self.pattern)
        if self.thousands is not None:
            text = text.str.replace_all(self.thousands, "", literal=True)
        if self.decimal == ",":
            text = text.str.replace(",", ".", literal=True)
        return text.cast(pl.Float64, strict=False).set(~fits, None)

    def __str__(self) -> str:
        """The arguments that pin the style."""
        if self.thousands is not None:
            return f"thousands={self.thousands!r}"
        return f"decimal_comma={self.decimal == ','}"


STYLES = tuple(
    NumberStyle(decimal, thousands)
    for thousands in (None, *THOUSANDS)
    for decimal in (".", ",")
    if decimal != thousands
)


@dataclass(frozen=True)
class TextNumbers:
    """A text column read as numbers.

    Attributes:
        values: Float64, null where a cell is missing.
        style: what was taken; of several styles with the same values the plainest.
        other: a second style that fits every cell as well and gives other values; None if the first is the
            only reading.
        example: row of the first cell that the two styles read differently.
        bad: row of the first cell that is no number; None if all are.
        decided: whether a cell shows the decimal mark, that is, reads in no other way.
    """

    values: pl.Series
    style: NumberStyle
    other: NumberStyle | None = None
    example: int | None = None
    bad: int | None = None
    decided: bool = False


def tidied(text: pl.Series) -> pl.Series:
    """Cells without blanks around them, with typeset blanks, apostrophes and minus signs as plain ones."""
    text = text.str.strip_chars()
    if text.str.contains("[\u00a0\u2009\u202f\u2019\u2212]").any():
        for pattern, plain in _TYPESET:
            text = text.str.replace_all(pattern, plain)
    return text


def is_missing(text: pl.Series, spellings: Iterable[str] = ()) -> pl.Series:
    """Whether each stripped cell is empty or spells a missing value, the usual way or one of ``spellings``.

    A spelling that is a number stands for that number however it is written: -9999 also for -9999.0.
    """
    known = text.str.to_lowercase().is_in(MISSING_SPELLINGS)
    own = list(spellings)
    if own:
        known |= text.is_in(own)
        sentinels = [number for number in map(as_float, own) if number is not None]
        if sentinels:
            numbers = text.cast(pl.Float64, strict=False)
            known |= numbers.is_in(sentinels).fill_null(False)
    return known.fill_null(True)


def as_float(text: str) -> float | None:
    """A plain number in text; None if it is none."""
    try:
        return float(text)
    except ValueError:
        return None


def allowed_styles(decimal_comma: bool | None, thousands: str | None) -> list[NumberStyle]:
    """The styles that what was given leaves open, the plainest first."""
    return [
        style
        for style in STYLES
        if (decimal_comma is None or (style.decimal == ",") == decimal_comma)
        and (thousands is None or style.thousands == thousands)
    ]


def read_numbers(text: pl.Series, missing: pl.Series, styles: list[NumberStyle]) -> TextNumbers:
    """Read tidied cells in the one style that fits them all.

    Args:
        text: the cells, tidied.
        missing: which of them are missing.
        styles: those to choose from.
    """
    cells = text.set(missing, None)
    # Whole numbers read the same in every style, so only the others decide.
    telling = cells.filter(~cells.str.contains(rf"^{_SIGN}[0-9]+$").fill_null(True)).unique(
        maintain_order=True
    )
    misfits = [int((~telling.str.contains(style.pattern)).sum()) for style in styles]
    fewest = min(misfits)
    fitting = [style for style, count in zip(styles, misfits, strict=True) if count == fewest]
    style = fitting[0]
    values = style.numbers(cells)
    bad = (values.is_null() & ~missing).arg_max() if fewest else None
    if bad is not None:
        return TextNumbers(values, style, bad=bad)
    read = style.numbers(telling)
    for other in fitting[1:]:
        differs = read != other.numbers(telling)
        if differs.any():
            example = (cells == telling.filter(differs)[0]).fill_null(False).arg_max()
            return TextNumbers(values, style, other=other, example=example)
    return TextNumbers(values, style, decided=bool(telling.str.contains(r"[.,]").any()))
