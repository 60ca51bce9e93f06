"""Write off a run whose file cannot be trusted: every row that is not surely settled becomes unknown."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from batch_enroll.errors import LedgerError
from batch_enroll.ledger.records import PlannedRow, RowState
from batch_enroll.ledger.sqlite import plan_queries
from batch_enroll.ledger.sqlite.schema import NOT_FORGOTTEN, recount, to_micros
from batch_enroll.messages import message

CODE = "ledger_damaged"
_MAX_FAULTS = 1
# An error may have been sent once more since: what the file does not know counts as sent.
_UNSETTLED = f"state IN ({RowState.PLANNED:d}, {RowState.INTENT:d}, {RowState.ERROR:d}) AND {NOT_FORGOTTEN}"
_REPEATED = """
SELECT seq FROM (SELECT seq, row_number() OVER (PARTITION BY key ORDER BY seq) AS n FROM row WHERE key IS NOT NULL)
WHERE n > 1
"""


def faults(connection: sqlite3.Connection) -> list[str]:
    """Return what SQLite finds wrong with a file."""
    found = [str(line) for (line,) in connection.execute(f"PRAGMA quick_check({_MAX_FAULTS})")]
    return [] if found == ["ok"] else found


def write_off(connection: sqlite3.Connection, *, commits: int, at: datetime) -> None:
    """Turn what is not settled into unknown.

    Args:
        commits: the highest commit counter that was seen of the file.
        at: counts as the time of a sending of which nothing is known.
    Raises:
        LedgerError: the file is damaged.
    """
    if found := faults(connection):
        raise LedgerError(message("ledger.faults_found", faults="; ".join(found)))
    connection.execute("BEGIN IMMEDIATE")
    text = str(message("reason.ledger_damaged"))
    connection.execute(
        f"UPDATE row SET state = {RowState.UNKNOWN:d}, attempts = max(attempts, 1), sent_at = coalesce(sent_at, ?), "
        f"http_status = NULL, code = ?, message = ? WHERE {_UNSETTLED}",
        (to_micros(at), CODE, text),
    )
    recount(connection)
    connection.execute("UPDATE run SET commits = max(commits, ?) + 1", (commits,))
    connection.execute("COMMIT")


def set_aside(path: Path) -> None:
    """Rename a file that cannot be read, and what belongs to it, for whoever can still make something of it."""
    for part in [path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal"))]:
        if part.exists():
            part.replace(part.with_name(f"damaged-{part.name}"))


def plan_again(connection: sqlite3.Connection, blocks: Iterable[Sequence[PlannedRow]]) -> None:
    """Fill an empty file with a plan; of rows for the same profile only the first can have been sent."""
    rows = 0
    for block in blocks:
        plan_queries.add_rows(connection, [block])
        rows += len(block)
    connection.execute(f"UPDATE row SET state = {RowState.SKIPPED:d}, code = 'duplicate' WHERE seq IN ({_REPEATED})")
    plan_queries.finish_planning(connection, [rows])
