"""Rows of one profile are found by its keys and erased: the rules that every ledger keeps."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from batch_enroll.errors import LedgerError, RowTaken, RunLocked
from batch_enroll.ledger.interface import Ledger, RunLedger
from batch_enroll.ledger.records import FoundRow, Resolution, RunState
from batch_enroll.messages import NO_TEXT, verbatim
from batch_enroll.models import Counts, Outcome, Row, RowStatus
from tests.ledger.building import (
    NOON,
    all_duplicates,
    die,
    key_of,
    make_record,
    minutes,
    open_run,
    record_intent,
    send,
    statuses,
)

SUCCESS, ERROR, UNKNOWN = RowStatus.SUCCESS, RowStatus.ERROR, RowStatus.UNKNOWN
INVALID, SKIPPED, NOT_SENT = RowStatus.INVALID, RowStatus.SKIPPED, RowStatus.NOT_SENT
ANN = [key_of("ann")]


async def finish(run: RunLedger) -> None:
    await run.close(state=RunState.FINISHED, stop_reason="", at=NOON)


async def found(ledger: Ledger, run_id: str, keys: list[bytes] = ANN) -> list[tuple[int | None, RowStatus, str]]:
    rows = await ledger.find_rows(run_id, keys)
    return [(row.number, row.outcome.status, row.outcome.code) for row in rows]


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_rows_are_found_by_key_with_their_outcomes(ledger: Ledger):
    run = await open_run(ledger, ["bob", "ann", None, "ann"])
    await send(run, 2, ERROR, code="404")

    assert await ledger.find_rows("run-1", [key_of("eve"), *ANN]) == [
        FoundRow(3, Outcome(2, ERROR, code="404", message=verbatim("It was 404."), attempts=1, sent_at=NOON)),
        FoundRow(5, Outcome(4, SKIPPED, code="duplicate", message=verbatim("The same profile is in row 3."))),
    ]
    assert await found(ledger, "run-1", [key_of("eve")]) == []
    assert await found(ledger, "run-1", []) == []
    await finish(run)
    assert await found(ledger, "run-1") == [(3, ERROR, "404"), (5, SKIPPED, "duplicate")]


async def test_rows_are_found_by_the_key_of_an_earlier_release(ledger: Ledger):
    run = await open_run(ledger, ["old ann", "bob"])
    await run.add_aliases([(1, key_of("ann"))])
    await send(run, 2, SUCCESS)
    await run.close_unchanged()

    assert await found(ledger, "run-1") == [(2, NOT_SENT, "")]
    await ledger.forget_rows("run-1", ANN)
    assert await found(ledger, "run-1", [*ANN, key_of("old ann")]) == []


async def test_pruned_run_is_found_by_what_it_sent(ledger: Ledger):
    run = await open_run(ledger, ["ann", "bob", "carl"])
    await send(run, 1, SUCCESS)
    await send(run, 2, ERROR, code="404")
    await finish(run)
    await ledger.prune("run-1")

    assert await ledger.find_rows("run-1", ANN) == [FoundRow(None, Outcome(0, SUCCESS, attempts=1, sent_at=NOON))]
    assert await found(ledger, "run-1", [key_of("bob"), key_of("carl")]) == [(None, ERROR, "")]
    await ledger.forget_rows("run-1", ANN)
    assert await found(ledger, "run-1") == [(None, SUCCESS, "")], "the memory is another step"
    await ledger.forget_sent(ANN)
    assert await found(ledger, "run-1") == []
    assert await found(ledger, "run-1", [key_of("bob")]) == [(None, ERROR, "")]


async def test_forgotten_rows_keep_status_and_totals(ledger: Ledger, tmp_path: Path):
    run = await open_run(ledger, ["ann", "bob", None, "ann", "carl"])
    await send(run, 1, ERROR, code="404")
    await run.close(state=RunState.OPEN, stop_reason="It stopped.", at=NOON)
    assert ANN[0] in bytes_of(tmp_path), "else this test could not fail"

    for _ in range(2):
        await ledger.forget_rows("run-1", ANN)
        await ledger.forget_sent(ANN)
        assert ANN[0] not in bytes_of(tmp_path)

    run = await ledger.open("run-1", read_only=False)
    assert await run.outcomes(after_seq=0, limit=9) == [
        Outcome(1, ERROR, code="404", attempts=1, sent_at=NOON, message=NO_TEXT),
        Outcome(2, NOT_SENT),
        Outcome(3, INVALID, code="email_invalid"),
        Outcome(4, SKIPPED, code="duplicate", message=verbatim("The same profile is in an earlier row.")),
        Outcome(5, NOT_SENT),
    ]
    assert await run.counts() == Counts(error=1, not_sent=2, invalid=1, skipped=1)
    assert await all_duplicates(run) == []
    await run.close_unchanged()


@pytest.mark.parametrize("name", ["ledger.sqlite", "run.sqlite"])
async def test_no_copy_of_a_key_stays_in_free_space(ledger: Ledger, tmp_path: Path, name: str):
    """A page that SQLite has split or freed keeps its bytes: about 1 key of 1,000 is there twice."""
    run = await open_run(ledger, ["ann", "bob"])
    await send(run, 1, ERROR)
    await finish(run)
    (path,) = tmp_path.rglob(name)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE earlier(key BLOB)")
        connection.executemany("INSERT INTO earlier VALUES (?)", [(ANN[0],), (b"x" * 4000,)])
        connection.execute("DROP TABLE earlier")
    assert path.read_bytes().count(ANN[0]) == 2, "else this test could not fail"

    await ledger.forget_rows("run-1", ANN)
    await ledger.forget_sent(ANN)

    assert ANN[0] not in bytes_of(tmp_path)
    assert key_of("bob") in bytes_of(tmp_path)


async def test_no_key_stays_in_the_wal_while_somebody_reads(ledger: Ledger, tmp_path: Path):
    run = await open_run(ledger, ["ann", "bob"])
    await run.close_unchanged()
    reader = await ledger.open("run-1", read_only=True)

    await ledger.forget_rows("run-1", ANN)

    assert list(tmp_path.rglob("run.sqlite-wal")), "else this test could not fail"
    assert ANN[0] not in bytes_of(tmp_path)
    await reader.close_unchanged()


async def test_forgotten_planned_row_is_skipped(ledger: Ledger):
    run = await open_run(ledger, ["bob", "ann", "carl"])
    await run.close_unchanged()

    await ledger.forget_rows("run-1", ANN)

    run = await ledger.open("run-1", read_only=False)
    assert await statuses(run) == [NOT_SENT, SKIPPED, NOT_SENT]
    assert [row.seq for row in await run.pending(after_seq=0, limit=9)] == [1, 3]
    (reason,) = [reason for reason in await run.reasons(limit=9) if reason.status is SKIPPED]
    assert (reason.code, reason.first_rows) == ("forgotten", (3,))
    assert reason.message
    with pytest.raises(RowTaken):
        await record_intent(run, 2, at=NOON)
    await run.close_unchanged()


async def test_forgotten_refused_row_is_not_requeued(ledger: Ledger):
    run = await open_run(ledger, ["ann", "bob"])
    await send(run, 1, ERROR)
    await send(run, 2, ERROR)
    assert await run.retryable() == 2
    await finish(run)
    await ledger.forget_rows("run-1", ANN)

    run = await ledger.open("run-1", read_only=False)
    assert await run.retryable() == 1
    assert await run.requeue(status=ERROR) == 1
    assert await statuses(run) == [ERROR, NOT_SENT]
    await run.close_unchanged()


async def test_forgotten_profile_counts_for_no_later_plan(ledger: Ledger):
    run = await open_run(ledger, ["ann", "bob"])
    await send(run, 1, SUCCESS)
    await send(run, 2, SUCCESS)
    await finish(run)
    await ledger.forget_rows("run-1", ANN)
    await ledger.forget_sent(ANN)

    later = await open_run(ledger, ["ann", "bob"], record=make_record("run-2", input_path="/in/other.csv"))
    assert await statuses(later) == [NOT_SENT, SKIPPED]
    await later.discard()


async def test_forgotten_row_of_a_dead_process_is_not_taken_into_the_memory(ledger: Ledger):
    run = await open_run(ledger, ["ann", "bob", "carl"])
    await send(run, 1, SUCCESS)
    await send(run, 2, SUCCESS)
    await die(run)
    await ledger.forget_rows("run-1", ANN)
    await ledger.forget_sent(ANN)

    await ledger.collect_sent(make_record("run-2"))
    later = await open_run(ledger, ["ann", "bob"], record=make_record("run-2", input_path="/in/other.csv"))
    assert await statuses(later) == [NOT_SENT, SKIPPED]
    await later.discard()


@pytest.mark.parametrize("how", ["unknown", "in flight of a dead process"])
async def test_unknown_row_is_not_forgotten(ledger: Ledger, how: str):
    run = await open_run(ledger, ["ann", "bob"])
    if how == "unknown":
        await send(run, 1, UNKNOWN, code="timeout")
        await finish(run)
    else:
        await record_intent(run, 1, at=NOON)
        await die(run)

    with pytest.raises(LedgerError, match="unknown"):
        await ledger.forget_rows("run-1", ANN)
    assert [status for _, status, _ in await found(ledger, "run-1")] == [UNKNOWN]

    run = await ledger.open("run-1", read_only=False)
    await run.resolve([Resolution(seq=1, verdict="enrolled", by="bob", at=NOON + minutes(1), why="ann said so")])
    await run.close_unchanged()
    await ledger.forget_rows("run-1", ANN)
    await ledger.forget_sent(ANN)
    assert await found(ledger, "run-1") == []


async def test_active_run_forgets_nobody(ledger: Ledger):
    run = await open_run(ledger, ["ann", "bob"])

    with pytest.raises(RunLocked):
        await ledger.forget_rows("run-1", ANN)
    assert await statuses(run) == [NOT_SENT, NOT_SENT]
    await run.close_unchanged()


async def test_staged_row_of_a_forgotten_profile_is_empty(ledger: Ledger):
    run = await ledger.create(make_record())
    await run.discard()
    run = await open_run(ledger, ["ann", None, "bob"])
    writer = run.stage.writer(("email",))
    writer.write([(Row(2, ("ann",)), "{ann}"), (Row(3, ("ann",)), ""), (Row(4, ("bob",)), "{bob}")])
    writer.finish()
    await run.close_unchanged()

    await ledger.forget_rows("run-1", ANN, seqs=[2])

    run = await ledger.open("run-1", read_only=True)
    run.stage.check()
    assert [(staged.row.cells, staged.body) for staged in run.stage.rows(1, 3)] == [
        (("",), ""),
        (("",), ""),
        (("bob",), "{bob}"),
    ]
    assert await statuses(run) == [SKIPPED, INVALID, NOT_SENT]
    await run.close_unchanged()


async def test_plan_that_is_not_finished_has_no_rows_to_find(ledger: Ledger):
    run = await ledger.create(make_record())
    await die(run)

    with pytest.raises(LedgerError, match="being planned"):
        await ledger.find_rows("run-1", ANN)
    with pytest.raises(LedgerError, match="being planned"):
        await ledger.forget_rows("run-1", ANN)
    with pytest.raises(LedgerError, match="no run"):
        await ledger.find_rows("run-9", ANN)
