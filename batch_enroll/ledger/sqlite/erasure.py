"""Erase a profile from the rows of a run's file; number, status, code and totals stay."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from batch_enroll.ledger.records import FoundRow, RowState
from batch_enroll.ledger.sqlite import row_queries
from batch_enroll.ledger.sqlite.schema import count_commit, marks

_SOME = "seq IN (SELECT value FROM json_each(?))"
# The content hash marks the rows from the first step on: they are not sent again, and not taken into the memory.
_EMPTY = (
    f"""
    UPDATE row SET content_hash = x'', message = NULL, code = iif(state = {RowState.PLANNED:d}, 'forgotten', code),
        state = iif(state = {RowState.PLANNED:d}, {RowState.SKIPPED:d}, state) WHERE {_SOME}
    """,
    f"DELETE FROM duplicate WHERE {_SOME}",
    f"UPDATE attempt SET message = NULL WHERE {_SOME}",
    f"UPDATE resolution SET why = '' WHERE {_SOME}",
)


def find_seqs(connection: sqlite3.Connection, keys: Sequence[bytes]) -> list[int]:
    """Give the rows with one of some keys, which an earlier release may have known by another one."""
    places = [connection.execute(f"SELECT seq FROM row WHERE key IN ({marks(keys)})", keys)]
    if _has_aliases(connection):
        places.append(connection.execute(f"SELECT seq FROM alias WHERE key IN ({marks(keys)})", keys))
    return sorted({seq for found in places for (seq,) in found})


def find_rows(connection: sqlite3.Connection, keys: Sequence[bytes]) -> list[FoundRow]:
    """Give the rows with one of some keys, with their outcomes."""
    rows = []
    for seq in find_seqs(connection, keys):
        (number,) = connection.execute("SELECT number FROM row WHERE seq = ?", (seq,)).fetchone()
        (outcome,) = row_queries.outcomes(connection, [(seq - 1, 1)])[0]
        rows.append(FoundRow(number, outcome))
    return rows


def count_unknown(connection: sqlite3.Connection, seqs: Sequence[int]) -> int:
    """Count the rows that may have been sent without an answer."""
    states = f"({RowState.INTENT:d}, {RowState.UNKNOWN:d})"
    query = f"SELECT count(*) FROM row WHERE {_SOME} AND state IN {states}"
    many: int = connection.execute(query, (json.dumps(seqs),)).fetchone()[0]
    return many


def empty_rows(connection: sqlite3.Connection, seqs: Sequence[int]) -> None:
    """Empty some rows and skip the planned ones; their keys stay, so that an interrupted erasure can be repeated."""
    _execute(connection, _EMPTY, seqs)


def remove_keys(connection: sqlite3.Connection, seqs: Sequence[int]) -> None:
    """Remove the keys of some rows, and what earlier changes left of them in the file and in its WAL."""
    aliases = [f"DELETE FROM alias WHERE {_SOME}"] if _has_aliases(connection) else []
    _execute(connection, [f"UPDATE row SET key = NULL WHERE {_SOME}", *aliases], seqs)
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _execute(connection: sqlite3.Connection, statements: Sequence[str], seqs: Sequence[int]) -> None:
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("BEGIN IMMEDIATE")
    for statement in statements:
        connection.execute(statement, (json.dumps(seqs),))
    count_commit(connection)
    connection.execute("COMMIT")


def _has_aliases(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alias'").fetchone())
