"""The thread that writes: many at once, cancelled callers, one bad call among good ones."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import anyio
import pytest

from batch_enroll.errors import LedgerError, RowTaken
from batch_enroll.ledger.interface import RunLedger
from batch_enroll.ledger.sqlite import SqliteRunLedger, row_queries
from batch_enroll.messages import verbatim
from batch_enroll.models import Counts, Outcome, RowStatus
from tests.ledger import test_contract as contract
from tests.ledger.building import NOON, open_run, record_intent, record_outcome, statuses
from tests.support.ledgers import sqlite_ledger

MANY = 200


@pytest.fixture
async def run(tmp_path: Path) -> Any:
    opened = await open_run(sqlite_ledger(tmp_path), [f"p{n}" for n in range(MANY)])
    yield opened
    await opened.close_unchanged()


async def test_rows_share_a_commit(run: SqliteRunLedger):
    async with anyio.create_task_group() as tasks:
        for seq in range(1, MANY + 1):
            tasks.start_soon(intend_and_settle, run, seq)

    assert await run.counts() == Counts(success=MANY)
    await run.close_unchanged()
    assert run._executor.commits < MANY / 4  # type: ignore[attr-defined]


async def intend_and_settle(run: RunLedger, seq: int) -> None:
    assert await record_intent(run, seq, at=NOON) == 1
    await record_outcome(run, Outcome(seq=seq, status=RowStatus.SUCCESS))


async def test_reader_sees_consistent_totals_at_any_time(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    run = await open_run(ledger, [f"p{n}" for n in range(MANY)])
    reader = await ledger.open("run-1", read_only=True)
    seen = [await reader.counts()]

    async with anyio.create_task_group() as tasks:
        for seq in range(1, MANY + 1):
            tasks.start_soon(intend_and_settle, run, seq)
        while seen[-1].success < MANY:
            seen.append(await reader.counts())

    assert {counts.rows for counts in seen} == {MANY}
    assert [counts.not_sent for counts in seen] == sorted((counts.not_sent for counts in seen), reverse=True)
    await reader.close_unchanged()
    await run.close_unchanged()


async def test_one_of_many_callers_gets_the_row(run: RunLedger):
    got: list[int] = []

    async def want(seq: int) -> None:
        try:
            await record_intent(run, seq, at=NOON)
        except (LedgerError, RowTaken):
            return
        got.append(seq)

    async with anyio.create_task_group() as tasks:
        for seq in [1, 2, 1, 3, 2, 1, 9999, 4]:
            tasks.start_soon(want, seq)

    assert sorted(got) == [1, 2, 3, 4]
    assert await run.counts() == Counts(unknown=4, not_sent=MANY - 4)


async def test_cancelled_caller_does_not_lose_its_write(run: RunLedger):
    await record_intent(run, 1, at=NOON)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await record_outcome(run, Outcome(seq=1, status=RowStatus.SUCCESS))

    assert (await statuses(run))[0] is RowStatus.SUCCESS


async def test_run_is_closed_even_when_everything_is_cancelled(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    run = await open_run(ledger, ["ann"])
    with anyio.CancelScope() as scope:
        scope.cancel()
        await run.close_unchanged()

    again = await ledger.open("run-1", read_only=False)  # refused while another holds the run
    assert await statuses(again) == [RowStatus.NOT_SENT]
    await again.close_unchanged()


async def test_failing_call_does_not_affect_others(run: RunLedger, monkeypatch: pytest.MonkeyPatch):
    plain = row_queries.record_outcome

    def stumbles(connection: sqlite3.Connection, moves: Any) -> Any:
        result = plain(connection, moves)
        if any(move[4] == "a bug" for move in moves):
            raise ZeroDivisionError
        return result

    monkeypatch.setattr(row_queries, "record_outcome", stumbles)
    for seq in range(1, 6):
        await record_intent(run, seq, at=NOON)
    failed: list[int] = []

    async def settle(seq: int) -> None:
        try:
            await record_outcome(
                run, Outcome(seq=seq, status=RowStatus.ERROR, message=verbatim("a bug" if seq == 3 else ""))
            )
        except ZeroDivisionError:
            failed.append(seq)

    async with anyio.create_task_group() as tasks:
        for seq in range(1, 6):
            tasks.start_soon(settle, seq)

    assert failed == [3]
    assert await run.counts() == Counts(error=4, unknown=1, not_sent=MANY - 5)


async def test_disk_error_stops_all_later_writes(run: RunLedger, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: Any) -> Any:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    await record_intent(run, 1, at=NOON)
    with monkeypatch.context() as patch:
        patch.setattr(row_queries, "record_intent", broken)
        with pytest.raises(LedgerError, match="disk reported an error"):
            await record_intent(run, 2, at=NOON)

    with pytest.raises(LedgerError, match="disk reported an error"):
        await record_outcome(run, Outcome(seq=1, status=RowStatus.SUCCESS))


@pytest.mark.parametrize("statement", ["_INTEND", "_SETTLE"])
async def test_negative_control_without_compare_and_set_breaks_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
):
    plain: str = getattr(row_queries, statement)
    monkeypatch.setattr(row_queries, statement, plain[: plain.index("AND row.state")])
    move = contract.intend if statement == "_INTEND" else contract.settle

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        await contract.test_illegal_transition_is_refused_and_changes_nothing(sqlite_ledger(tmp_path), move, "accepted")
