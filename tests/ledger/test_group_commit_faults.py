"""Whatever goes wrong in the ledger's thread, everybody who waits for it is answered, and it can be stopped."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from batch_enroll.errors import LedgerError
from batch_enroll.ledger.interface import RunLedger
from batch_enroll.ledger.sqlite import SqliteRunLedger, group_commit, row_queries
from batch_enroll.ledger.sqlite.filesystem_checks import DiskReserve
from batch_enroll.ledger.sqlite.restored_copy_guard import HighWaterMark
from batch_enroll.models import Counts, Outcome, RowStatus
from tests.ledger.building import NOON, open_run, record_intent, record_outcome
from tests.support.ledgers import sqlite_ledger

MANY = 20
PATIENCE_S = 20.0
Raise = Callable[..., Any]


class Fault(BaseException):
    """What nothing in the program expects."""


def raising(error: BaseException) -> Raise:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def full_disk(*_: Any) -> Any:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


def in_the_counter(patch: pytest.MonkeyPatch, error: BaseException) -> None:
    patch.setattr(group_commit, "count_commit", raising(error))


def in_a_work(patch: pytest.MonkeyPatch, error: BaseException) -> None:
    patch.setattr(row_queries, "record_outcome", raising(error))


def in_the_disk_reserve(patch: pytest.MonkeyPatch, error: BaseException) -> None:
    patch.setattr(row_queries, "record_outcome", full_disk)
    patch.setattr(DiskReserve, "release", raising(error))


def in_the_words(patch: pytest.MonkeyPatch, error: BaseException) -> None:
    """In the making of the message about another error."""
    patch.setattr(row_queries, "record_outcome", full_disk)
    patch.setattr(group_commit, "is_full", raising(error))


async def settle_all(run: RunLedger) -> list[BaseException]:
    """Settle every row at once; give what each caller was told."""
    told: list[BaseException] = []

    async def settle(seq: int) -> None:
        try:
            await record_outcome(run, Outcome(seq=seq, status=RowStatus.SUCCESS))
        except BaseException as error:
            told.append(error)
            if not isinstance(error, Exception):
                raise

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            for seq in range(1, MANY + 1):
                tasks.start_soon(settle, seq)
    return told


async def sent(tmp_path: Path) -> Any:
    ledger = sqlite_ledger(tmp_path)
    run = await open_run(ledger, [f"p{n}" for n in range(MANY)])
    for seq in range(1, MANY + 1):
        await record_intent(run, seq, at=NOON)
    return ledger, run


@pytest.mark.parametrize("error", [ValueError("a bug"), MemoryError(), SystemExit(1), Fault()], ids=repr)
@pytest.mark.parametrize("fault", [in_the_counter, in_the_disk_reserve, in_the_words])
async def test_unexpected_error_fails_all_pending_and_later_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Any, error: BaseException
):
    ledger, run = await sent(tmp_path)
    with monkeypatch.context() as patch:
        fault(patch, error)
        told = await settle_all(run)
    told += await settle_all(run)  # the fault is over, but nobody knows what it left

    assert [type(one) for one in told] == [LedgerError] * 2 * MANY
    assert {one.__cause__ for one in told} == {error}
    assert all(type(error).__name__ in str(one) for one in told)
    with anyio.fail_after(PATIENCE_S):
        await run.close_unchanged()
    again = await ledger.open("run-1", read_only=False)
    assert await again.counts() == Counts(unknown=MANY)
    await again.close_unchanged()


@pytest.mark.parametrize("error", [SystemExit(1), Fault()], ids=repr)
async def test_call_that_ends_its_thread_fails_all_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
):
    _, run = await sent(tmp_path)
    with monkeypatch.context() as patch:
        in_a_work(patch, error)
        told = await settle_all(run)
    assert [(type(one), one.__cause__) for one in told] == [(LedgerError, error)] * MANY
    with anyio.fail_after(PATIENCE_S):
        await run.close_unchanged()


@pytest.mark.parametrize("error", [ValueError("a bug"), MemoryError(), Fault()], ids=repr)
async def test_rollback_guard_error_fails_pending_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
):
    _, run = await sent(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(HighWaterMark, "note", raising(error))
        first, second = await settle_all(run), await settle_all(run)
    assert len(second) == MANY
    assert {(type(one), one.__cause__) for one in first + second} == {(LedgerError, error)}
    with anyio.fail_after(PATIENCE_S):
        await run.close_unchanged()


async def test_disk_error_is_the_cause_of_the_raised_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _, run = await sent(tmp_path)
    error = sqlite3.OperationalError("disk I/O error")
    monkeypatch.setattr(row_queries, "record_outcome", raising(error))
    assert [(type(one), one.__cause__) for one in await settle_all(run)] == [(LedgerError, error)] * MANY
    await run.close_unchanged()


def test_failing_wakeup_of_one_caller_does_not_block_others():
    woken: list[int] = []

    class Waiter:
        def __init__(self, number: int) -> None:
            self.number = number

        async def wait(self) -> None: ...

        def set(self) -> None:
            if self.number in (2, 3):
                raise ValueError("a bug")
            woken.append(self.number)

    calls = [
        group_commit._Call(row_queries.counts, None, begins=False, waiter=Waiter(number)) for number in range(1, 6)
    ]
    with pytest.raises(ValueError, match="a bug"):  # the event loop tells of it
        group_commit._wake(calls)
    assert woken == [1, 4, 5]
    assert all(call.is_done for call in calls)


async def test_call_after_close_is_refused(tmp_path: Path):
    _, run = await sent(tmp_path)
    assert isinstance(run, SqliteRunLedger)
    executor = run._executor
    await run.close_unchanged()
    with anyio.fail_after(PATIENCE_S), pytest.raises(LedgerError, match="closed"):
        await executor.submit(row_queries.counts, None)
    with anyio.fail_after(PATIENCE_S):
        await executor.stop()  # twice is once
