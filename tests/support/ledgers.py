"""SQLite ledgers for tests, with threads as in the product or inline.

Virtual time advances while the event loop waits for a thread, so tests in virtual time need the inline form.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import pytest

from batch_enroll.clock import Clock
from batch_enroll.ledger.sqlite import SqliteLedger, SqliteRunLedger
from batch_enroll.ledger.sqlite.connection import translate_sqlite_errors
from batch_enroll.ledger.sqlite.filesystem_checks import DiskReserve
from batch_enroll.ledger.sqlite.group_commit import LedgerExecutor, LedgerThreads, Work
from batch_enroll.ledger.sqlite.restored_copy_guard import HighWaterMark
from batch_enroll.ledger.sqlite.schema import count_commit

P = TypeVar("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class InlineThreads(LedgerThreads):
    """Run everything in the caller's thread; no call yields to the event loop."""

    async def run(self, function: Callable[[*Ts], R], *args: *Ts) -> R:
        return function(*args)

    def writer(
        self, connection: sqlite3.Connection, path: Path, *, disk_reserve: DiskReserve, mark: HighWaterMark
    ) -> LedgerExecutor:
        return InlineExecutor(connection, path)


class InlineExecutor:
    """Run each call in its own transaction, without special handling of a full disk."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    async def submit(self, work: Work[P, R], payload: P, *, begins: bool = False) -> R:
        with translate_sqlite_errors(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                before = self._connection.total_changes
                result = work(self._connection, [payload])[0]
                if self._connection.total_changes > before:
                    count_commit(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        return result

    async def stop(self) -> None:
        self._connection.close()


def sqlite_ledger(folder: Path, *, inline: bool = False, clock: Clock | None = None) -> SqliteLedger:
    """Make a ledger in a folder."""
    return SqliteLedger(
        folder / "data" / "ledger.sqlite",
        state_folder=folder / "state",
        clock=clock,
        threads=InlineThreads() if inline else None,
    )


async def kill(run: SqliteRunLedger) -> None:
    """Release a run as a killed process does: the lock is free, and no end was recorded."""
    run._closed = True
    await run._executor.stop()
    run._files.release()


@contextmanager
def quick_folder() -> Iterator[Path]:
    """Create a temporary folder in memory where possible, because syncs are fast there."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="ledger-", dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def quick_path() -> Iterator[Path]:
    """A `quick_folder` for one test."""
    with quick_folder() as folder:
        yield folder
