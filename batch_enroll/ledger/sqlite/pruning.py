"""Remove the rows of a finished run from its file; totals, reasons and resolutions stay."""

from __future__ import annotations

import sqlite3

from batch_enroll.ledger.records import Reason
from batch_enroll.ledger.sqlite import row_queries
from batch_enroll.ledger.sqlite.schema import count_commit, one_by_one
from batch_enroll.models import RowStatus

_MAX_REASONS = 1_000
_EMPTIED = ("row", "duplicate", "attempt")
_KEPT_REASONS = """
CREATE TABLE kept_reason(
    status TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, rows INTEGER NOT NULL,
    first_rows TEXT NOT NULL  -- row numbers, separated by blanks
) STRICT
"""


def remove_rows(connection: sqlite3.Connection) -> None:
    """Keep the reasons, delete the rows and free their disk space; can be repeated."""
    if not has_no_rows(connection):
        connection.execute("BEGIN IMMEDIATE")
        kept = row_queries.reasons(connection, [_MAX_REASONS])[0]
        connection.execute(_KEPT_REASONS)
        connection.executemany(
            "INSERT INTO kept_reason VALUES (?, ?, ?, ?, ?)",
            [(one.status.value, one.code, one.message, one.count, " ".join(map(str, one.first_rows))) for one in kept],
        )
        for table in _EMPTIED:  # dropped and made again: a DELETE would write every page of a large table
            (made,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
            connection.execute(f"DROP TABLE {table}")
            connection.execute(made)
        count_commit(connection)
        connection.execute("COMMIT")
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def has_no_rows(connection: sqlite3.Connection) -> bool:
    """Return whether the rows were removed."""
    found = connection.execute("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'kept_reason')").fetchone()
    return bool(found[0])


@one_by_one
def reasons(connection: sqlite3.Connection, limit: int) -> list[Reason]:
    """Why rows were no success, the most frequent first, whether the rows are still there or not."""
    if not has_no_rows(connection):
        return row_queries.reasons(connection, [limit])[0]
    found = connection.execute("SELECT * FROM kept_reason ORDER BY rows DESC, rowid LIMIT ?", (limit,))
    return [
        Reason(
            status=RowStatus(status),
            code=code,
            message=message,
            count=many,
            first_rows=tuple(map(int, first_rows.split())),
        )
        for status, code, message, many, first_rows in found
    ]
