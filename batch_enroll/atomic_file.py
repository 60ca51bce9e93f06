"""Write a file that is complete under its name, or not there at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from batch_enroll.errors import JobError
from batch_enroll.messages import Message, message
from batch_enroll.os_errors import translate_os_errors

SHARED = 0o664
"""Permissions of a new file before the umask: colleagues can open it, and only the own group may change it."""
SHARED_FOLDER = 0o775
OWNER_ONLY = 0o600
_MAKE_WRITABLE = message("file.make_writable")


class AtomicFile:
    """Write to a temporary file in the same folder, which `commit` renames; without `commit` nothing is left.

    Every method may raise OSError; the older file is then as it was.

    Args:
        path: the file's name, of a regular file or of nothing yet.
        mode: permissions, in force before the first byte.
        ignore_umask: give the file exactly `mode`.
        sync: put the content on disk before the rename, and the folder after it. A file that is written anew each
            second does without.
    """

    def __init__(self, path: Path, *, mode: int = SHARED, ignore_umask: bool = False, sync: bool = True) -> None:
        _require_regular_file(path)
        self._path = path
        self._sync = sync
        # Unique for each writer: `report` may write the same files at the same time as the run.
        self._partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        self.binary: BinaryIO = os.fdopen(os.open(self._partial, flags, mode), "wb")
        if ignore_umask:
            try:
                self._partial.chmod(mode)
            except BaseException:
                self.abandon()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.abandon()

    def save(self) -> None:
        """Write every byte, still under the temporary name: what fails for want of room fails here."""
        self.binary.flush()
        if self._sync:
            os.fsync(self.binary.fileno())
        self.binary.close()

    def sha256(self) -> str:
        """Return the hex digest of the saved content."""
        with self._partial.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def commit(self) -> None:
        """Rename the file to its name, in place of an older one; saves it first if that was not done."""
        if not self.binary.closed:
            self.save()
        self._partial.replace(self._path)
        if self._sync:
            sync_folder(self._path.parent)

    def abandon(self) -> None:
        """Remove the temporary file. May be called at any time, also twice or after `commit`."""
        with contextlib.suppress(OSError):
            self.binary.close()
        with contextlib.suppress(OSError):
            self._partial.unlink(missing_ok=True)


def write_atomic(
    path: Path, content: bytes, *, mode: int = SHARED, ignore_umask: bool = False, sync: bool = True
) -> None:
    """Write a whole file; the arguments are those of `AtomicFile`.

    Raises:
        OSError: it cannot be written; the older file is as it was.
    """
    with AtomicFile(path, mode=mode, ignore_umask=ignore_umask, sync=sync) as file:
        file.binary.write(content)
        file.commit()


def open_shared(path: str, flags: int) -> int:
    """Open a file that is written in place, as the `opener` of `open`: a new one is `SHARED`, and no link makes one."""
    try:
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, SHARED)
    except FileExistsError:
        if flags & os.O_EXCL:
            raise
        return os.open(path, flags & ~os.O_CREAT)


def require_writable(path: Path, *, hint: Message = _MAKE_WRITABLE) -> None:
    """Check that a file can be written there, before the work is done; leaves what is there.

    Raises:
        JobError: it cannot.
    """
    with translate_os_errors(path, to=JobError, hint=hint):
        AtomicFile(path).abandon()


def sync_folder(folder: Path) -> None:
    """Make a rename or a removal durable, where a folder can be opened at all (not on Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # a file system that syncs no folders, such as a share
            raise
    finally:
        os.close(descriptor)


def file_mode_from(source: Path | None, *, earlier: Path | None = None) -> int:
    """Return permissions for files that repeat the input's rows: no wider than those of the input.

    The owner may always read and write them: the failed rows are there to be corrected.

    Args:
        source: the input; None when it was no file.
        earlier: the same run's results as they were written before, asked when the input is no longer there.
    """
    if source is None or os.name == "nt":
        return SHARED
    for path in (source, earlier):
        with contextlib.suppress(OSError):
            if path is not None:
                return (SHARED & path.stat().st_mode) | OWNER_ONLY
    return OWNER_ONLY


def _require_regular_file(path: Path) -> None:
    """Refuse a folder, a device or a pipe before any work is done.

    A rename replaces whatever the user may replace: root would put a file in the place of /dev/null, for the whole
    machine.
    """
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        return
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if kind != stat.S_IFREG:
        raise OSError(errno.ENODEV, "it is a device or a pipe, not a file")
