"""SQL for a run's file while it is planned: append rows, find duplicates, finish the plan.

Rows are appended without an index on the key and duplicates are found by one sort at the end: an index on random keys
would write a page for each row and slow down as the plan grows. The file is not durable before the plan is finished.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from batch_enroll.ledger.records import Duplicate, PlannedRow, RowState
from batch_enroll.ledger.sqlite.connection import open_for_planning, stamp
from batch_enroll.ledger.sqlite.schema import (
    SCHEMA,
    from_micros,
    one_by_one,
    start_tally,
)

_BLOCK_ROWS = 1_000

_ADD = f"""
INSERT INTO row(seq, number, key, content_hash, code, state)
VALUES (?1, ?2, ?3, ?4, nullif(?5, ''), iif(?3 IS NULL, {RowState.INVALID:d}, {RowState.PLANNED:d}))
"""  # of a PlannedRow, as it stands
_BY_KEY = "SELECT key, seq, content_hash FROM row WHERE %s ORDER BY key, seq"
_ANY = "key IS NOT NULL"
_REPEATED = "key IN (SELECT key FROM row WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1)"


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierSend:
    """What an earlier run did with a key."""

    run_id: str
    at: int  #: microseconds
    held: bool
    content_hash: bytes


Lookup = Callable[[Sequence[bytes]], Mapping[bytes, EarlierSend]]
"""Gives what earlier runs did with some keys, as far as the rules count it."""


def create_file(path: Path, run_id: str) -> sqlite3.Connection:
    """Create an empty file; what an unfinished plan left is deleted."""
    for left in path.parent.glob(path.name + "*"):
        left.unlink()
    connection = open_for_planning(path)
    connection.executescript(SCHEMA)
    stamp(connection)
    connection.execute("INSERT INTO run VALUES (?, ?, 0, NULL)", (run_id, str(uuid4())))
    return connection


@one_by_one
def add_rows(connection: sqlite3.Connection, rows: Sequence[PlannedRow]) -> None:
    """Append a block of rows."""
    connection.executemany(_ADD, rows)


def mark_duplicates(connection: sqlite3.Connection, lookup: Lookup | None, *, skip_inside: bool) -> int:
    """Record every row whose key occurred before, here or in an earlier run; skip those that must not be sent.

    Without a lookup no earlier run counts, and only keys that occur twice here are read.
    """
    connection.executemany("INSERT INTO duplicate VALUES (?, ?, ?, ?, ?, ?)", _find_duplicates(connection, lookup))
    connection.execute(
        f"""
        UPDATE row SET state = {RowState.SKIPPED:d}, code = CASE
            WHEN earlier_run IS NULL THEN 'duplicate' WHEN held THEN 'held_unknown' ELSE 'already_enrolled' END
        FROM duplicate WHERE duplicate.seq = row.seq AND (earlier_run IS NOT NULL OR ?)
        """,
        (skip_inside,),
    )
    (many,) = connection.execute("SELECT count(*) FROM duplicate").fetchone()
    return int(many)


def skip_sent(connection: sqlite3.Connection, lookup: Lookup | None) -> int:
    """Skip the planned rows whose key another run has sent meanwhile."""
    if lookup is None:
        return 0
    planned = connection.execute(
        f"SELECT key, seq, content_hash FROM row WHERE state = {RowState.PLANNED:d} ORDER BY key, seq"
    )
    many = 0
    while block := planned.fetchmany(_BLOCK_ROWS):
        sent_before = lookup([key for key, _, _ in block])
        found = [
            (seq, sent.run_id, sent.at, sent.held, sent.content_hash != content_hash)
            for key, seq, content_hash in block
            if (sent := sent_before.get(key))
        ]
        connection.executemany("INSERT OR REPLACE INTO duplicate VALUES (?, NULL, ?, ?, ?, ?)", found)
        connection.executemany(
            f"UPDATE row SET state = {RowState.SKIPPED:d}, code = ?, message = NULL WHERE seq = ?",
            [("held_unknown" if held else "already_enrolled", seq) for seq, _, _, held, _ in found],
        )
        many += len(found)
    return many


@one_by_one
def duplicates(connection: sqlite3.Connection, page: tuple[int, int]) -> list[Duplicate]:
    """The duplicates with seq > page[0], at most page[1]."""
    found = connection.execute(
        """
        SELECT duplicate.seq, row.number, first.number, earlier_run, earlier_at, held, changed
        FROM duplicate JOIN row USING (seq) LEFT JOIN row AS first ON first.seq = first_seq
        WHERE duplicate.seq > ? ORDER BY duplicate.seq LIMIT ?
        """,
        page,
    )
    return [
        Duplicate(
            seq=seq,
            number=number,
            first_number=first_number,
            earlier_run=earlier_run,
            earlier_at=None if earlier_at is None else from_micros(earlier_at),
            held=bool(held),
            changed=bool(changed),
        )
        for seq, number, first_number, earlier_run, earlier_at, held, changed in found
    ]


@one_by_one
def finish_planning(connection: sqlite3.Connection, rows: int) -> None:
    """Finish the plan; it is durable after the file is closed and synced."""
    start_tally(connection)
    connection.execute("UPDATE run SET rows = ?", (rows,))


def _find_duplicates(connection: sqlite3.Connection, lookup: Lookup | None) -> Iterator[tuple[object, ...]]:
    """Yield a line of the table `duplicate` for each row whose key occurred before."""
    by_key = connection.execute(_BY_KEY % (_ANY if lookup else _REPEATED))
    last_key, first_seq, first_hash = None, 0, b""
    while block := by_key.fetchmany(_BLOCK_ROWS):
        sent_before = lookup([key for key, _, _ in block]) if lookup else {}
        for key, seq, content_hash in block:
            inside = key == last_key
            if not inside:
                last_key, first_seq, first_hash = key, seq, content_hash
            sent = sent_before.get(key)
            if sent:
                changed = sent.content_hash != content_hash
                yield seq, first_seq if inside else None, sent.run_id, sent.at, sent.held, changed
            elif inside:
                yield seq, first_seq, None, None, False, first_hash != content_hash
