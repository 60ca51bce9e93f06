"""SQL for the rows of one run: each state transition and each query is a function of a connection.

A transition is one UPDATE that names the state it starts from; its row count must equal the number of payloads.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from batch_enroll.errors import LedgerError, RowTaken
from batch_enroll.ledger.records import STATUS_OF, DoubtedRow, Pending, Reason, Resolution, RowState
from batch_enroll.ledger.sqlite.plan_queries import duplicates
from batch_enroll.ledger.sqlite.schema import NOT_FORGOTTEN, from_micros, one_by_one, to_micros
from batch_enroll.ledger.transitions import (
    IN_FLIGHT,
    INTERRUPTED,
    SKIPPED_IN_SHORT,
    STATE_AFTER_DECISION,
    STRAY_ANSWER,
    why_resolved,
    why_skipped,
)
from batch_enroll.messages import NO_TEXT, message, verbatim
from batch_enroll.models import Counts, Outcome, RowStatus

# The payloads travel as one JSON array and each work is a few statements for any number of rows (see `group_commit`).
_INTEND = f"""
UPDATE row SET state = {RowState.INTENT:d}, attempts = attempts + 1, sent_at = move.at,
    http_status = NULL, code = NULL, message = NULL
FROM (SELECT json_extract(value, '$[0]') AS seq, json_extract(value, '$[1]') AS at FROM json_each(?)) AS move
WHERE row.seq = move.seq AND row.state = {RowState.PLANNED:d}
"""
_ATTEMPTS = """
SELECT json_group_array(attempts) FROM (
    SELECT row.attempts FROM json_each(?) AS move CROSS JOIN row ON row.seq = json_extract(move.value, '$[0]')
    ORDER BY move.key)
"""
_SETTLE = f"""
UPDATE row SET state = move.state, http_status = move.http_status, code = move.code, message = move.message
FROM (SELECT json_extract(value, '$[0]') AS seq, json_extract(value, '$[1]') AS state,
             json_extract(value, '$[2]') AS http_status, json_extract(value, '$[3]') AS code,
             json_extract(value, '$[4]') AS message FROM json_each(?)) AS move
WHERE row.seq = move.seq AND row.state = {RowState.INTENT:d}
"""
_REMEMBER = """
INSERT INTO attempt SELECT seq, attempts, sent_at, state, http_status, code, message FROM row
WHERE seq IN (SELECT json_extract(value, '$[0]') FROM json_each(?))
"""


def record_intent(connection: sqlite3.Connection, moves: Sequence[tuple[int, int]]) -> list[int]:
    """PLANNED -> INTENT for each (seq, microseconds); gives the attempts' numbers."""
    batch = json.dumps(moves)
    if connection.execute(_INTEND, (batch,)).rowcount != len(moves):
        raise _intent_refused(connection, moves[0][0])
    attempts: list[int] = json.loads(connection.execute(_ATTEMPTS, (batch,)).fetchone()[0])
    return attempts


def record_outcome(
    connection: sqlite3.Connection, moves: Sequence[tuple[int, RowState, int | None, str | None, str | None]]
) -> Sequence[None]:
    """INTENT -> the state given (PLANNED when it is released), for each (seq, state, HTTP status, code, message)."""
    batch = json.dumps(moves)
    if connection.execute(_SETTLE, (batch,)).rowcount != len(moves):
        raise _illegal_transition(moves[0][0], needed=RowState.INTENT)
    if any(move[1] is not RowState.SUCCESS for move in moves):
        remembered = json.dumps([move for move in moves if move[1] is not RowState.SUCCESS])
        connection.execute(_REMEMBER, (remembered,))
    return [None] * len(moves)


@one_by_one
def doubt_answer(connection: sqlite3.Connection, seq: int) -> DoubtedRow:
    """SUCCESS, ERROR or PLANNED -> UNKNOWN for a row of which a request has left; any other is left as it is."""
    number, key, state = connection.execute("SELECT number, key, state FROM row WHERE seq = ?", (seq,)).fetchone()
    if state in (RowState.SUCCESS, RowState.ERROR, RowState.PLANNED):
        moved = connection.execute(
            f"UPDATE row SET state = {RowState.UNKNOWN:d}, http_status = NULL, code = ?, message = ? "
            "WHERE seq = ? AND state = ? AND attempts > 0",
            (*STRAY_ANSWER, seq, state),
        ).rowcount
        if moved:
            connection.execute(_REMEMBER, (json.dumps([[seq]]),))
    (outcome,) = _outcomes(connection, (seq - 1, 1))
    return DoubtedRow(number, key, RowState(state), outcome)


@one_by_one
def recover(connection: sqlite3.Connection, _: None) -> int:
    """INTENT -> UNKNOWN for every row: the process that sent them is dead."""
    connection.execute(
        f"INSERT INTO attempt SELECT seq, attempts, sent_at, {RowState.UNKNOWN:d}, NULL, ?, ? FROM row "
        f"WHERE state = {RowState.INTENT:d}",
        INTERRUPTED,
    )
    return connection.execute(
        f"UPDATE row SET state = {RowState.UNKNOWN:d}, http_status = NULL, code = ?, message = ? "
        f"WHERE state = {RowState.INTENT:d}",
        INTERRUPTED,
    ).rowcount


@one_by_one
def requeue(connection: sqlite3.Connection, origin: RowState) -> int:
    """ERROR -> PLANNED for every row that has a request; for PLANNED only counts."""
    if origin is RowState.PLANNED:
        return _count(connection, origin)
    return connection.execute(
        f"UPDATE row SET state = {RowState.PLANNED:d} WHERE state = ? AND {NOT_FORGOTTEN}", (int(origin),)
    ).rowcount


@one_by_one
def retryable(connection: sqlite3.Connection, _: None) -> int:
    """How many rows `requeue` would move from ERROR."""
    query = f"SELECT count(*) FROM row WHERE state = {RowState.ERROR:d} AND {NOT_FORGOTTEN}"
    many: int = connection.execute(query).fetchone()[0]
    return many


@one_by_one
def resolve(connection: sqlite3.Connection, verdicts: Sequence[Resolution]) -> list[bool]:
    """UNKNOWN -> what each verdict means; says for each whether its row was unknown."""
    return [_resolve(connection, verdict) for verdict in verdicts]


@one_by_one
def anything_sent(connection: sqlite3.Connection, _: None) -> bool:
    """Whether a request may have left for any row."""
    (any_sent,) = connection.execute("SELECT EXISTS (SELECT 1 FROM row WHERE attempts > 0)").fetchone()
    return bool(any_sent)


@one_by_one
def pending(connection: sqlite3.Connection, page: tuple[int, int]) -> list[Pending]:
    """Rows to send with seq > page[0], at most page[1]."""
    return _planned_rows(connection, "seq > ?", page, limit="LIMIT ?")


@one_by_one
def planned(connection: sqlite3.Connection, block: tuple[int, int]) -> list[Pending]:
    """Rows to send from block[0] to block[1], in seq order."""
    return _planned_rows(connection, "seq BETWEEN ? AND ?", block)


@one_by_one
def outcomes(connection: sqlite3.Connection, page: tuple[int, int]) -> list[Outcome]:
    """The outcome of each row with seq > page[0], at most page[1]."""
    return _outcomes(connection, page)


def _outcomes(connection: sqlite3.Connection, page: tuple[int, int]) -> list[Outcome]:
    found = connection.execute(
        "SELECT seq, state, code, message, http_status, attempts, sent_at FROM row WHERE seq > ? ORDER BY seq LIMIT ?",
        page,
    ).fetchall()
    if not found:
        return []
    skipped = (
        {duplicate.seq: duplicate for duplicate in duplicates(connection, [page])[0]}
        if any(state == RowState.SKIPPED for _, state, *_ in found)
        else {}
    )
    words = []
    for seq, state, code, text, http_status, attempts, sent_at in found:
        if state == RowState.SKIPPED:
            # The line in `duplicate` of an erased profile is gone.
            code, text = why_skipped(skipped[seq]) if seq in skipped else (code, SKIPPED_IN_SHORT[code])
        elif state == RowState.INTENT:
            code, text, http_status = *IN_FLIGHT, None
        words.append(
            Outcome(
                seq=seq,
                status=STATUS_OF[state],
                code=code or "",
                message=verbatim(text) if text else NO_TEXT,
                http_status=http_status,
                attempts=attempts,
                sent_at=from_micros(sent_at) if sent_at is not None else None,
            )
        )
    return words


@one_by_one
def counts(connection: sqlite3.Connection, _: None) -> Counts:
    """How many rows are in each status; while planning they are counted now."""
    (rows,) = connection.execute("SELECT rows FROM run").fetchone()
    kept = "SELECT state, rows FROM tally" if rows is not None else "SELECT state, count(*) FROM row GROUP BY state"
    by_status: dict[RowStatus, int] = {}
    for state, many in connection.execute(kept):
        by_status[STATUS_OF[state]] = by_status.get(STATUS_OF[state], 0) + many
    return Counts.of(by_status)


@one_by_one
def reasons(connection: sqlite3.Connection, limit: int) -> list[Reason]:
    """Why rows are no success, the most frequent first."""
    found = connection.execute(
        f"""
        SELECT state, coalesce(code, ''), coalesce(message, ''), count(*) AS many, min(seq) FROM row
        WHERE state <> {RowState.SUCCESS:d} GROUP BY 1, 2, 3 ORDER BY many DESC, min(seq) LIMIT ?
        """,
        (limit,),
    ).fetchall()
    return [
        _reason(connection, RowState(state), code, message, many=many, first=first)
        for state, code, message, many, first in found
    ]


def _planned_rows(
    connection: sqlite3.Connection, where: str, values: tuple[int, int], *, limit: str = ""
) -> list[Pending]:
    found = connection.execute(
        f"SELECT seq, number, attempts, key, content_hash FROM row WHERE {where} AND state = {RowState.PLANNED:d} "
        f"ORDER BY seq {limit}",
        values,
    )
    return [
        Pending(seq=seq, number=number, attempts=attempts, key=key, content_hash=content_hash)
        for seq, number, attempts, key, content_hash in found
    ]


def _resolve(connection: sqlite3.Connection, verdict: Resolution) -> bool:
    moved = connection.execute(
        f"UPDATE row SET state = ?, code = ?, message = ? WHERE seq = ? AND state = {RowState.UNKNOWN:d}",
        (int(STATE_AFTER_DECISION[verdict.verdict]), *why_resolved(verdict), verdict.seq),
    ).rowcount
    if moved:
        kept = (verdict.seq, verdict.verdict, verdict.by, to_micros(verdict.at), verdict.why)
        connection.execute("INSERT INTO resolution VALUES (?, ?, ?, ?, ?)", kept)
    return bool(moved)


def _reason(
    connection: sqlite3.Connection, state: RowState, code: str, message: str, *, many: int, first: int
) -> Reason:
    numbers = connection.execute(
        "SELECT number FROM row WHERE seq >= ? AND state = ? AND coalesce(code, '') = ? AND coalesce(message, '') = ? "
        "ORDER BY seq LIMIT ?",
        (first, int(state), code, message, Reason.FIRST_ROWS),
    ).fetchall()
    if state is RowState.INTENT:
        code, message = IN_FLIGHT
    return Reason(
        status=STATUS_OF[state],
        code=code,
        message=SKIPPED_IN_SHORT[code] if state is RowState.SKIPPED else message,
        count=many,
        first_rows=tuple(number for (number,) in numbers),
    )


def _count(connection: sqlite3.Connection, state: RowState) -> int:
    many: int = connection.execute("SELECT rows FROM tally WHERE state = ?", (int(state),)).fetchone()[0]
    return many


def _intent_refused(connection: sqlite3.Connection, seq: int) -> Exception:
    """Build the error of a row that is not PLANNED; of several rows in one statement it is about the first."""
    found = connection.execute("SELECT state FROM row WHERE seq = ?", (seq,)).fetchone()
    if found is None or found[0] == RowState.INVALID:
        return _illegal_transition(seq, needed=RowState.PLANNED)
    return RowTaken(seq)


def _illegal_transition(seq: int, *, needed: RowState) -> LedgerError:
    return LedgerError(message("ledger.illegal_transition", seq=seq, needed=needed.name))
