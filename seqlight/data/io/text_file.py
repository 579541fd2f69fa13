"""A text file, or standard input: opened once, decompressed, its encoding found."""

import codecs
import os
import sys
import weakref
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import BinaryIO

from seqlight.data.errors import DataError
from seqlight.data.io.compressed import MAGIC, decompressed

HEAD_BYTES = 1 << 16
_MOST_HEAD_BYTES = 1 << 23  # where lines are so long that the first bytes hold few of them
_LEAST_HEAD_LINES = 20
_UTF8 = ("utf-8", "utf8", "utf-8-sig")
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # begins as UTF-16 does
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_BIG_ENDIAN = (codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
FALLBACK = "cp1252"


@dataclass
class TextFile:
    """Text that can be read several times, wherever it came from.

    Attributes:
        name: what messages call it.
        content: text in UTF-8: the open file, or its bytes where it is compressed, in another encoding or
            came through standard input.
        head: the first lines as text, without byte order mark.
        encoding: as given or found.
        mark: byte order mark at the beginning.
        left_out: records below the header, counted from 0, that are no rows of data: footers, repeated
            headers. Reading the file finds them.
        note: what is to be said of how the text was taken.
        path: of a file; None for other text.
        status: of the file when it was opened.
    """

    name: str
    content: BinaryIO | bytes
    head: str
    encoding: str
    mark: bytes = b""
    left_out: tuple[int, ...] = ()
    note: str | None = None
    path: str | None = None
    status: os.stat_result | None = None

    def __post_init__(self) -> None:
        """Close an open file when nobody needs it any more."""
        if not isinstance(self.content, bytes):
            weakref.finalize(self, self.content.close)

    @property
    def source(self) -> BinaryIO | bytes:
        """What polars reads: the content, an open file from its beginning."""
        if not isinstance(self.content, bytes):
            self.content.seek(0)
        return self.content

    def read(self) -> bytes:
        """Return all bytes of the content."""
        source = self.source
        return source if isinstance(source, bytes) else source.read()

    def error(self, what: str) -> DataError:
        """Return an error about the file."""
        return DataError(f"{self.name}: {what}")

    def text(self) -> str:
        """Return the whole text, without byte order mark; line ends as they are.

        Raises:
            DataError: it is not in the file's encoding.
        """
        try:
            return self.read().decode().removeprefix("\ufeff")
        except UnicodeError:
            raise self.encoding_error() from None

    def without_footer(self, count: int) -> "TextFile":
        """Return the text without its last lines, blank ones not counted.

        Raises:
            DataError: there are no more lines than that.
        """
        lines = self.read().split(b"\n")
        filled = [index for index, line in enumerate(lines) if line.strip()]
        if len(filled) <= count:
            raise self.error(f"skip_footer: there are {len(filled)} lines, and {count} were to be left out")
        content = b"\n".join(lines[: filled[-count]])
        return replace(self, content=content, head=_head(content))

    def encode(self, text: str) -> bytes:
        """Return text as the bytes of such a file, byte order mark included."""
        encoding = self.encoding
        name = encoding.lower().replace("_", "-").replace("utf1", "utf-1").replace("utf3", "utf-3")
        if name in ("utf-16", "utf-32"):  # which would write a mark of their own
            encoding = f"{name}-be" if self.mark in _BIG_ENDIAN else f"{name}-le"
        return self.mark + text.encode(encoding)

    def encoding_error(self) -> DataError:
        """Return the error of text that is not in the file's encoding."""
        return self.error(f"is not {self.encoding} text; pass its encoding, such as encoding='latin-1'")

    def decode_as_fallback(self) -> None:
        """Take the text for Windows-1252, with a note; for bytes further down that are not UTF-8.

        Raises:
            DataError: it is not that either.
        """
        content = _decoded(self, self.read(), FALLBACK).encode()
        self.content = content
        self.encoding = FALLBACK
        self.head = _head(content)
        self.note = _fallback_note(self)


def open_text(
    source: str | os.PathLike[str] | bytes, encoding: str | None = None, *, in_memory: bool = False
) -> TextFile:
    """Open a file (plain or compressed), "-" for standard input, or bytes.

    A file is opened once. Of a plain one in UTF-8 nothing but the head is read now, unless ``in_memory``. The
    encoding is found where it is None: by a byte order mark or the zeros of UTF-16; else it is UTF-8, or
    Windows-1252 (with a warning) where it cannot be that.

    Raises:
        DataError: there is no such file, it cannot be read, is empty, or is no text.
    """
    if isinstance(source, bytes):
        return text_of("data", source, encoding)
    if os.fspath(source) == "-":
        return text_of("standard input", _standard_input(), encoding)
    return text_of(str(source), open_binary(source), encoding, in_memory=in_memory)


def open_binary(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file.

    Raises:
        DataError: there is no such file, or it cannot be opened.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path}: is a folder; expected a CSV file, or a folder of Parquet files")
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected the path of a CSV file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from None


def text_of(
    name: str, content: BinaryIO | bytes, encoding: str | None = None, *, in_memory: bool = False
) -> TextFile:
    """Return bytes, or an open file, as text; see :func:`open_text`.

    A file that is not kept open is closed.

    Raises:
        DataError: it cannot be read, is empty, or is no text.
    """
    if isinstance(content, bytes):
        return _from_bytes(name, content, encoding)
    kept = False
    try:
        head = _first_bytes(content)
        if not in_memory and content.seekable() and not head.startswith(MAGIC) and _is_utf8(head, encoding):
            file = _settled(TextFile(name, content, "", "utf-8", _mark(head)), head)
            kept = True
            return file
        return _from_bytes(name, head + content.read(), encoding)
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error}") from None
    finally:
        if not kept:
            content.close()


def _first_bytes(content: BinaryIO) -> bytes:
    """The first bytes, more of them where lines are long."""
    head = content.read(HEAD_BYTES)
    if len(head) == HEAD_BYTES and head.count(b"\n") < _LEAST_HEAD_LINES:
        head += content.read(_MOST_HEAD_BYTES - HEAD_BYTES)
    return head


def _head_of(data: bytes) -> bytes:
    """Likewise of bytes."""
    head = data[:HEAD_BYTES]
    return head if head.count(b"\n") >= _LEAST_HEAD_LINES else data[:_MOST_HEAD_BYTES]


@cache
def _standard_input() -> bytes:
    """All of it, kept: it can be read once, and a DataModule may come after who looked at its columns."""
    return sys.stdin.buffer.read()


def _from_bytes(name: str, data: bytes, encoding: str | None) -> TextFile:
    data = decompressed(name, data)
    head = _head_of(data)
    file = TextFile(name, data, "", "utf-8", _mark(data))
    if _is_utf8(head, encoding):
        return _settled(file, head)
    if encoding is None:
        encoding = _encoding_of(data)
        if encoding == FALLBACK:
            _check_text(file, head)
            file.note = _fallback_note(file)
    file.encoding = encoding
    content = _decoded(file, data, encoding).encode()
    file.content = content
    return _settled(file, _head_of(content), check=False)


def _mark(data: bytes) -> bytes:
    """The byte order mark at the beginning."""
    return next((mark for mark in _MARKS if data.startswith(mark)), b"")


def _settled(file: TextFile, head: bytes, *, check: bool = True) -> TextFile:
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise file.error("is empty; expected a header line and rows of data")
    if check:
        _check_text(file, head)
        try:
            codecs.getincrementaldecoder("utf-8")().decode(head)
        except UnicodeDecodeError:
            raise file.encoding_error() from None
    file.head = _head(head)
    if "\n" not in file.head and "\r" in file.head:
        raise file.error("has old Mac line ends (carriage returns alone); save it with Unix or Windows ones")
    return file


def _head(data: bytes) -> str:
    """Whole lines of the first bytes, as text."""
    data = _head_of(data)
    if len(data) >= HEAD_BYTES:
        data = data[: data.rfind(b"\n") + 1] or data
    return data.decode("utf-8-sig", errors="replace")


def _is_utf8(head: bytes, encoding: str | None) -> bool:
    if encoding is not None:
        return encoding.lower().replace("_", "-") in _UTF8
    if any(head.startswith(mark) for mark in _MARKS):
        return head.startswith(codecs.BOM_UTF8)
    if b"\0" in head and _encoding_of(head) != FALLBACK:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _encoding_of(data: bytes) -> str:
    """The encoding of text that is not UTF-8."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return encoding
    head = data[: HEAD_BYTES // 2 * 2]
    half = max(1, len(head) // 2)
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):  # ASCII has a zero in each pair
        if head[offset::2].count(0) > 0.7 * half and head[1 - offset :: 2].count(0) < 0.1 * half:
            return encoding
    return FALLBACK


def _decoded(file: TextFile, data: bytes, encoding: str) -> str:
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeError:
        if encoding == FALLBACK:
            raise file.error(
                "is text in an encoding that is neither UTF-8 nor Windows-1252; pass it, such as "
                "encoding='cp1250'"
            ) from None
        raise file.encoding_error() from None
    if "\0" in text[:HEAD_BYTES]:
        raise file.error(f"is binary data, not {encoding} text; expected a CSV file")
    return text


def _fallback_note(file: TextFile) -> str:
    return (
        f"{file.name}: is not UTF-8 text and was read as Windows-1252; encoding={FALLBACK!r} says so, or "
        "pass another one if letters look wrong"
    )


def _check_text(file: TextFile, head: bytes) -> None:
    control = sum(head.count(byte) for byte in (*range(9), *range(14, 32)))
    if b"\0" in head or control > len(head) // 100:
        raise file.error("is binary data, not text; expected a CSV file")
