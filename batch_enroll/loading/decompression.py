"""Unpacking what was compressed for the mail.

In: a gzip, bzip2, xz or zip file. Out: the one file inside. Never: one of several tables without asking, or more bytes
than a table of customers can have.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any
from zipfile import BadZipFile, ZipFile, ZipInfo

from batch_enroll.background import raise_if_abandoned
from batch_enroll.errors import InputError
from batch_enroll.loading.file_type import START_BYTES, FileType, may_hold_table
from batch_enroll.loading.input_copy import private_file

_CHUNK_BYTES = 1 << 20
_MAX_BYTES = 1 << 33  # a hundred million rows
_SURELY_FINE_BYTES = 1 << 28
_MAX_RATIO = 250  # a table shrinks to a tenth, seldom to a fiftieth; a bomb to a thousandth
_COMPANIONS = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
_ENCRYPTED = 0x1
_OPENERS: dict[FileType, Callable[[Path], Any]] = {
    FileType.GZIP: gzip.open,
    FileType.BZIP2: bz2.open,
    FileType.XZ: lzma.open,
}


def unpack(path: Path, kind: FileType, *, name: str, to: Path) -> str:
    """Unpack the one table inside into the new file `to`.

    Returns:
        What the table is called.
    Raises:
        InputError: it is damaged, holds no table or several, is protected, or unpacks to a size beyond reason.
    """
    with _reported(name):
        if kind is FileType.ZIP:
            with ZipFile(path) as archive:
                member = _table_of(archive, name)
                with archive.open(member) as packed:
                    _copy(packed, to, packed_bytes=member.compress_size, name=name)
            return PurePosixPath(member.filename).name
        with _OPENERS[kind](path) as packed:
            _copy(packed, to, packed_bytes=path.stat().st_size, name=name)
        return PurePosixPath(name).stem


def _table_of(archive: ZipFile, name: str) -> ZipInfo:
    members = [member for member in archive.infolist() if not member.is_dir() and not _is_companion(member.filename)]
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise InputError(
            f"'{name}' is a zip archive protected with a password.", hint="Unpack it and load the table inside."
        )
    tables = []
    for member in members:
        with archive.open(member) as file:
            if may_hold_table(file.read(START_BYTES)):
                tables.append(member)
    if len(tables) == 1:
        return tables[0]
    inside = ", ".join(f"'{member.filename}'" for member in (tables or members)[:10])
    if tables:
        raise InputError(
            f"'{name}' is a zip archive with {len(tables)} files that may be the table: {inside}.",
            hint="Unpack it and load the one that is meant.",
        )
    raise InputError(
        f"'{name}' is a zip archive without a table in it: {inside or 'it is empty'}.",
        hint="Check that the right file was chosen.",
    )


def _is_companion(member: str) -> bool:
    """Tell what a Mac or Windows adds to every archive."""
    return any(part in _COMPANIONS or part.startswith("._") for part in PurePosixPath(member).parts)


def _copy(packed: IO[bytes], to: Path, *, packed_bytes: int, name: str) -> None:
    size = 0
    with private_file(to) as file:
        while chunk := packed.read(_CHUNK_BYTES):
            raise_if_abandoned()
            size += len(chunk)
            if size > _MAX_BYTES or (size > _SURELY_FINE_BYTES and size > _MAX_RATIO * packed_bytes):
                raise InputError(
                    f"'{name}' unpacks to more than {size >> 20:,} MB: no table of customers is packed like this.",
                    hint="If it is one, unpack it first and load the table itself.",
                )
            file.write(chunk)


@contextmanager
def _reported(name: str) -> Iterator[None]:
    """Translate what the standard library says about damaged archives."""
    try:
        yield
    except (BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError, RuntimeError, NotImplementedError) as error:
        raise InputError(
            f"'{name}' cannot be unpacked: it is damaged or incomplete ({error}).",
            hint="Copy or download it again, or unpack it by hand and load the table inside.",
        ) from error
