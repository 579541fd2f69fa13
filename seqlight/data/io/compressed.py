"""Compressed text: gzip, bzip2, xz, zstd, and a ZIP archive of one file."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib

import polars as pl

from seqlight.data.errors import DataError

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
BZIP2 = b"BZh"
XZ = b"\xfd7zXZ"
ZIP = b"PK\x03\x04"
MAGIC = (GZIP, ZSTD, BZIP2, XZ, ZIP)
_READERS = {GZIP: gzip.decompress, BZIP2: bz2.decompress, XZ: lzma.decompress}
_MOST_NAMED = 3


def decompressed(name: str, data: bytes) -> bytes:
    """Return what is in compressed bytes; other bytes as they are.

    Args:
        name: what messages call the file.
        data: all of it.

    Raises:
        DataError: the file is damaged, or an archive of several files.
    """
    try:
        for magic, read in _READERS.items():
            if data.startswith(magic):
                return read(data)
        if data.startswith(ZSTD):
            return _zstd(data)
        if data.startswith(ZIP):
            return _only_member(name, data)
    except UnicodeError:
        raise DataError(f"{name}: is zstd-compressed text that is not UTF-8; compress it with gzip") from None
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise DataError(f"{name}: cannot be read: {error}") from None
    except pl.exceptions.PolarsError as error:
        if "utf-8" in str(error).lower():
            raise DataError(
                f"{name}: is zstd-compressed text that is not UTF-8; compress it with gzip"
            ) from None
        raise DataError(f"{name}: cannot be read: {str(error).splitlines()[0]}") from None
    return data


def _zstd(data: bytes) -> bytes:
    """The text, through polars, which decompresses but hands on rows only: here its lines are the rows."""
    lines = pl.read_csv(
        data,
        has_header=False,
        schema={"line": pl.String},
        separator="\x01",
        quote_char=None,
        truncate_ragged_lines=True,
        raise_if_empty=False,
    )["line"]
    return ("\n".join(lines.fill_null("").to_list()) + "\n").encode()


def _only_member(name: str, data: bytes) -> bytes:
    archive = zipfile.ZipFile(io.BytesIO(data))
    members = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not member.filename.startswith(("__MACOSX/", "."))
    ]
    if len(members) != 1:
        listed = ", ".join(repr(member.filename) for member in members[:_MOST_NAMED])
        more = ", ..." if len(members) > _MOST_NAMED else ""
        what = f"{len(members)} files ({listed}{more})" if members else "no file"
        raise DataError(f"{name}: is an archive of {what}; unpack it and give the files")
    if members[0].flag_bits & 1:
        raise DataError(f"{name}: is an encrypted archive; unpack it")
    return archive.read(members[0])
