"""The index of an installation: the record of every run, and the keys that the runs sent.

It is open only for one short transaction at a time, so that any number of processes may use it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from batch_enroll.atomic_file import OWNER_ONLY, write_atomic
from batch_enroll.canonical_address import canonical_url
from batch_enroll.errors import JobError, LedgerError
from batch_enroll.ledger.records import STATUS_OF, FoundRow, PlanRules, RowState, RunRecord, RunState
from batch_enroll.ledger.sqlite.connection import (
    check_stamp,
    open_for_reading,
    open_index,
    stamp,
    translate_sqlite_errors,
)
from batch_enroll.ledger.sqlite.filesystem_checks import check_owner
from batch_enroll.ledger.sqlite.plan_queries import EarlierSend, Lookup, Standing
from batch_enroll.ledger.sqlite.pruning import has_no_rows
from batch_enroll.ledger.sqlite.restored_copy_guard import HighWaterMark
from batch_enroll.ledger.sqlite.schema import NOT_FORGOTTEN, from_micros, marks, to_micros
from batch_enroll.messages import message
from batch_enroll.models import Outcome

FILE_NAME = "run.sqlite"  #: in the folder of a run
_COPY = "record.json"  #: of the record, in the folder of the run
_COLUMNS = [field.name for field in fields(RunRecord)]
_MERGE_ROWS = 20_000  # in one transaction
_SALT_BYTES = 32

_SCHEMA = f"""
CREATE TABLE ledger(
    uuid TEXT NOT NULL,
    changes INTEGER NOT NULL,    -- only grows: an older copy is known by it
    salt_hash BLOB               -- tells whether the salt beside the file is the one the keys were made with
) STRICT;
CREATE TABLE run(
    id INTEGER PRIMARY KEY,
    unmerged INTEGER NOT NULL,   -- it may have sent rows that are not in `sent` yet
    {", ".join(_COLUMNS)},
    UNIQUE (run_id)
);
CREATE INDEX run_identity ON run(identity);
CREATE TABLE sent(
    key BLOB NOT NULL, run INTEGER NOT NULL, at INTEGER NOT NULL, state INTEGER NOT NULL, content_hash BLOB NOT NULL,
    PRIMARY KEY (key, run)
) STRICT, WITHOUT ROWID;
"""

# One line for each key: of its rows the one that weighs most. A row that was only refused or released weighs nothing,
# but takes the place of what stood there before a person resolved it.
_SENT_BY_RUN = f"""
SELECT key, sent_at, max(CASE
    WHEN state IN ({RowState.INTENT:d}, {RowState.UNKNOWN:d}) THEN {RowState.UNKNOWN:d}
    WHEN state = {RowState.SUCCESS:d} THEN {RowState.SUCCESS:d} ELSE {RowState.PLANNED:d} END), content_hash
FROM row WHERE attempts > 0 AND {NOT_FORGOTTEN} GROUP BY key ORDER BY key
"""
_MERGE = """
INSERT INTO sent SELECT ?, id, ?, ?, ? FROM run WHERE run_id = ?
ON CONFLICT DO UPDATE SET at = excluded.at, state = excluded.state, content_hash = excluded.content_hash
"""
# ?1 own id, ?2 planned at, ?3 enrolled since, ?4 identities; then the keys.
_LOOK_UP = f"""
SELECT sent.key, run.run_id, sent.at, sent.state, sent.content_hash
FROM sent JOIN run ON run.id = sent.run
WHERE run.id <> ?1 AND (?2 IS NULL OR run.id > ?1 OR sent.at > ?2) AND (
    sent.state = {RowState.UNKNOWN:d}
    OR (sent.state = {RowState.SUCCESS:d} AND (?3 IS NULL OR sent.at > ?3))
    OR (sent.state = {RowState.PLANNED:d} AND run.state = '{RunState.FINISHED}'
        AND run.identity IN (SELECT value FROM json_each(?4))))
AND sent.key IN (%s) ORDER BY sent.at, sent.run
"""
_STANDING = {
    RowState.SUCCESS: Standing.ENROLLED,
    RowState.UNKNOWN: Standing.HELD,
    RowState.PLANNED: Standing.REFUSED,
}
_STATUS_WHEN_SENT = {
    **{state: STATUS_OF[state] for state in (RowState.SUCCESS, RowState.UNKNOWN)},
    RowState.PLANNED: STATUS_OF[RowState.ERROR],
}
_OTHER_RUNS = f"SELECT 1 FROM run WHERE id <> ? AND scenario = ? AND state <> '{RunState.PLANNING}' LIMIT 1"
# The settings of releases that kept addresses as they were written have no `enrolled_before`.
_RECORDED_URLS = """
SELECT DISTINCT url FROM run
WHERE scenario = ? AND json_extract(settings_json, '$.send.enrolled_before') IS NULL ORDER BY url
"""


class RunIndex:
    """The index file. Every method opens it anew; all of them block."""

    def __init__(self, path: Path, state_folder: Path) -> None:
        self.path = path
        self.runs_folder = path.with_name(path.name + ".runs")
        self._state_folder = state_folder

    def salt(self) -> bytes:
        """Read the installation's secret; create it on first use.

        Raises:
            LedgerError: it is gone, or not the one that the keys in the index were made with.
        """
        path = self.path.with_suffix(".salt")
        known = self._salt_hash()
        if known is None:
            with self._change() as connection:  # one process at a time
                known = hashlib.sha256(_secret(path)).digest()
                connection.execute("UPDATE ledger SET salt_hash = ? WHERE salt_hash IS NULL", (known,))
        return self._checked_salt(known)

    def check_salt(self) -> None:
        """Check that the secret, if one was created, is there and is the right one.

        Raises:
            LedgerError: as `salt`.
        """
        if (known := self._salt_hash()) is not None:
            self._checked_salt(known)

    def _checked_salt(self, known: bytes) -> bytes:
        path = self.path.with_suffix(".salt")
        check_owner(path)
        with translate_sqlite_errors(path):
            salt = path.read_bytes() if path.exists() else b""
        if hashlib.sha256(salt).digest() != known:
            raise LedgerError(message("ledger.wrong_salt", path=str(path), ledger=str(self.path)))
        return salt

    def records(self, where: str = "true", *values: object) -> list[RunRecord]:
        """Read the records of some runs, the newest first; none when there is no index yet."""
        with self._read() as connection:
            if connection is None:
                return []
            query = f"SELECT {', '.join(_COLUMNS)} FROM run WHERE {where} ORDER BY id DESC"
            return [_record(values) for values in connection.execute(query, values)]

    def add(self, record: RunRecord, *, check: Callable[[Sequence[RunRecord]], None]) -> None:
        """Insert a new record; it replaces an unfinished plan of the same id.

        Args:
            check: looks at the runs of the same id or identity, and raises to refuse.
        """
        columns = ", ".join(_COLUMNS)
        with self._change() as connection:
            query = f"SELECT {columns} FROM run WHERE run_id = ? OR identity = ?"
            related = connection.execute(query, (record.run_id, record.identity))
            check([_record(values) for values in related])
            connection.execute("DELETE FROM run WHERE run_id = ?", (record.run_id,))
            marks = ", ".join("?" * len(_COLUMNS))
            connection.execute(f"INSERT INTO run(unmerged, {columns}) VALUES (false, {marks})", _values(record))
        self._keep_copy(record)

    def update(self, record: RunRecord, *, unmerged: bool) -> None:
        """Update a record, and whether its run may have sent rows that are not merged."""
        settings = ", ".join(f"{column} = ?" for column in _COLUMNS)
        with self._change() as connection:
            connection.execute(
                f"UPDATE run SET unmerged = ?, {settings} WHERE run_id = ?",
                (unmerged, *_values(record), record.run_id),
            )
        self._keep_copy(record)

    def mark_merged(self, run_id: str) -> None:
        """Record that everything a run sent is merged."""
        with self._change() as connection:
            connection.execute("UPDATE run SET unmerged = false WHERE run_id = ?", (run_id,))

    def remove(self, run_id: str) -> None:
        """Delete a run that sent nothing."""
        with self._change() as connection:
            connection.execute("DELETE FROM run WHERE run_id = ?", (run_id,))

    def purge(self, run_id: str) -> None:
        """Delete a run and its sent keys."""
        with self._change() as connection:
            connection.execute("DELETE FROM sent WHERE run = (SELECT id FROM run WHERE run_id = ?)", (run_id,))
            connection.execute("DELETE FROM run WHERE run_id = ?", (run_id,))

    def merge(self, run_id: str, run: sqlite3.Connection) -> None:
        """Merge what a run has sent so far, whether it was closed, interrupted or is still active."""
        sent = run.execute(_SENT_BY_RUN)
        while block := sent.fetchmany(_MERGE_ROWS):
            lines = [(key, at, state, content_hash, run_id) for key, at, state, content_hash in block]
            with self._change() as connection:
                connection.executemany(_MERGE, lines)

    def sent_rows(self, run_id: str, keys: Sequence[bytes]) -> list[FoundRow]:
        """Give what a run sent for some keys; a key that weighs nothing was refused."""
        query = (
            "SELECT sent.at, sent.state FROM sent JOIN run ON run.id = sent.run "
            f"WHERE run_id = ? AND key IN ({marks(keys)}) ORDER BY sent.at"
        )
        with self._read() as connection:
            if connection is None:
                return []
            found = connection.execute(query, (run_id, *keys)).fetchall()
        return [
            FoundRow(None, Outcome(seq=0, status=_STATUS_WHEN_SENT[state], attempts=1, sent_at=from_micros(at)))
            for at, state in found
        ]

    def forget(self, keys: Sequence[bytes]) -> None:
        """Delete sent keys so that no byte of them stays in the file."""
        with self._change() as connection:
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute(f"DELETE FROM sent WHERE key IN ({marks(keys)})", keys)
        # What was deleted is overwritten; a copy that an earlier change left in free space goes with this.
        with translate_sqlite_errors(self.path), closing(open_index(self.path)) as connection:
            connection.execute("VACUUM")

    def recorded_urls(self, scenario: int) -> list[str]:
        """Give the addresses, as they were written, of runs of a scenario by releases that kept them so."""
        with self._read() as connection:
            if connection is None:
                return []
            return [url for (url,) in connection.execute(_RECORDED_URLS, (scenario,))]

    @contextmanager
    def lookup(self, run_id: str, rules: PlanRules) -> Iterator[Lookup | None]:
        """Give the function that tells what runs other than `run_id` did with some keys, as far as the rules count it.

        None when there is no other run of the scenario.
        """
        planned, since = (None if at is None else to_micros(at) for at in (rules.since_planned, rules.enrolled_since))
        with translate_sqlite_errors(self.path):
            connection = open_for_reading(self.path)
            query = "SELECT id, scenario FROM run WHERE run_id = ?"
            own, scenario = connection.execute(query, (run_id,)).fetchone()
        identities = json.dumps(rules.refused_by)
        counted = (own, planned, since, identities)

        def look_up(keys: Sequence[bytes]) -> Mapping[bytes, EarlierSend]:
            with translate_sqlite_errors(self.path):
                found = connection.execute(_LOOK_UP % ", ".join("?" * len(keys)), (*counted, *keys))
                return {
                    key: EarlierSend(run_id=run, at=at, standing=_STANDING[state], content_hash=content_hash)
                    for key, run, at, state, content_hash in found  # the latest comes last and stays
                }

        with closing(connection):
            with translate_sqlite_errors(self.path):
                others = connection.execute(_OTHER_RUNS, (own, scenario)).fetchone()
            yield look_up if others else None

    def uuid(self) -> str | None:
        """Give what tells this index from another one at its place; None when there is none."""
        with self._read() as connection:
            return None if connection is None else str(connection.execute("SELECT uuid FROM ledger").fetchone()[0])

    def rebuild(self) -> list[RunRecord]:
        """Make a missing index anew from the records in the folders of the runs; each has still to be merged.

        Returns:
            The records, the newest first.
        Raises:
            JobError: there is an index, or there is no run.
            LedgerError: the secret that the keys were made with is gone too.
        """
        if self._exists():
            raise JobError(message("ledger.index_exists", path=str(self.path)))
        if not self._run_folders():
            raise JobError(message("ledger.no_runs_left", folder=str(self.runs_folder)))
        salt = self.path.with_suffix(".salt")
        if not salt.exists():  # a new one would recognise nobody
            raise LedgerError(message("ledger.wrong_salt", path=str(salt), ledger=str(self.path)))
        found = [record for folder in self._run_folders() if (record := self._copied_record(folder))]
        records = sorted(found, key=lambda record: record.created_at)
        with self._change(new=True) as connection:
            columns = ", ".join(_COLUMNS)
            marks = ", ".join("?" * len(_COLUMNS))
            connection.executemany(
                f"INSERT INTO run(unmerged, {columns}) VALUES (true, {marks})", [_values(record) for record in records]
            )
        return records[::-1]

    def keep_copies(self) -> None:
        """Write the copies of records that an earlier release did not write."""
        for record in self.records():
            if not (self.runs_folder / record.run_id / _COPY).exists():
                self._keep_copy(record)

    def _keep_copy(self, record: RunRecord) -> None:
        """Write the record into the run's folder, from which `rebuild` reads it."""
        folder = self.runs_folder / record.run_id
        if folder.exists():
            with translate_sqlite_errors(folder):
                content = json.dumps(dict(zip(_COLUMNS, _values(record), strict=True)))
                write_atomic(folder / _COPY, content.encode(), mode=OWNER_ONLY)

    def _copied_record(self, folder: Path) -> RunRecord | None:
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads((folder / _COPY).read_bytes())
            record = _record([content[column] for column in _COLUMNS])
            return record if record.run_id == folder.name else None
        return None

    def folders(self) -> int:
        """How many folders of planned runs there are."""
        return len(self._run_folders())

    def _run_folders(self) -> list[Path]:
        """Give the folders of the runs that were planned."""
        return [path.parent for path in self.runs_folder.glob(f"*/{FILE_NAME}")]

    def _exists(self) -> bool:
        return self.path.exists() and self.path.stat().st_size > 0

    def _check_not_lost(self) -> None:
        """Refuse a missing index beside the folders of runs: everybody they enrolled would be enrolled again.

        Raises:
            LedgerError: it is missing.
        """
        if not self._exists() and (folders := self._run_folders()):
            lost = sum(_is_pruned(folder) or self._copied_record(folder) is None for folder in folders)
            hint = message("ledger.put_index_back_or_lose", lost=lost) if lost else message("ledger.put_index_back")
            raise LedgerError(message("ledger.index_missing", path=str(self.path), runs=len(folders)), hint=hint)

    def _salt_hash(self) -> bytes | None:
        with self._read() as connection:
            if connection is None:
                return None
            known: bytes | None = connection.execute("SELECT salt_hash FROM ledger").fetchone()[0]
            return known

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection | None]:
        """Open the index for reading; None when it does not exist yet."""
        self._check_not_lost()
        if not self.path.exists():
            yield None
            return
        check_owner(self.path, self.runs_folder)
        with translate_sqlite_errors(self.path), closing(open_for_reading(self.path)) as connection:
            if _is_empty(connection):
                yield None
                return
            self._check(connection)
            with self._translate_nonsense():
                yield connection

    @contextmanager
    def _change(self, *, new: bool = False) -> Iterator[sqlite3.Connection]:
        """Open the index for one transaction, and create it first if it does not exist; `new`: also beside runs."""
        if not new:
            self._check_not_lost()
        check_owner(self.path, self.runs_folder)
        with translate_sqlite_errors(self.path):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self.path.exists():  # else closing it here would drop the locks that SQLite has on it
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            with closing(open_index(self.path)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                if _is_empty(connection):
                    _make(connection)
                uuid, changes = self._check(connection)
                try:
                    with self._translate_nonsense():
                        yield connection
                except BaseException:
                    if connection.in_transaction:  # a full disk has rolled back already
                        connection.execute("ROLLBACK")
                    raise
                connection.execute("UPDATE ledger SET changes = changes + 1")
                connection.execute("COMMIT")
            HighWaterMark(self._state_folder, uuid).advance(changes + 1)

    @contextmanager
    def _translate_nonsense(self) -> Iterator[None]:
        """Raise what comes of values that this program never wrote as `LedgerError`."""
        try:
            yield
        except (ValueError, TypeError, OverflowError) as error:
            found = message("ledger.index_damaged", path=str(self.path), faults=str(error))
            raise LedgerError(found) from error

    def _check(self, connection: sqlite3.Connection) -> tuple[str, int]:
        check_stamp(connection, self.path)
        (uuid,) = connection.execute("SELECT uuid FROM ledger").fetchone()

        def changes() -> int:
            (many,) = connection.execute("SELECT changes FROM ledger").fetchone()
            return int(many)

        return uuid, HighWaterMark(self._state_folder, uuid).check(changes, self.path)


def _is_pruned(folder: Path) -> bool:
    """Whether only the index knew whom a run enrolled."""
    path = folder / FILE_NAME
    with suppress(LedgerError), translate_sqlite_errors(path), closing(open_for_reading(path)) as connection:
        return has_no_rows(connection)
    return False


def _is_empty(connection: sqlite3.Connection) -> bool:
    (many,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return not many


def _make(connection: sqlite3.Connection) -> None:
    for statement in _SCHEMA.split(";\n"):  # `executescript` would end the transaction
        connection.execute(statement)
    stamp(connection)
    connection.execute("INSERT INTO ledger VALUES (?, 0, NULL)", (str(uuid4()),))


def _values(record: RunRecord) -> list[object]:
    values = [getattr(record, column) for column in _COLUMNS]
    return [to_micros(value) if isinstance(value, datetime) else value for value in values]


def _record(values: Sequence[Any]) -> RunRecord:
    by_name = dict(zip(_COLUMNS, values, strict=True))
    by_name["state"] = RunState(by_name["state"])
    with suppress(ValueError):  # releases before this one kept the address as it was written
        by_name["url"] = canonical_url(by_name["url"])
    by_name["created_at"] = from_micros(by_name["created_at"])
    if by_name["finished_at"] is not None:
        by_name["finished_at"] = from_micros(by_name["finished_at"])
    return RunRecord(**by_name)


def _secret(path: Path) -> bytes:
    """Read the secret, or create it atomically."""
    with translate_sqlite_errors(path):
        if not path.exists():
            write_atomic(path, secrets.token_bytes(_SALT_BYTES), mode=OWNER_ONLY)
        return path.read_bytes()
