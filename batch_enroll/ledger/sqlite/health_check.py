"""Check a ledger without a run: its file system, its commit time and its index."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from batch_enroll.errors import LedgerError
from batch_enroll.ledger.ledger_health import LedgerHealth
from batch_enroll.ledger.sqlite.connection import open_for_reading, translate_sqlite_errors
from batch_enroll.ledger.sqlite.filesystem_checks import check_location, file_system, probe
from batch_enroll.ledger.sqlite.run_index import RunIndex
from batch_enroll.messages import message

_MAX_FAULTS = 3


def examine(path: Path, state_folder: Path) -> LedgerHealth:
    """Check a ledger and its folder; nothing is changed and no file is left.

    Raises:
        LedgerError: no ledger can be kept there: a network file system, no permission, a full disk.
    """
    volatile = check_location(path.parent)
    there = _existing_parent(path.parent)
    with translate_sqlite_errors(there), tempfile.TemporaryDirectory(prefix=".batch-enroll-", dir=there) as folder:
        commit_s = probe(Path(folder))
    return LedgerHealth(
        path=str(path),
        file_system=file_system(path.parent),
        volatile=volatile,
        free_bytes=shutil.disk_usage(there).free,
        commit_s=commit_s,
        index_bytes=path.stat().st_size if path.exists() else None,
        faults=tuple(_faults(path, state_folder)),
        sqlite_version=sqlite3.sqlite_version,
    )


def _faults(path: Path, state_folder: Path) -> Iterator[str]:
    """Describe what is wrong with the index and the secret beside it."""
    index = RunIndex(path, state_folder)
    try:
        index.records("false")  # is it ours, of this version, and not an older copy? Or missing beside its runs?
        if not path.exists():
            return
        with translate_sqlite_errors(path), closing(open_for_reading(path)) as connection:
            said = [str(line) for (line,) in connection.execute(f"PRAGMA quick_check({_MAX_FAULTS})")]
        index.check_salt()
    except LedgerError as error:
        yield str(error)
        return
    if said != ["ok"]:
        yield str(LedgerError(message("ledger.index_damaged", path=str(path), faults="; ".join(said))))


def _existing_parent(folder: Path) -> Path:
    """Return the folder or its nearest parent that exists.

    Raises:
        LedgerError: a file is in the way.
    """
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        with translate_sqlite_errors(folder):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    return there
