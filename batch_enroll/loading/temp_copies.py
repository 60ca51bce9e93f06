"""Create a private folder for copies of an input (personal data) and remove it afterwards.

A process that is killed cannot clean up. So each folder holds a lock file, which the system unlocks when a process
dies, and the next process removes the folders whose lock is free. Folders in use, those of other users and links are
never touched.

    <temporary folder>/batch-enroll-XXXXXXXX/    readable only by its owner
        in-use.lock                              locked while the folder is used
        files/                                   the folder that `private_temp_dir` yields
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
from batch_enroll.messages import message
from batch_enroll.os_errors import translate_os_error

_PREFIX = "batch-enroll-"
_NAME = re.compile(
    r"batch-enroll-[a-z0-9_]{8}"
)  # the names that `tempfile` makes; folders of the user are named otherwise
_LOCK = "in-use.lock"
_FILES = "files"
_TRIES = 5
_PATIENCE_S = 5.0  # another process holds the lock for a moment while it checks whether the folder is free
_BEING_MADE_S = 3600.0  # another process may have created an empty folder without having locked it yet
_HINT = message("input.no_room")


@contextmanager
def private_temp_dir() -> Iterator[Path]:
    """Yield an empty folder that exists while the block runs; folders that dead processes left are removed first.

    Raises:
        InputError: no temporary file can be created.
    """
    _remove_orphans()
    folder, lock = _create()
    try:
        yield folder / _FILES
    finally:
        _remove(folder, lock)


def orphaned_copies() -> list[Path]:
    """Find the folders of this user that dead processes left; the next `private_temp_dir` removes them."""
    found = []
    for folder in _own_folders():
        if lock := _try_lock(folder):
            lock.release()
            found.append(folder)
    return sorted(found)


def _create() -> tuple[Path, filelock.BaseFileLock]:
    try:
        for _ in range(_TRIES):
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            lock = _lock_for(folder)
            try:
                lock.acquire(timeout=_PATIENCE_S)
            except filelock.Timeout:  # another process removed it between its creation and the locking
                continue
            if (folder / _LOCK).exists():
                (folder / _FILES).mkdir(mode=0o700)
                return folder, lock
            lock.release()
    except OSError as error:
        what = message("input.no_copy")
        if error.filename:
            what = message("input.no_copy_in", folder=str(Path(error.filename).parent))
        raise translate_os_error(error, what, to=InputError, hint=_HINT) from error
    raise InputError(message("input.copy_removed"))


def _remove_orphans() -> None:
    for folder in _own_folders():
        if lock := _try_lock(folder):
            _remove(folder, lock)
        with contextlib.suppress(OSError):  # a process died before it locked the empty folder
            if time.time() - folder.stat().st_mtime > _BEING_MADE_S:
                folder.rmdir()


def _remove(folder: Path, lock: filelock.BaseFileLock) -> None:
    """Remove a folder whose lock is held. The lock is removed last: while it is there, the next process tries again."""
    shutil.rmtree(folder / _FILES, ignore_errors=True)
    gone = not (folder / _FILES).exists()
    lock.release()  # before its file is removed: Windows removes no open file
    if gone:
        with contextlib.suppress(OSError):
            (folder / _LOCK).unlink(missing_ok=True)
            folder.rmdir()


def _try_lock(folder: Path) -> filelock.BaseFileLock | None:
    """Lock a folder; None when another process holds its lock, or there is no lock file."""
    lock = _lock_for(folder)
    try:
        if (folder / _LOCK).is_file():
            lock.acquire(blocking=False)
            return lock
    except (filelock.Timeout, OSError):
        pass
    return None


def _lock_for(folder: Path) -> filelock.BaseFileLock:
    # Not bound to a thread: another thread may release it.
    return filelock.FileLock(folder / _LOCK, thread_local=False)


def _own_folders() -> list[Path]:
    """List the temporary folders of this user; no links, and nothing of other users."""
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
