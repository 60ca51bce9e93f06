"""A folder for copies of an input, which hold personal data: there while it is used, gone afterwards.

In: nothing. Out: a folder that its owner alone can read; or the folders that dead processes left behind. Never: a
folder touched in which a process is at work, that of another person, or what a link points at.

A process that is killed cannot clean up, and neither can a machine without power. So each folder holds a lock, which
the system takes away from a dead process, and whoever makes the next folder removes those whose lock is free.

    <temporary folder>/batch-enroll-XXXXXXXX/    readable by its owner alone
        in-use.lock                              held while the folder is used
        files/                                   what the block below is given
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from batch_enroll.errors import InputError
from batch_enroll.os_errors import translate_os_error

_PREFIX = "batch-enroll-"
_NAME = re.compile(r"batch-enroll-[a-z0-9_]{8}")  # as `tempfile` makes names: a folder of the user's own is no spool
_LOCK = "in-use.lock"
_FILES = "files"
_TRIES = 5
_PATIENCE_S = 5.0  # who looks whether a folder is free has its lock for a moment
_BEING_MADE_S = 3600.0  # a folder that is still empty may be another process' that has not locked it yet
_HINT = "Make room there, or name another folder in the variable TMPDIR (on Windows TEMP)."


@contextmanager
def private_temp_dir() -> Iterator[Path]:
    """Have an empty folder while the block runs; what dead processes left behind is removed first.

    Raises:
        InputError: there is no place for temporary files, or it takes none.
    """
    _sweep()
    folder, lock = _make()
    try:
        yield folder / _FILES
    finally:
        _remove(folder, lock)


def orphaned_copies() -> list[Path]:
    """Find the folders of this person that dead processes left: the next `spool_folder` removes them."""
    found = []
    for folder in _own_folders():
        if lock := _taken(folder):
            lock.release()
            found.append(folder)
    return sorted(found)


def _make() -> tuple[Path, filelock.BaseFileLock]:
    try:
        for _ in range(_TRIES):
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            lock = _lock_of(folder)
            try:
                lock.acquire(timeout=_PATIENCE_S)
            except filelock.Timeout:  # somebody swept it between the making of the lock and the locking
                continue
            if (folder / _LOCK).exists():
                (folder / _FILES).mkdir(mode=0o700)
                return folder, lock
            lock.release()
    except OSError as error:
        where = f" in {Path(error.filename).parent}" if error.filename else ""
        what = f"No copy of the input can be made{where}"
        raise translate_os_error(error, what, to=InputError, hint=_HINT) from error
    raise InputError("No copy of the input can be made: another process removes it at once.", hint=_HINT)


def _sweep() -> None:
    for folder in _own_folders():
        if lock := _taken(folder):
            _remove(folder, lock)
        with contextlib.suppress(OSError):  # a process died before it had locked it: there is nothing in it
            if time.time() - folder.stat().st_mtime > _BEING_MADE_S:
                folder.rmdir()


def _remove(folder: Path, lock: filelock.BaseFileLock) -> None:
    """Remove a folder whose lock is held. The lock goes last: while it is there, the next sweep tries again."""
    shutil.rmtree(folder / _FILES, ignore_errors=True)
    gone = not (folder / _FILES).exists()
    lock.release()  # before its file is removed: Windows removes no open file
    if gone:
        with contextlib.suppress(OSError):
            (folder / _LOCK).unlink(missing_ok=True)
            folder.rmdir()


def _taken(folder: Path) -> filelock.BaseFileLock | None:
    """Take a folder's lock; None when somebody has it, or there is none."""
    lock = _lock_of(folder)
    try:
        if (folder / _LOCK).is_file():
            lock.acquire(blocking=False)
            return lock
    except (filelock.Timeout, OSError):
        pass
    return None


def _lock_of(folder: Path) -> filelock.BaseFileLock:
    # Not bound to the thread that took it: a folder may be left in another one.
    return filelock.FileLock(folder / _LOCK, thread_local=False)


def _own_folders() -> list[Path]:
    """The folders that look like a spool and belong to this person; no links, and nothing of other people."""
    try:
        with os.scandir(tempfile.gettempdir()) as entries:
            return [Path(entry.path) for entry in entries if _NAME.fullmatch(entry.name) and _is_own_folder(entry)]
    except OSError:
        return []


def _is_own_folder(entry: os.DirEntry[str]) -> bool:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:  # gone by now
        return False
    is_link = bool(getattr(found, "st_reparse_tag", 0))  # Windows: a junction looks like a folder
    is_own = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    return stat.S_ISDIR(found.st_mode) and is_own and not is_link
