"""A file that is there complete or not at all.

In: bytes, through `binary`. Out: the file under its name, on disk, after `commit`; nothing after `abandon`. Never:
half a file under the real name, an OSError (people get one sentence and a hint instead).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from batch_enroll.errors import JobError, RunStopped

ANYONE = 0o666
"""Permissions before the umask: what any program's new file in that folder would get, so colleagues can open it."""
_OWNER = 0o600


class WholeFile:
    """Writes beside `path` under a name of its own and takes the real name at the end."""

    def __init__(self, path: Path, *, mode: int = ANYONE, hint: str = "") -> None:
        self._path = path
        self._hint = hint
        with self.told():
            _see_file(path)
            # A name of its own for each writer: `report` may run while the run itself writes the same files.
            self._partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
            descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            self.binary: BinaryIO = os.fdopen(descriptor, "wb")

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Turn the system's refusal into one sentence about this file."""
        try:
            yield
        except OSError as error:
            raise cannot_write(self._path, error, hint=self._hint) from error

    def save(self) -> None:
        """Put every byte on disk, still under the other name: what fails for want of room fails here.

        Raises:
            RunStopped: the disk does not take it; the older file is as it was.
        """
        with self.told():
            self.binary.flush()
            os.fsync(self.binary.fileno())
            self.binary.close()

    def commit(self) -> None:
        """Give the saved file its name, in place of an older one.

        Raises:
            RunStopped: the older file is in use, or the folder is gone; the older file is as it was.
        """
        with self.told():
            self._partial.replace(self._path)
            sync_folder(self._path.parent)

    def abandon(self) -> None:
        """Leave nothing behind; the older file stays. May be called at any time, also twice."""
        with contextlib.suppress(OSError):
            self.binary.close()
        with contextlib.suppress(OSError):
            self._partial.unlink(missing_ok=True)


def see_writable(path: Path, *, hint: str = "Choose another place, or make that one writable.") -> None:
    """Make sure that a file can be written there, before the work is done; leaves what is there.

    Raises:
        JobError: it cannot.
    """
    try:
        WholeFile(path, hint=hint).abandon()
    except RunStopped as error:
        raise JobError(error.message, hint=error.hint) from error


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


def _see_file(path: Path) -> None:
    """Find out now, and not when the work is done, that something else than a file has this name.

    A rename takes the place of whatever the user may replace: root would put a file in that of /dev/null, for the whole
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


def mode_like(source: Path | None, *, earlier: Path | None = None) -> int:
    """Permissions for files that repeat the input's rows: whoever may not read the input may not read them either.

    The owner may always read and write them: the failed rows are there to be corrected.

    Args:
        source: the input; None when it was no file.
        earlier: the same run's results as they were written before, asked when the input is no longer there.
    """
    if source is None or os.name == "nt":
        return ANYONE
    for path in (source, earlier):
        with contextlib.suppress(OSError):
            if path is not None:
                return (ANYONE & path.stat().st_mode) | _OWNER
    return _OWNER


def cannot_write(path: Path, error: OSError, *, hint: str = "") -> RunStopped:
    """Say in one sentence why a file cannot be written."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            why = "the disk is full"
        case errno.ENOENT | errno.ENOTDIR:
            why = f"the folder {path.parent} is not there"
        case errno.EACCES | errno.EPERM if os.name == "nt" and path.exists():
            why = "it is open in another program, such as Excel, or it is read-only"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            why = f"the folder {path.parent} does not allow it"
        case _:
            why = error.strerror or str(error)
    return RunStopped(f"{path} cannot be written: {why}.", hint=hint)
