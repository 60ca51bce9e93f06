"""Copy the input to a private folder, so that a file which changes later cannot change the run."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from batch_enroll.daemon_threads import raise_if_abandoned
from batch_enroll.errors import InputError
from batch_enroll.messages import Message, message
from batch_enroll.os_errors import translate_os_errors

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class InputCopy:
    """The copied input."""

    path: Path  #: the copy
    name: str  #: of the file, for people; "the standard input" for a stream
    sha256: str  #: hex, of the bytes as they came in
    size: int  #: bytes


def copy_input(source: Path | BinaryIO, spool: Path) -> InputCopy:
    """Copy the input into `spool` while hashing it.

    Raises:
        InputError: it cannot be read, or it changed while it was being copied.
    """
    copy = spool / "input"
    if not isinstance(source, Path):
        stdin = message("input.stdin")
        with _translate_os_errors(stdin):
            sha256, size = _copy(source, copy)
        return InputCopy(path=copy, name=str(stdin), sha256=sha256, size=size)
    if source.is_dir():
        raise InputError(message("input.is_folder", name=str(source)))
    with _translate_os_errors(message("input.quoted_name", name=source.name)), _open(source) as file:
        before = os.fstat(file.fileno())
        if stat.S_ISBLK(before.st_mode) or (stat.S_ISCHR(before.st_mode) and not file.isatty()):
            raise InputError(message("input.is_device", name=str(source)))
        sha256, size = _copy(file, copy)
        after = os.fstat(file.fileno())
    is_file = stat.S_ISREG(before.st_mode)  # a pipe changes with every byte that is written to it
    if is_file and (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise InputError(message("input.changed", name=source.name))
    return InputCopy(path=copy, name=source.name, sha256=sha256, size=size)


def sha256_of(path: Path) -> str:
    """Hash a file; returns the hex sha256 that `copy_input` gives for it.

    Raises:
        InputError: it cannot be read.
    """
    with _translate_os_errors(message("input.quoted_name", name=path.name)), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def private_file(path: Path) -> BinaryIO:
    """Open a new file for writing that only its owner can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600), "wb")


def _open(source: Path) -> BinaryIO:
    try:
        return source.open("rb")
    except FileNotFoundError as error:
        raise InputError(message("input.not_found", name=source.name)) from error


def _translate_os_errors(name: Message) -> AbstractContextManager[None]:
    return translate_os_errors(message("input.unreadable", name=name), to=InputError)


def _copy(stream: BinaryIO, to: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with private_file(to) as copy:
        while chunk := stream.read(_CHUNK_BYTES):
            raise_if_abandoned()
            copy.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size
