"""Currency and percent signs around numbers: left out where every cell means the same."""

import re
from dataclasses import dataclass

import polars as pl

_CURRENCY = (
    r"[$€£¥₹₩₽₺₫฿]|(?:US|CA|AU|NZ|HK)\$|USD|EUR|GBP|CHF|JPY|CNY|INR|SEK|NOK|DKK|PLN|CZK|kr\.?|zł|Kč|Fr\."
)
_SIGN = rf"(?:{_CURRENCY}|%)"
_BEFORE = rf"^[+-]?\s*({_SIGN})\s*[+-]?"
_AFTER = rf"\d[\d.,' ]*?\s*({_SIGN})$"
_ANY = re.compile(_SIGN)


@dataclass(frozen=True)
class Signs:
    """Signs that the cells of a column have beside their numbers.

    Attributes:
        sign: the one that is left out; None where none can be.
        before: whether it stands before the number.
        cells: how many cells have it.
        known: how many cells are known.
        others: more signs of the column; with them, or with a percent sign in some cells only, nothing is
            left out.
    """

    sign: str | None
    before: bool
    cells: int
    known: int
    others: tuple[str, ...] = ()

    @property
    def written(self) -> str:
        """The sign in words: that per cent stay what they are is worth a word."""
        if self.sign == "%":
            return "the percent sign was left out: 5% is 5"
        return f"the currency sign {self.sign!r} was left out"


def has_sign(text: str) -> bool:
    """Return whether a cell has a currency or percent sign."""
    return bool(_ANY.search(text)) and any(character.isdigit() for character in text)


def without_signs(text: pl.Series, missing: pl.Series) -> tuple[pl.Series, Signs | None]:
    """Return the cells without their signs, and these; the cells as they are where they have none.

    Args:
        text: tidied cells.
        missing: which of them are missing.
    """
    known = text.set(missing, None)
    if not known.str.contains(_SIGN).any():
        return text, None
    before, after = known.str.extract(_BEFORE), known.str.extract(_AFTER)
    sign = before.zip_with(before.is_not_null(), after)
    found = sign.drop_nulls().unique(maintain_order=True).to_list()
    if not found:
        return text, None
    count, total = len(sign.drop_nulls()), len(known.drop_nulls())
    signs = Signs(found[0], bool(before.is_not_null().any()), count, total, tuple(found[1:]))
    if len(found) > 1 or (found[0] == "%" and count < total):
        return text, Signs(None, False, count, total, tuple(found))
    escaped = re.escape(found[0])
    stripped = text.str.replace(rf"\s*{escaped}\s*", "")
    return text.zip_with(sign.is_null(), stripped), signs
