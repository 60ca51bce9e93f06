"""Open SQLite files with settings that are read back, and translate SQLite's errors into `LedgerError`."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batch_enroll.errors import LedgerError
from batch_enroll.messages import Message, message
from batch_enroll.os_errors import translate_os_error

APPLICATION_ID = 0x62656E72  # "benr", in the header of every file of ours
SCHEMA_VERSION = 1
_BUSY_MS = 10_000
_CACHE_KIB = 4_000
_OLDEST = (3, 37, 0)  # STRICT tables

_FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT}
_FULL_CODES = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}  # the second: no space for the WAL's shared memory


def open_for_sending(path: Path) -> sqlite3.Connection:
    """Open a run's file so that what was committed survives a power cut.

    `synchronous=FULL` is read back: some builds default to NORMAL under WAL, which loses acknowledged commits (523 of
    600 simulated power cuts; FULL lost none). `locking_mode` stays NORMAL, so that a report can be read during the
    run: the run's lock already keeps a second writer out, and SQLite's WAL-reset bug (3.7.0 to 3.51.2) needs two
    connections that write or checkpoint; one with `mode=ro` does neither.
    """
    connection = _connect(path, mode="rwc")
    with closed_on_error(connection):
        if connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
            raise LedgerError(message("ledger.no_wal", path=str(path)))
        _synchronous(connection, path, "FULL", 2)
    return connection


def open_for_planning(path: Path) -> sqlite3.Connection:
    """Open a run's file for planning, without a journal; a crash before the plan is finished ruins it."""
    connection = _connect(path, mode="rwc")
    with closed_on_error(connection):
        for setting in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
            connection.execute(f"PRAGMA {setting}")
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a file that others may be writing; works on a read-only place when nobody is."""
    try:
        return _connect(path, mode="ro")
    except sqlite3.OperationalError:
        # A WAL file can only be read where its shared memory can be made, unless all of it is in the main file.
        wal = path.with_name(path.name + "-wal")
        if not path.exists() or (wal.exists() and wal.stat().st_size):
            raise
        return _connect(path, mode="ro&immutable=1")


def open_index(path: Path) -> sqlite3.Connection:
    """Open the index for writing: a rollback journal, which any number of processes may share.

    `synchronous=EXTRA` also syncs the folder after the journal is gone; under FULL a power cut could bring the journal
    back and with it undo the last commit.
    """
    connection = _connect(path, mode="rwc")
    with closed_on_error(connection):
        connection.execute("PRAGMA journal_mode = DELETE")
        _synchronous(connection, path, "EXTRA", 3)
    return connection


def stamp(connection: sqlite3.Connection) -> None:
    """Write the application id and the schema version into a new file."""
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def check_stamp(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file of another program or of another version of this one.

    Raises:
        LedgerError: it is not ours, or not of this version.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise LedgerError(message("ledger.not_ours", path=str(path)))
    if version != SCHEMA_VERSION:
        raise LedgerError(message("ledger.other_layout", path=str(path), found=version, known=SCHEMA_VERSION))


@contextmanager
def closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    """Close a connection when the block fails."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


@contextmanager
def translate_sqlite_errors(path: Path) -> Iterator[None]:
    """Raise the errors of SQLite and of the operating system as `LedgerError`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise translate_sqlite_error(path, error) from error


def translate_sqlite_error(path: Path, error: sqlite3.Error | OSError) -> LedgerError:
    """Build the `LedgerError` for an error of SQLite or of the operating system."""
    if is_full(error):
        return LedgerError(message("ledger.disk_full", path=str(path)))
    if isinstance(error, OSError):
        hint = message("ledger.correct_or_choose_another")
        return translate_os_error(error, message("ledger.cannot_use", path=str(path)), to=LedgerError, hint=hint)
    return LedgerError(Message(_id_for(error), {"path": str(path), "error": str(error)}))


def _id_for(error: sqlite3.Error) -> str:
    """Give the id of the message for an error of SQLite."""
    match _code(error) & 0xFF:  # the rest of an extended code is detail
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return "ledger.damaged"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_AUTH:
            return "ledger.not_writable"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return "ledger.locked_by_program"
        case sqlite3.SQLITE_IOERR:
            return "ledger.disk_error"
    return "ledger.not_usable"


def is_full(error: BaseException) -> bool:
    """Say whether an error means that the disk is full."""
    if isinstance(error, OSError):
        return error.errno in _FULL_ERRNOS
    return isinstance(error, sqlite3.Error) and _code(error) in _FULL_CODES


def fsync_path(path: Path) -> None:
    """Sync a file or a folder to the disk; on Windows a folder cannot be synced and need not be."""
    if path.is_dir() and sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _connect(path: Path, *, mode: str) -> sqlite3.Connection:
    if sqlite3.sqlite_version_info < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise LedgerError(message("ledger.sqlite_too_old", version=sqlite3.sqlite_version, oldest=oldest))
    # A connection is used by one thread at a time, but not always by the one that opened it.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
    )
    with closed_on_error(connection):
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        connection.execute("PRAGMA mmap_size = 0")  # with mmap an I/O error is a SIGBUS that ends the process
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # a connection opens its file at first use
    return connection


def _synchronous(connection: sqlite3.Connection, path: Path, level: str, number: int) -> None:
    connection.execute(f"PRAGMA synchronous = {level}")
    if connection.execute("PRAGMA synchronous").fetchone() != (number,):
        raise LedgerError(message("ledger.no_sync", path=str(path)))
    if sys.platform == "darwin":  # there fsync stops at the disk's own cache
        connection.execute("PRAGMA fullfsync = 1")
        connection.execute("PRAGMA checkpoint_fullfsync = 1")


def _code(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)  # misuse of the module has none
    return code
