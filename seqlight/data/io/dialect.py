"""How a text file is written: what its user says of it, and what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from seqlight.data.errors import DataError
from seqlight.data.io.numbers import THOUSANDS, NumberStyle, allowed_styles

Layout = Literal["long", "wide", "rows"]
LAYOUTS: tuple[str, ...] = get_args(Layout)


@dataclass(frozen=True)
class CSVDialect:
    """How a CSV file is written; what is None is found in the file.

    Attributes:
        separator: one character between the fields.
        decimal_comma: True: numbers are written 1,5 for one and a half; False: 1.5.
        encoding: Python's name of the text encoding.
        thousands: what groups thousands: ",", ".", " " (any blank) or "'".
        missing_values: cells that stand for a missing value, on top of the usual spellings (NA, NaN, null,
            ...); a number stands for itself however it is written.
        skip_rows: lines above the header.
        skip_footer: lines below the last row of data, blank ones not counted.
        layout: "long", "wide" or "rows", see :func:`seqlight.data.read_table`.
        sheet: of a spreadsheet, its name or its number from 1.
        file_id: of several files, what to call the names of the files, which are then ids.
    """

    separator: str | None = None
    decimal_comma: bool | None = None
    encoding: str | None = None
    thousands: str | None = None
    missing_values: Sequence[str] = ()
    skip_rows: int | None = None
    skip_footer: int | None = None
    layout: Layout | None = None
    sheet: str | None = None
    file_id: str | None = None

    def __post_init__(self) -> None:
        """Check the arguments; raises DataError."""
        if self.separator is not None and (len(self.separator) != 1 or self.separator in '"\r\n'):
            raise DataError(f"separator: expected one character such as ',' or ';', got {self.separator!r}")
        if self.thousands is not None and self.thousands not in THOUSANDS:
            raise DataError(
                f"thousands: expected ',', '.', ' ' (a blank) or \"'\", got {self.thousands!r}; leave it out "
                "if nothing groups the digits"
            )
        if self.thousands is not None and not self.styles():
            mark = "," if self.decimal_comma else "."
            raise DataError(
                f"thousands: {self.thousands!r} is the decimal mark too, by decimal_comma="
                f"{self.decimal_comma}; leave one of the two out (decimal mark {mark!r})"
            )
        if isinstance(self.missing_values, str):
            raise DataError(
                f"missing_values: expected a list of spellings, got the text {self.missing_values!r}; write "
                f"[{self.missing_values!r}]"
            )
        object.__setattr__(self, "missing_values", tuple(str(value).strip() for value in self.missing_values))
        if self.skip_rows is not None and self.skip_rows < 0:
            raise DataError(f"skip_rows: expected a number of lines, 0 or more, got {self.skip_rows}")
        if self.skip_footer is not None and self.skip_footer < 0:
            raise DataError(f"skip_footer: expected a number of lines, 0 or more, got {self.skip_footer}")
        if self.layout is not None and self.layout not in LAYOUTS:
            raise DataError(f"layout: expected one of {', '.join(map(repr, LAYOUTS))}, got {self.layout!r}")
        if self.sheet is not None:
            object.__setattr__(self, "sheet", str(self.sheet))
        try:
            "".encode(self.encoding or "utf-8")
        except LookupError:
            raise DataError(
                f"encoding: expected a text encoding that Python knows, such as 'utf-8' or 'latin-1', "
                f"got {self.encoding!r}"
            ) from None

    def styles(self) -> list[NumberStyle]:
        """The ways of writing numbers that are left open, the plainest first."""
        return allowed_styles(self.decimal_comma, self.thousands)
