"""Times written by the calendar: strftime patterns, with quarters, ISO weeks, 24:00 and zone names."""

import re
from dataclasses import dataclass, replace
from datetime import time

import polars as pl

from seqlight.data.errors import DataError
from seqlight.data.time.formats import TimeFormat, style_sample
from seqlight.data.time.zone_names import OFFSETS, zone_of

MINUTE = 60_000_000
DAY = 1440 * MINUTE

_DIRECTIVE = re.compile(r"%(?:\.\d?f|\d?f|:z|[-_0]?[A-Za-z]|%)")
_WIDTHS = {"Y": r"\d{1,4}", "G": r"\d{4}", "j": r"\d{1,3}", "q": "[1-4]", "u": "[1-7]"}
_WORDS = {
    "b": r"\p{L}+",
    "h": r"\p{L}+",
    "B": r"\p{L}+",
    "a": r"\p{L}+",
    "A": r"\p{L}+",
    "p": "[AaPp][Mm]",
    "P": "[AaPp][Mm]",
}
_OFFSET = r"Z|[+-]\d{2}(?::?\d{2})?"
_FRACTION = r"(?:[.,]\d{1,9})?"
_ZONE_NAME = r"[A-Za-z_]+(?:/[A-Za-z_/]+)?"
_PADDED = "YmdHIMSjy"


def directives(pattern: str) -> list[str]:
    """Return the pieces of a strftime pattern, directives and literal text, in their order."""
    pieces, end = [], 0
    for match in _DIRECTIVE.finditer(pattern):
        pieces += [pattern[end : match.start()], match[0]]
        end = match.end()
    return [piece for piece in [*pieces, pattern[end:]] if piece]


def pattern_regex(pattern: str, hour: str = "") -> str:
    """Return a regular expression of the text of a pattern, one group a directive.

    Args:
        pattern: a strftime pattern.
        hour: what the hour must be, with zeros behind it; "" for any. The groups are then what stands
            before and after it.
    """
    parts, seen = [], False
    pieces = directives(pattern)
    for i, piece in enumerate(pieces):
        if not _DIRECTIVE.fullmatch(piece):
            parts.append(re.escape(piece))
            continue
        letter = piece[-1]
        if hour and letter == "H":
            parts.append(f"){hour}(")
            seen = True
            continue
        alone = not any(_is_number(pieces[j]) for j in (i - 1, i + 1) if 0 <= j < len(pieces))
        if letter == "f":
            body = _FRACTION if "." in piece else r"\d{%s}" % (piece[1:-1] or "1,9")
            body = "(?:[.,]0*)?" if seen else body
        elif seen and letter in "MS":
            body = "00"
        elif letter in _WORDS:
            body = _WORDS[letter]
        elif letter == "z":
            body = _OFFSET
        elif letter == "Z":
            body = _ZONE_NAME
        elif letter == "%":
            body = "%"
        elif letter == "Y" and not alone:
            body = r"\d{4}"
        else:
            body = _WIDTHS.get(letter, r"\d{1,2}" if alone else r"\d{2}")
        parts.append(body if hour else f"({body})")
    joined = "".join(parts)
    return f"^({joined})$" if hour else f"^{joined}$"


def _is_number(piece: str) -> bool:
    return bool(_DIRECTIVE.fullmatch(piece)) and piece[-1] not in "bhBaApPzZ%"


@dataclass(frozen=True)
class CalendarFormat(TimeFormat):
    """A strftime pattern; ``%q`` is the quarter, ``%.f`` the second's fraction, ``%Z`` a zone's abbreviation.

    What the pattern leaves out is the first of its kind: the minute of an hour, the day of a month, the
    Monday of an ISO week.

    Attributes:
        unpadded: letters of the directives that are written without leading zeros.
        letters: "upper" or "lower" for the names of months, days and halves of the day; "" as strftime has
            them.
        fraction: least and most digits of ``%.f``, and its sign.
        bare_second: whether whole seconds have no fraction at all.
        hour_24: whether 24:00 is read, as the next day's beginning.
        writes_24: whether the beginning of a day is written as 24:00 of the day before.
        offset: how UTC offsets are written: minutes east and text; None where the pattern has none.
        one_offset: whether all offsets are this one.
        offset_style: how several offsets are written: as "+00:00", "+0000" or "+00", with "Z" before it where
            that stands for UTC; "" where there is one offset, or none.
        zone: the zone whose abbreviations ``%Z`` are, or whose clock the offsets follow.
        digits: width of a number whose leading zeros were lost; 0 where none were.
    """

    unpadded: str = ""
    letters: str = ""
    fraction: tuple[int, int, str] = (0, 0, ".")
    bare_second: bool = False
    hour_24: bool = False
    writes_24: bool = False
    offset: tuple[int, str] | None = None
    one_offset: bool = False
    offset_style: str = ""
    zone: str | None = None
    digits: int = 0

    @property
    def has_offset(self) -> bool:
        """Whether the text carries its zone, so that the times become UTC."""
        return self.pattern.endswith(("%z", "%:z", "%Z", "Z", "UTC", "GMT"))

    @property
    def _without_zone(self) -> str:
        return re.sub(r" ?(%:?z|%Z|(?<!%)Z|UTC|GMT)$", "", self.pattern)

    def parse(self, text: pl.Series) -> pl.Series:
        """Return Int64 microseconds since 1970, null where a value has another format.

        Raises:
            DataError: the pattern is not one that polars knows.
        """
        if self.digits:
            text = text.str.zfill(self.digits)
        pattern = self.pattern
        if "%.f" in pattern and self.fraction[2] == ",":
            text = text.str.replace(r"(:\d{2}),(\d)", "${1}.${2}")
        shift: pl.Series | None = None
        if self.has_offset and self.wall_time:
            text = text.str.replace(rf"\s*({_OFFSET}|{_ZONE_NAME})$", "")
            pattern = self._without_zone
        elif pattern.endswith("%Z"):
            names = text.str.extract(rf"({_ZONE_NAME})$")
            shift = names.replace_strict(OFFSETS, default=None, return_dtype=pl.Int64) * MINUTE
            text, pattern = text.str.replace(rf"\s*{_ZONE_NAME}$", ""), self._without_zone
        elif pattern.endswith(("%z", "%:z")):
            text = text.str.replace(r"Z$", "+00:00").str.replace(r"([:\d]\d[+-]\d{2})$", "${1}:00")
            pattern = pattern.replace("%:z", "%z")
        times = self._parse_plain(text, pattern)
        if self.hour_24 and times.null_count():
            ends = text.str.replace(pattern_regex(pattern, hour="24"), "${1}00${2}")
            ends = ends.set(ends == text, None)
            times = times.fill_null(self._parse_plain(ends, pattern) + DAY)
        return times if shift is None else times - shift

    def _parse_plain(self, text: pl.Series, pattern: str) -> pl.Series:
        letters = {piece[-1] for piece in directives(pattern) if piece.startswith("%")}
        tail, tail_pattern = "", ""

        def complete(value: str, directive: str) -> None:
            nonlocal tail, tail_pattern
            tail, tail_pattern = tail + "|" + value, tail_pattern + "|" + directive

        if letters & {"G", "V"}:
            if not letters & {"u", "a", "A"}:
                complete("1", "%u")
        elif not letters & {"j", "F", "D", "s", "c", "x", "v", "+"}:
            if "q" not in letters and not letters & {"m", "b", "B", "h"}:
                complete("01", "%m")
            if not letters & {"d", "e"}:
                complete("01", "%d")
        if letters & {"H", "I", "k", "l"} and "M" not in letters:
            complete("00", "%M")
        try:
            if "q" not in letters:
                return _to_microseconds(text + tail if tail else text, pattern + tail_pattern)
            times = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(text))
            for quarter in range(1, 5):
                month = f"|{3 * quarter - 2:02d}"
                fixed = re.sub("%q", str(quarter), pattern) + tail_pattern + "|%m"
                times = times.fill_null(_to_microseconds(text + (tail + month), fixed))
            return times
        except pl.exceptions.PolarsError as error:
            raise DataError(
                f"time_format: {self.pattern!r} is not a format that polars knows ({_first_line(error)}); "
                "use one such as '%Y-%m-%d %H:%M:%S'"
            ) from None

    def format(self, times: pl.Series) -> pl.Series:
        """Return the text: as it came, with as many digits of the second as the times need."""
        zoned = times.dtype.time_zone is not None  # type: ignore[attr-defined]
        pattern, ending = self.pattern, ""
        if self.has_offset:
            if not zoned:
                # Local days have no offsets of their own: these change with the season.
                local = None
                if self.zone is not None and self.offset_style:
                    local = times.dt.replace_time_zone(self.zone, ambiguous="earliest", non_existent="null")
                if local is not None and local.null_count() == times.null_count():
                    times = local
                elif "%" in self.pattern.removeprefix(self._without_zone):
                    pattern = self._without_zone
                    ending = self.offset[1] if self.one_offset and self.offset else ""
            elif self.zone is not None:
                times = times.dt.convert_time_zone(self.zone)
            elif self.offset is not None:
                minutes, ending = self.offset
                pattern = re.sub(r"%:?z$", "", pattern)
                times = (
                    times.dt.convert_time_zone("UTC").dt.replace_time_zone(None).dt.offset_by(f"{minutes}m")
                )
        offsets: pl.Series | None = None
        if self.offset_style and times.dtype.time_zone == self.zone and self.zone is not None:  # type: ignore[attr-defined]
            pattern, offsets = re.sub(r"%:?z$", "", pattern), self._offsets(times)
        if self.writes_24:
            midnight = times.dt.time() == time(0)
            before = self._written(times.dt.offset_by("-1d"), pattern.replace("%H", "24"))
            text = self._written(times, pattern).zip_with(~midnight, before)
        else:
            text = self._written(times, pattern)
        if self.digits:
            text = text.str.strip_chars_start("0")
        if offsets is not None:
            return text + offsets
        return text + ending if ending else text

    def _offsets(self, times: pl.Series) -> pl.Series:
        """The offsets of times in the zone, as they came."""
        style = self.offset_style.removeprefix("Z")
        text = times.dt.strftime("%:z" if ":" in style else "%z").str.slice(0, len(style))
        if not self.offset_style.startswith("Z"):
            return text
        return text.str.replace(rf"^{re.escape(style)}$", "Z")

    def _written(self, times: pl.Series, pattern: str) -> pl.Series:
        """The text of a pattern, piece by piece where strftime cannot write it as it came."""
        parts: list[pl.Series] = []
        plain = ""
        for piece in directives(pattern):
            directive = piece.startswith("%")
            if directive and piece[1:] in self.unpadded:
                piece = "%-" + piece[1:]
            special = directive and (piece == "%.f" or (self.letters and piece[-1] in "bhBaApP"))
            if not special:
                plain += piece
                continue
            if plain:
                parts.append(times.dt.strftime(plain))
                plain = ""
            if piece == "%.f":
                parts.append(self._fraction(times))
            else:
                words = times.dt.strftime(piece)
                parts.append(
                    words.str.to_uppercase() if self.letters == "upper" else words.str.to_lowercase()
                )
        if plain or not parts:
            parts.append(times.dt.strftime(plain))
        text = parts[0]
        for part in parts[1:]:
            text = text + part
        return text

    def _fraction(self, times: pl.Series) -> pl.Series:
        least, most, sign = self.fraction
        microseconds = times.dt.microsecond()
        digits = microseconds.cast(pl.String).str.zfill(6)
        stripped = digits.str.strip_chars_end("0")
        needed = int(stripped.str.len_chars().max() or 0)  # type: ignore[arg-type]
        if least == most:
            digits = digits.str.pad_end(9, "0").str.slice(0, max(most, needed))
        else:
            digits = stripped.str.pad_end(least, "0")
        bare = (digits == "") | ((microseconds == 0) & self.bare_second)
        return pl.select(pl.when(bare).then(pl.lit("")).otherwise(sign + digits)).to_series()

    def learned(self, text: pl.Series) -> "CalendarFormat":
        """Return this format with the padding, letters, digits and offsets of ``text``."""
        sample = style_sample(text)
        regex = re.compile(pattern_regex(self.pattern).replace(r"\p{L}", r"[^\W\d_]"))
        pieces = [piece for piece in directives(self.pattern) if _DIRECTIVE.fullmatch(piece)]
        rows = [match.groups() for value in sample if (match := regex.match(value))]
        if any(len(value) < 2 * len(pieces) for value in sample):
            made = self._with_lost_zeros(pieces)
            if made.digits:
                return made
        if not rows:
            return self
        columns: dict[str, set[str]] = {}
        for piece, values in zip(pieces, zip(*rows, strict=True), strict=True):
            columns.setdefault(piece.replace("%-", "%"), set()).update(values)
        return self._with_style(columns)

    def _with_style(self, columns: dict[str, set[str]]) -> "CalendarFormat":
        style = {}
        for piece, values in columns.items():
            letter = piece[1:]
            if letter in _PADDED and letter != "y":
                if any(len(value) == 1 for value in values):
                    style[letter] = True
                elif any(value.startswith("0") for value in values):
                    style[letter] = False
        # A field that has not shown its style yet (no day below 10) follows the others of its kind.
        for kind in ("md", "HI"):
            known = [style[letter] for letter in kind if letter in style]
            if known and all(known):
                style |= {letter: True for letter in kind if letter not in style}
        unpadded = "".join(letter for letter in _PADDED if style.get(letter))
        words = {word for piece, values in columns.items() if piece[1:] in "bhBaApP" for word in values}
        letters = ""
        if words:
            letters = (
                "upper" if all(map(str.isupper, words)) else "lower" if all(map(str.islower, words)) else ""
            )
        made = replace(self, unpadded=unpadded, letters=letters)
        if "%.f" in columns:
            made = made._with_fraction(columns["%.f"])
        offsets = columns.get("%z", set()) | columns.get("%:z", set())
        if offsets:
            how = "" if len(offsets) == 1 else _offset_style(offsets)
            made = replace(
                made, offset=_common_offset(offsets), one_offset=len(offsets) == 1, offset_style=how
            )
        if "%Z" in columns:
            made = made._with_zone(columns["%Z"])
        return made

    def _with_fraction(self, values: set[str]) -> "CalendarFormat":
        counts = {len(value[1:]) for value in values}
        sign = "," if any(value.startswith(",") for value in values) else "."
        written = counts - {0}
        return replace(
            self,
            fraction=(min(written, default=0), max(written, default=0), sign),
            bare_second=0 in counts,
        )

    def _with_zone(self, names: set[str]) -> "CalendarFormat":
        if len(names) == 1:
            # One name says nothing that the local times do not say: it is literal text.
            return replace(self, pattern=self.pattern.replace("%Z", next(iter(names))))
        return replace(self, zone=zone_of(names))

    def _with_lost_zeros(self, pieces: list[str]) -> "CalendarFormat":
        """Numbers such as 101010000 for 01-01-01 00:00, which a program wrote as integers."""
        numbers = self.pattern == "".join(pieces) and self.pattern.startswith(("%y", "%d", "%m"))
        return replace(self, digits=2 * len(pieces)) if numbers and "%Y" not in pieces else self

    def with_hour_24(self) -> "CalendarFormat | None":
        """Return this format reading 24:00 as the end of a day; None for patterns without such hours."""
        return replace(self, hour_24=True) if "%H" in self.pattern and not self.hour_24 else None

    def writing_hour_24(self, text: pl.Series) -> "CalendarFormat":
        """Return this format writing 24:00 too, if ``text`` never has 00:00."""
        starts = text.str.contains(pattern_regex(self._without_zone, hour="0?0")).any()
        return replace(self, writes_24=not starts)


def _common_offset(offsets: set[str]) -> tuple[int, str] | None:
    """The one offset of all values, or how UTC itself is written where they differ."""
    if len(offsets) == 1:
        text = next(iter(offsets))
        if text == "Z":
            return 0, "Z"
        sign, hours, minutes = text[0], int(text[1:3]), int(text[-2:]) if len(text) > 3 else 0
        return (60 * hours + minutes) * (-1 if sign == "-" else 1), text
    if "Z" in offsets:
        return 0, "Z"
    text = next(iter(offsets))
    return 0, "+00:00" if ":" in text else "+0000" if len(text) > 3 else "+00"


def _offset_style(offsets: set[str]) -> str:
    """How zero is written by several offsets: as +00:00, +0000 or +00, with Z before it where it is Z."""
    numbers = [text for text in offsets if text != "Z"]
    digits = "+00:00" if any(":" in text for text in numbers) else "+0000" if len(numbers[0]) > 3 else "+00"
    return "Z" * ("Z" in offsets) + digits


def _to_microseconds(text: pl.Series, pattern: str) -> pl.Series:
    return text.str.to_datetime(pattern, time_unit="us", strict=False, cache=False).to_physical()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
