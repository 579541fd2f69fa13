"""A text file, or standard input: opened once, decompressed, its encoding found."""

import codecs
import gzip
import os
import sys
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from seqlight.data.errors import DataError

HEAD_BYTES = 1 << 16
_GZIP = b"\x1f\x8b"
_UTF8 = ("utf-8", "utf8", "utf-8-sig")
_CONTAINERS = {
    b"PK\x03\x04": "a ZIP archive or a spreadsheet: unpack it, or export it as CSV",
    b"\x28\xb5\x2f\xfd": "zstd-compressed: unpack it, or compress it with gzip",
    b"BZh": "bzip2-compressed: unpack it, or compress it with gzip",
    b"\xfd7zXZ": "xz-compressed: unpack it, or compress it with gzip",
}
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
FALLBACK = "cp1252"


@dataclass
class TextFile:
    """Text that can be read several times, wherever it came from.

    Attributes:
        name: what messages call it.
        source: what polars reads as UTF-8: the path of the file, or its bytes where it is compressed, in
            another encoding or came through standard input.
        head: the first lines as text, without byte order mark.
        encoding: as given or found.
        mark: byte order mark at the beginning.
    """

    name: str
    source: Path | bytes
    head: str
    encoding: str
    mark: bytes = b""

    def error(self, what: str) -> DataError:
        """Return an error about the file."""
        return DataError(f"{self.name}: {what}")

    def text(self) -> str:
        """Return the whole text, without byte order mark; line ends as they are.

        Raises:
            DataError: it is not in the file's encoding.
        """
        data = self.source if isinstance(self.source, bytes) else self.source.read_bytes()
        try:
            return data.decode().removeprefix("\ufeff")
        except UnicodeError:
            raise self.encoding_error() from None

    def encode(self, text: str) -> bytes:
        """Return text as the bytes of such a file, byte order mark included."""
        encoding = self.encoding
        if encoding.lower().replace("_", "-") in ("utf-16", "utf16"):
            encoding = "utf-16-be" if self.mark == codecs.BOM_UTF16_BE else "utf-16-le"
        return self.mark + text.encode(encoding)

    def encoding_error(self) -> DataError:
        """Return the error of text that is not in the file's encoding."""
        return self.error(f"is not {self.encoding} text; pass its encoding, such as encoding='latin-1'")

    def decode_as_fallback(self) -> None:
        """Take the text for Windows-1252, with a warning; for bytes further down that are not UTF-8.

        Raises:
            DataError: it is not that either.
        """
        data = self.source if isinstance(self.source, bytes) else self.source.read_bytes()
        self.source = _decoded(self, data, FALLBACK).encode()
        self.encoding = FALLBACK
        self.head = _head(self.source)
        _warn_of_fallback(self)


def open_text(
    source: str | os.PathLike[str] | bytes, encoding: str | None = None, *, in_memory: bool = False
) -> TextFile:
    """Open a file (plain or gzip), "-" for standard input, or bytes.

    Of a plain file in UTF-8 nothing but the head is read now, unless ``in_memory``. The encoding is found
    where it is None: by a byte order mark or the zeros of UTF-16; else it is UTF-8, or Windows-1252 (with a
    warning) where it cannot be that.

    Raises:
        DataError: there is no such file, it cannot be read, is empty, or is no text.
    """
    if isinstance(source, bytes):
        return _from_bytes("data", source, encoding)
    if os.fspath(source) == "-":
        return _from_bytes("standard input", _standard_input(), encoding)
    path = Path(source)
    try:
        if path.is_dir():
            raise DataError(f"{path}: is a folder; expected a CSV file")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            lazy = not in_memory and not head.startswith(_GZIP) and path.is_file()
            if lazy and _is_utf8(head, encoding):
                return _settled(TextFile(str(path), path, "", "utf-8", _mark(head)), head)
            return _from_bytes(str(path), head + file.read(), encoding)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected the path of a CSV file") from None
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None


@cache
def _standard_input() -> bytes:
    """All of it, kept: it can be read once, and a DataModule may come after who looked at its columns."""
    return sys.stdin.buffer.read()


def _from_bytes(name: str, data: bytes, encoding: str | None) -> TextFile:
    file = TextFile(name, data, "", "utf-8")
    if data.startswith(_GZIP):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError) as error:
            raise file.error(f"cannot be read: {error}") from None
    file.source = data
    file.mark = _mark(data)
    if _is_utf8(data[:HEAD_BYTES], encoding):
        return _settled(file, data[:HEAD_BYTES])
    if encoding is None:
        _check_container(file, data)
        encoding = _encoding_of(data)
        if encoding == FALLBACK:
            _check_text(file, data[:HEAD_BYTES])
            _warn_of_fallback(file)
    file.encoding = encoding
    file.source = _decoded(file, data, encoding).encode()
    return _settled(file, file.source[:HEAD_BYTES], check=False)


def _mark(data: bytes) -> bytes:
    """The byte order mark at the beginning."""
    return next((mark for mark in _MARKS if data.startswith(mark)), b"")


def _settled(file: TextFile, head: bytes, *, check: bool = True) -> TextFile:
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise file.error("is empty; expected a header line and rows of data")
    if check:
        _check_container(file, head)
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
    data = data[:HEAD_BYTES]
    if len(data) == HEAD_BYTES:
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
        return any(head.startswith(magic) for magic in _CONTAINERS)
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
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeError:
        if encoding == FALLBACK:
            raise file.error(
                "is text in an encoding that is neither UTF-8 nor Windows-1252; pass it, such as "
                "encoding='cp1250'"
            ) from None
        raise file.encoding_error() from None


def _warn_of_fallback(file: TextFile) -> None:
    warnings.warn(
        f"{file.name}: is not UTF-8 text and was read as Windows-1252; encoding={FALLBACK!r} says so, or "
        "pass another one if letters look wrong",
        stacklevel=2,
    )


def _check_container(file: TextFile, head: bytes) -> None:
    for magic, what in _CONTAINERS.items():
        if head.startswith(magic):
            raise file.error(f"is {what}")


def _check_text(file: TextFile, head: bytes) -> None:
    control = sum(head.count(byte) for byte in (*range(9), *range(14, 32)))
    if b"\0" in head or control > len(head) // 100:
        raise file.error("is binary data, not text; expected a CSV file")
