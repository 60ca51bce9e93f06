"""SQL for a run's file while it is planned: append rows, find duplicates, finish the plan.

Rows are appended without an index on the key and duplicates are found by one sort at the end: an index on random keys
would write a page for each row and slow down as the plan grows. The file is not durable before the plan is finished.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from uuid import uuid4

from batch_enroll.ledger.records import Duplicate, PlannedRow, PlanRules, RowState
from batch_enroll.ledger.sqlite.connection import open_for_planning, stamp
from batch_enroll.ledger.sqlite.schema import (
    ALIAS_TABLE,
    SCHEMA,
    from_micros,
    one_by_one,
    start_tally,
)
from batch_enroll.models import Duplicates

_BLOCK_ROWS = 1_000

_ADD = f"""
INSERT INTO row(seq, number, key, content_hash, code, state)
VALUES (?1, ?2, ?3, ?4, nullif(?5, ''), iif(?3 IS NULL, {RowState.INVALID:d}, {RowState.PLANNED:d}))
"""  # of a PlannedRow, as it stands
_BY_KEY = "SELECT key, seq, content_hash FROM row WHERE %s ORDER BY key, seq"
_KEYS = "SELECT key, seq FROM row WHERE %s ORDER BY key, seq"
_ANY = "key IS NOT NULL"
_REPEATED = "key IN (SELECT key FROM row WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1)"


class Standing(IntEnum):
    """How an earlier run left a profile; the numbers are what is on disk."""

    ENROLLED = 0
    HELD = 1  #: unknown
    REFUSED = 2
    ELSEWHERE = 3  #: enrolled or unknown, but only by the input itself


SKIP_CODES = {
    Standing.ENROLLED: "already_enrolled",
    Standing.HELD: "held_unknown",
    Standing.REFUSED: "refused_before",
    Standing.ELSEWHERE: "enrolled_elsewhere",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierSend:
    """What an earlier run did with a key."""

    run_id: str
    at: int | None  #: microseconds; None = not known
    standing: Standing
    content_hash: bytes


_SKIP_CODE = "CASE held " + " ".join(f"WHEN {kind:d} THEN '{code}'" for kind, code in SKIP_CODES.items()) + " END"

Lookup = Callable[[Sequence[bytes]], Mapping[bytes, EarlierSend]]
"""Gives what earlier runs did with some keys, as far as the rules count it."""


def create_file(path: Path, run_id: str) -> sqlite3.Connection:
    """Create an empty file; what an unfinished plan left is deleted."""
    for left in path.parent.glob(path.name + "*"):
        left.unlink()
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))  # whatever the umask
    connection = open_for_planning(path)
    connection.executescript(SCHEMA)
    connection.execute(ALIAS_TABLE)
    stamp(connection)
    connection.execute("INSERT INTO run VALUES (?, ?, 0, NULL)", (run_id, str(uuid4())))
    return connection


@one_by_one
def add_rows(connection: sqlite3.Connection, rows: Sequence[PlannedRow]) -> None:
    """Append a block of rows."""
    connection.executemany(_ADD, rows)


@one_by_one
def add_aliases(connection: sqlite3.Connection, aliases: Sequence[tuple[int, bytes]]) -> None:
    """Add other keys (seq, key) of rows."""
    connection.execute(ALIAS_TABLE)  # a file of an earlier release has none
    connection.executemany("INSERT OR IGNORE INTO alias(seq, key) VALUES (?, ?)", aliases)


@one_by_one
def add_enrolled_elsewhere(connection: sqlite3.Connection, rows: Sequence[tuple[int, str]]) -> None:
    """Note which rows (seq, run) a run of another ledger has sent, until the duplicates are marked."""
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS elsewhere(seq INTEGER PRIMARY KEY, run_id TEXT NOT NULL)")
    connection.executemany("INSERT INTO elsewhere VALUES (?, ?)", rows)


def mark_duplicates(connection: sqlite3.Connection, lookup: Lookup | None, rules: PlanRules) -> int:
    """Note every row whose key was met before, here or in an earlier run, and skip those that must not be sent.

    Without a lookup no earlier run counts, and only keys that occur twice here are read.
    """
    of_keys = _with_elsewhere(connection, lookup, rules)
    connection.executemany("INSERT INTO duplicate VALUES (?, ?, ?, ?, ?, ?)", _find_duplicates(connection, of_keys))
    if lookup is not None:
        _note_earlier(connection, _met_as_alias(connection, lookup))
    connection.execute(
        f"""
        UPDATE row SET state = {RowState.SKIPPED:d},
            code = iif(earlier_run IS NOT NULL AND held IN (SELECT value FROM json_each(?1)), {_SKIP_CODE}, 'duplicate')
        FROM duplicate WHERE duplicate.seq = row.seq AND (
            (earlier_run IS NOT NULL AND held IN (SELECT value FROM json_each(?1))) OR (first_seq IS NOT NULL AND ?2))
        """,
        (json.dumps(_skipped_standings(rules)), rules.duplicates is Duplicates.SKIP),
    )
    (many,) = connection.execute("SELECT count(*) FROM duplicate").fetchone()
    return int(many)


def skip_sent(connection: sqlite3.Connection, lookup: Lookup | None) -> int:
    """Skip the planned rows whose key another run has sent meanwhile; return how many there are."""
    if lookup is None:
        return 0
    planned = f"state = {RowState.PLANNED:d}"
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS met(seq, run_id, at, held, changed)")
    connection.execute("DELETE FROM met")
    by_key = connection.execute(_BY_KEY % planned)
    for found in (_earlier_of(by_key, lookup), _met_as_alias(connection, lookup, planned)):
        connection.executemany("INSERT INTO met VALUES (?, ?, ?, ?, ?)", found)
    _note_earlier(connection, connection.execute("SELECT * FROM met").fetchall())
    skipped = connection.execute(
        f"""
        UPDATE row SET state = {RowState.SKIPPED:d}, code = {_SKIP_CODE}, message = NULL
        FROM duplicate WHERE duplicate.seq = row.seq AND row.seq IN (SELECT seq FROM met)
        """
    )
    return skipped.rowcount


def _skipped_standings(rules: PlanRules) -> list[Standing]:
    sent = {Standing.ENROLLED: not rules.skip_enrolled, Standing.HELD: not rules.hold_unknown}
    return [standing for standing in Standing if not sent.get(standing)]


def _with_elsewhere(connection: sqlite3.Connection, lookup: Lookup | None, rules: PlanRules) -> Lookup | None:
    """Let a lookup also find the profiles that the input says were enrolled, unless they are skipped anyway."""
    if not connection.execute("SELECT 1 FROM sqlite_temp_schema WHERE name = 'elsewhere'").fetchone():
        return lookup
    connection.execute("CREATE TEMP TABLE elsewhere_key(key BLOB PRIMARY KEY, run_id TEXT NOT NULL) WITHOUT ROWID")
    connection.execute(
        "INSERT OR IGNORE INTO elsewhere_key SELECT key, run_id FROM elsewhere JOIN row USING (seq) "
        "WHERE key IS NOT NULL ORDER BY key, seq"
    )
    skipped = _skipped_standings(rules)

    def look_up(keys: Sequence[bytes]) -> Mapping[bytes, EarlierSend]:
        found = dict(lookup(keys)) if lookup else {}
        marks = ", ".join("?" * len(keys))
        query = f"SELECT key, run_id FROM elsewhere_key WHERE key IN ({marks})"
        for key, run_id in connection.execute(query, keys):
            if key not in found or found[key].standing not in skipped:
                found[key] = EarlierSend(run_id=run_id, at=None, standing=Standing.ELSEWHERE, content_hash=b"")
        return found

    return look_up


def _note_earlier(connection: sqlite3.Connection, found: Iterable[tuple[object, ...]]) -> None:
    """Note which rows another run sent; the latest one counts, a held one before all others."""
    connection.executemany(
        f"""
        INSERT INTO duplicate VALUES (?, NULL, ?, ?, ?, ?)
        ON CONFLICT(seq) DO UPDATE SET earlier_run = excluded.earlier_run, earlier_at = excluded.earlier_at,
            held = excluded.held, changed = excluded.changed
        WHERE earlier_run IS NULL OR excluded.held = {Standing.HELD:d} OR excluded.earlier_at > earlier_at
        """,
        found,
    )


def _met_as_alias(connection: sqlite3.Connection, lookup: Lookup, where: str = "true") -> Iterator[tuple[object, ...]]:
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alias'").fetchone():
        query = f"SELECT alias.key, seq, content_hash FROM alias JOIN row USING (seq) WHERE {where} ORDER BY alias.key"
        yield from _earlier_of(connection.execute(query), lookup)


def _earlier_of(rows: sqlite3.Cursor, lookup: Lookup) -> Iterator[tuple[object, ...]]:
    """Look up rows (key, seq, content hash); give what `_note_earlier` takes."""
    while block := rows.fetchmany(_BLOCK_ROWS):
        sent_before = lookup([key for key, _, _ in block])
        for key, seq, content_hash in block:
            if sent := sent_before.get(key):
                yield seq, sent.run_id, sent.at, sent.standing, sent.content_hash != content_hash


@one_by_one
def duplicates(connection: sqlite3.Connection, page: tuple[int, int]) -> list[Duplicate]:
    """The duplicates with seq > page[0], at most page[1]."""
    found = connection.execute(
        f"""
        SELECT duplicate.seq, row.number, first.number, earlier_run, earlier_at, held, changed,
            iif(row.state = {RowState.SKIPPED:d}, row.code, '')
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
            held=held == Standing.HELD,
            refused=held == Standing.REFUSED,
            elsewhere=held == Standing.ELSEWHERE,
            changed=bool(changed),
            code=code,
        )
        for seq, number, first_number, earlier_run, earlier_at, held, changed, code in found
    ]


@one_by_one
def finish_planning(connection: sqlite3.Connection, rows: int) -> None:
    """Finish the plan; it is durable after the file is closed and synced."""
    start_tally(connection)
    connection.execute("UPDATE run SET rows = ?", (rows,))


def _find_duplicates(connection: sqlite3.Connection, lookup: Lookup | None) -> Iterator[tuple[object, ...]]:
    """Yield a line of the table `duplicate` for each row whose key occurred before.

    Most blocks hold no such row: their keys are compared all at once, and no content hash is read.
    """
    by_key = connection.execute(_KEYS % (_ANY if lookup else _REPEATED))
    last_key, first_seq = None, 0
    while block := by_key.fetchmany(_BLOCK_ROWS):
        keys = [key for key, _ in block]
        sent_before = lookup(keys) if lookup else {}
        if not sent_before and keys[0] != last_key and len(set(keys)) == len(keys):
            last_key, first_seq = block[-1]
            continue
        for key, seq in block:
            inside = key == last_key
            if not inside:
                last_key, first_seq = key, seq
            if sent := sent_before.get(key):
                known = sent.standing is not Standing.ELSEWHERE
                changed = known and sent.content_hash != _content_hash(connection, seq)
                yield seq, first_seq if inside else None, sent.run_id, sent.at, sent.standing, changed
            elif inside:
                changed = _content_hash(connection, seq) != _content_hash(connection, first_seq)
                yield seq, first_seq, None, None, False, changed


def _content_hash(connection: sqlite3.Connection, seq: int) -> bytes:
    (found,) = connection.execute("SELECT content_hash FROM row WHERE seq = ?", (seq,)).fetchone()
    return bytes(found)
