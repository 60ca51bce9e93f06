"""The tables of a run's file, which hold no personal data: a person is a keyed hash."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from batch_enroll.ledger.records import RowState

P = TypeVar("P")
R = TypeVar("R")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

ALIAS_TABLE = """
CREATE TABLE IF NOT EXISTS alias(  -- other keys by which an earlier release knew the profile of a row
    key BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (key, seq)
) STRICT, WITHOUT ROWID
"""

SCHEMA = """
CREATE TABLE run(
    run_id TEXT NOT NULL,
    uuid TEXT NOT NULL,          -- of this file; another plan of the same run is another file
    commits INTEGER NOT NULL,    -- only grows: an older copy is known by it
    rows INTEGER                 -- NULL until the plan is finished
) STRICT;
CREATE TABLE row(
    seq INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,
    key BLOB,                    -- keyed hash of the identity; NULL when invalid or forgotten
    content_hash BLOB NOT NULL,  -- empty when invalid or forgotten
    state INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    sent_at INTEGER,             -- microseconds since 1970, UTC: when the last attempt began
    http_status INTEGER,
    code TEXT,
    message TEXT
) STRICT;
CREATE TABLE duplicate(
    seq INTEGER PRIMARY KEY,
    first_seq INTEGER,           -- NULL when it was another run
    earlier_run TEXT,
    earlier_at INTEGER,
    held INTEGER NOT NULL,
    changed INTEGER NOT NULL
) STRICT;
CREATE TABLE attempt(            -- attempts without success; append only
    seq INTEGER NOT NULL, n INTEGER NOT NULL, at INTEGER, state INTEGER NOT NULL, http_status INTEGER,
    code TEXT, message TEXT
) STRICT;
CREATE TABLE resolution(         -- a person's decision; append only
    seq INTEGER NOT NULL, verdict TEXT NOT NULL, by TEXT NOT NULL, at INTEGER NOT NULL, why TEXT NOT NULL
) STRICT;
CREATE TABLE tally(state INTEGER PRIMARY KEY, rows INTEGER NOT NULL) STRICT;
"""

NOT_FORGOTTEN = "content_hash <> x''"
"""Of the valid rows, those whose profile was not erased: only these have a request that can be sent."""

_FOLLOW = """
CREATE TRIGGER row_moved AFTER UPDATE OF state ON row WHEN old.state <> new.state BEGIN
    UPDATE tally SET rows = rows - 1 WHERE state = old.state;
    UPDATE tally SET rows = rows + 1 WHERE state = new.state;
END
"""


def one_by_one(function: Callable[[sqlite3.Connection, P], R]) -> Callable[[sqlite3.Connection, Sequence[P]], list[R]]:
    """Turn a function of one payload into a work."""

    def work(connection: sqlite3.Connection, payloads: Sequence[P]) -> list[R]:
        return [function(connection, payload) for payload in payloads]

    return work


def marks(values: Sequence[object]) -> str:
    """Give the placeholders of a list of values in a statement."""
    return ", ".join("?" * len(values))


def to_micros(moment: datetime) -> int:
    """Convert an aware time to microseconds since 1970, UTC, as stored."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(at: int) -> datetime:
    """Convert stored microseconds to an aware UTC time."""
    return _EPOCH + at * _MICROSECOND


def start_tally(connection: sqlite3.Connection) -> None:
    """Count the rows by state once; from now on a trigger keeps the totals in the same transaction."""
    recount(connection)
    connection.execute(_FOLLOW)


def recount(connection: sqlite3.Connection) -> None:
    """Count the rows by state."""
    connection.execute("DELETE FROM tally")
    connection.executemany("INSERT INTO tally VALUES (?, 0)", [(int(state),) for state in RowState])
    connection.execute(
        "UPDATE tally SET rows = counted.rows FROM (SELECT state, count(*) AS rows FROM row GROUP BY state) AS counted "
        "WHERE tally.state = counted.state"
    )


def totals_agree(connection: sqlite3.Connection, *, rows: int) -> bool:
    """Return whether the rows are as many as planned and their states match the totals."""
    counted = dict(connection.execute("SELECT state, count(*) FROM row GROUP BY state"))
    kept = dict(connection.execute("SELECT state, rows FROM tally WHERE rows > 0"))
    return counted == kept and sum(counted.values()) == rows


def count_commit(connection: sqlite3.Connection) -> None:
    """Increment the file's commit counter, once in each transaction."""
    connection.execute("UPDATE run SET commits = commits + 1")


def read_commits(connection: sqlite3.Connection) -> int:
    """Read the file's commit counter."""
    (commits,) = connection.execute("SELECT commits FROM run").fetchone()
    return int(commits)
