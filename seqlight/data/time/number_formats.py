"""Times written as one number: Unix time, and the serial numbers of spreadsheets."""

from dataclasses import dataclass, replace

import polars as pl

from seqlight.data.time.formats import TimeFormat, style_sample

SECOND = 1_000_000
DAY = 86_400 * SECOND
# Day 25569 of the 1900 system is 1970-01-01.
_EXCEL_1970 = 25_569

#: Units of Unix time per name, as nanoseconds.
EPOCH_UNITS = {"epoch": 1_000_000_000, "epoch_ms": 1_000_000, "epoch_us": 1_000, "epoch_ns": 1}
NUMBER_NAMES = (*EPOCH_UNITS, "excel")

_YEAR_1, _YEAR_9999 = -62_135_596_800 * SECOND, 253_402_300_799 * SECOND
_SCIENTIFIC = -1
# Digits after the point in a day number of all the precision that floats have.
_DOUBLE_DECIMALS = 11


@dataclass(frozen=True)
class NumberFormat(TimeFormat):
    """Unix time ("epoch", "epoch_ms", "epoch_us", "epoch_ns") or a spreadsheet's day number ("excel").

    Digits beyond a microsecond are cut. A day number's fraction is rounded to the millisecond, beyond which
    it holds nothing but the rounding of its own arithmetic; to the second or minute where it has too few
    digits to tell more.

    Attributes:
        decimals: least and most digits after the point; (-1, -1) for 1.5e+18.
        mark: the decimal mark, "." or ",".
    """

    decimals: tuple[int, int] = (0, 0)
    mark: str = "."

    def parse(self, text: pl.Series) -> pl.Series:
        """Return Int64 microseconds since 1970, null where a value is no number."""
        if self.mark == ",":
            text = text.str.replace(",", ".", literal=True)
        digits = text.str.strip_suffix(".0") if self.decimals != (0, 0) else text
        whole = digits.cast(pl.Int64, strict=False)
        if self.pattern == "excel":
            times = (whole - _EXCEL_1970) * DAY
        else:
            times = _to_microseconds(whole, EPOCH_UNITS[self.pattern])
        if times.null_count() > text.null_count():
            number = text.cast(pl.Float64, strict=False)
            number = number.set(~number.is_finite().fill_null(False), None)
            if self.pattern == "excel":
                fractional = ((number - _EXCEL_1970) * (DAY / self._excel_unit)).round() * self._excel_unit
            else:
                fractional = (number * (EPOCH_UNITS[self.pattern] / 1000)).round()
            times = times.fill_null(fractional.cast(pl.Int64, strict=False))
        # Years beyond 9999 are another unit's numbers.
        return times.set(~times.is_between(_YEAR_1, _YEAR_9999).fill_null(True), None)

    def format(self, times: pl.Series) -> pl.Series:
        """Return the numbers with as many digits as they came with, or as the times need."""
        text = self._with_point(times)
        return text.str.replace(".", ",", literal=True) if self.mark == "," else text

    def _with_point(self, times: pl.Series) -> pl.Series:
        microseconds = times.dt.epoch("us")
        least, most = self.decimals
        if self.pattern == "excel":
            unit = DAY
            microseconds = microseconds + _EXCEL_1970 * DAY
        else:
            nanoseconds = EPOCH_UNITS[self.pattern]
            if nanoseconds < 1000:
                microseconds = microseconds * (1000 // nanoseconds)
            unit = max(1, nanoseconds // 1000)
        if most == _SCIENTIFIC:
            return (microseconds.cast(pl.Float64) / unit).cast(pl.String)
        whole = microseconds // unit
        if not (microseconds % unit != 0).any():
            return whole.cast(pl.String) + ("." + "0" * least if least else "")
        if self.pattern == "excel":
            days = (microseconds // unit).cast(pl.Float64) + (microseconds % unit).cast(pl.Float64) / unit
            text = (days.round(most) if 0 < most < _DOUBLE_DECIMALS else days).cast(pl.String)
        else:
            width = len(str(unit)) - 1
            text = whole.cast(pl.String) + "." + (microseconds % unit).cast(pl.String).str.zfill(width)
        return _with_decimals(text, least, max(most, 0))

    @property
    def _excel_unit(self) -> int:
        """Microseconds that the digits of a day number can tell."""
        most = self.decimals[1]
        return 1000 if most >= 8 or most == 0 else SECOND if most >= 5 else 60 * SECOND

    def learned(self, text: pl.Series) -> TimeFormat:
        """Return this format with as many digits after the point as ``text`` has."""
        sample = style_sample(text)
        if any("," in value for value in sample) and not any("." in value for value in sample):
            return replace(self, mark=",").learned(text.str.replace(",", ".", literal=True))
        if any("e" in value.lower() for value in sample):
            return replace(self, decimals=(_SCIENTIFIC, _SCIENTIFIC))
        counts = [len(value.partition(".")[2]) for value in sample]
        return replace(self, decimals=(min(counts, default=0), max(counts, default=0)))


def number_text(column: pl.Series) -> pl.Series:
    """Return a column of integers or floats as the text of its numbers, never in the form 1.5e+18."""
    if not column.dtype.is_float():
        return column.cast(pl.String)
    text = column.cast(pl.String)
    if text.str.contains("e", literal=True).any() and not (column.drop_nulls() % 1 != 0).any():
        return column.cast(pl.Int64, strict=False).cast(pl.String) + ".0"
    return text


def _to_microseconds(whole: pl.Series, nanoseconds: int) -> pl.Series:
    return whole // (1000 // nanoseconds) if nanoseconds < 1000 else whole * (nanoseconds // 1000)


def _with_decimals(text: pl.Series, least: int, most: int) -> pl.Series:
    """Numbers with a point, all of the same many digits where ``least`` is ``most`` and these suffice."""
    stripped = text.str.strip_chars_end("0")
    whole, digits = (stripped.str.split_exact(".", 1).struct.field(f"field_{i}") for i in range(2))
    digits = digits.fill_null("")
    needed = int(digits.str.len_chars().max() or 0)  # type: ignore[arg-type]
    if least == most and needed <= most:
        digits = digits.str.pad_end(most, "0")
    else:
        digits = digits.str.pad_end(least, "0")
    return pl.select(pl.when(digits == "").then(whole).otherwise(whole + "." + digits)).to_series()
