"""Unpack the one table inside a gzip, bzip2, xz or zip file; decrypt a workbook that has a password."""

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

from batch_enroll.daemon_threads import raise_if_abandoned
from batch_enroll.errors import InputError
from batch_enroll.installed_versions import missing_packages
from batch_enroll.loading.file_type import START_BYTES, FileType, may_hold_table
from batch_enroll.loading.input_copy import private_file
from batch_enroll.messages import message

_CHUNK_BYTES = 1 << 20
_MAX_BYTES = 1 << 33  # a hundred million rows
_SURELY_FINE_BYTES = 1 << 28
_MAX_RATIO = 250  # a table shrinks to a tenth, seldom to a fiftieth; a zip bomb to a thousandth
_COMPANIONS = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
_ENCRYPTED = 0x1
_ONLY_WRITE_PROTECTED = "VelvetSweatshop"  # Excel's own password for workbooks that all may read
_OPENERS: dict[FileType, Callable[[Path], Any]] = {
    FileType.GZIP: gzip.open,
    FileType.BZIP2: bz2.open,
    FileType.XZ: lzma.open,
}


def unpack(path: Path, kind: FileType, *, name: str, to: Path) -> str:
    """Unpack the one table inside into the new file `to`.

    Returns:
        The name of the table's file.
    Raises:
        InputError: it is damaged or encrypted, holds no table or several, or unpacks to an implausible size.
    """
    with _translate_damage(name):
        if kind is FileType.ZIP:
            with ZipFile(path) as archive:
                member = _find_table(archive, name)
                with archive.open(member) as packed:
                    # The archive itself is asked too: what it says of its member may be wrong.
                    packed_bytes = min(member.compress_size, path.stat().st_size)
                    _copy(packed, to, packed_bytes=packed_bytes, name=name)
            return PurePosixPath(member.filename).name
        with _OPENERS[kind](path) as packed:
            _copy(packed, to, packed_bytes=path.stat().st_size, name=name)
        return PurePosixPath(name).stem


def decrypt(path: Path, password: str | None, *, name: str, to: Path) -> None:
    """Decrypt a workbook into the new file `to`; msoffcrypto-tool is optional and imported here.

    Raises:
        InputError: no password was given, it is wrong, or msoffcrypto-tool is not installed.
    """
    locked = InputError(message("input.locked", name=name))
    try:
        import msoffcrypto
        from msoffcrypto.exceptions import DecryptionError, InvalidKeyError
    except ImportError as error:
        if password is None:
            raise locked from error
        packages = missing_packages("password", failed=("msoffcrypto-tool",))
        raise InputError(message("input.no_decryption", name=name, packages=packages)) from error
    try:
        with path.open("rb") as file, private_file(to) as clear:
            workbook = msoffcrypto.OfficeFile(file)
            workbook.load_key(password=_ONLY_WRITE_PROTECTED if password is None else password)
            workbook.decrypt(clear)
    except (InvalidKeyError, DecryptionError) as error:
        if password is None:
            raise locked from error
        raise InputError(message("input.wrong_password", name=name)) from error
    except Exception as error:  # damaged bytes raise anything: XML, struct, OLE errors
        raise InputError(message("input.unknown_encryption", name=name)) from error


def _find_table(archive: ZipFile, name: str) -> ZipInfo:
    members = [member for member in archive.infolist() if not member.is_dir() and not _is_companion(member.filename)]
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise InputError(message("input.archive_encrypted", name=name))
    tables = []
    for member in members:
        with archive.open(member) as file:
            if may_hold_table(file.read(START_BYTES)):
                tables.append(member)
    if len(tables) == 1:
        return tables[0]
    files = tuple(message("input.quoted_name", name=member.filename) for member in (tables or members)[:10])
    if tables:
        raise InputError(message("input.archive_several", name=name, count=len(tables), files=files))
    if files:
        raise InputError(message("input.archive_no_table", name=name, files=files))
    raise InputError(message("input.archive_empty", name=name))


def _is_companion(member: str) -> bool:
    """Tell whether a member is one that macOS or Windows adds to every archive."""
    return any(part in _COMPANIONS or part.startswith("._") for part in PurePosixPath(member).parts)


def is_plausible_size(size: int, *, packed_bytes: int) -> bool:
    """Tell whether so many bytes may come out of so many packed ones, without an attack."""
    return size <= _MAX_BYTES and (size <= _SURELY_FINE_BYTES or size <= _MAX_RATIO * packed_bytes)


def _copy(packed: IO[bytes], to: Path, *, packed_bytes: int, name: str) -> None:
    size = 0
    with private_file(to) as file:
        while chunk := packed.read(_CHUNK_BYTES):
            raise_if_abandoned()
            size += len(chunk)
            if not is_plausible_size(size, packed_bytes=packed_bytes):
                raise InputError(message("input.archive_too_large", name=name, size=size >> 20))
            file.write(chunk)


@contextmanager
def _translate_damage(name: str) -> Iterator[None]:
    """Translate the exceptions of the standard library for damaged archives."""
    try:
        yield
    except (BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError, RuntimeError, NotImplementedError) as error:
        raise InputError(message("input.archive_damaged", name=name, error=str(error))) from error
