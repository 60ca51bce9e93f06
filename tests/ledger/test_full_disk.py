"""The disk fills up: nothing new is sent, and what was sent is saved."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from batch_enroll.errors import LedgerError
from batch_enroll.ledger.interface import RunLedger
from batch_enroll.ledger.records import RunState
from batch_enroll.messages import verbatim
from batch_enroll.models import Outcome, RowStatus
from tests.ledger.building import NOON, make_record, make_rows, open_run, record_intent, record_outcome
from tests.support.ledgers import sqlite_ledger

MEBIBYTE = 1 << 20
PEOPLE = [f"p{n}" for n in range(2000)]
IN_FLIGHT = 300


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def fill(disk: Path, *, leave: int = 0) -> None:
    """Take all the room but `leave` bytes."""
    free = os.statvfs(disk)
    with (disk / "filler").open("ab", buffering=0) as file:
        file.write(bytes(max(0, free.f_bavail * free.f_frsize - leave)))


async def plan_many(run: RunLedger) -> None:
    for first in range(1, 100_000, 1000):
        await run.plan(make_rows([f"p{n}" for n in range(first, first + 1000)], first=first))


async def intend_until_refused(run: RunLedger, intended: list[int]) -> None:
    for row in await run.pending(after_seq=0, limit=len(PEOPLE)):
        await record_intent(run, row.seq, at=NOON)
        intended.append(row.seq)


async def send_until_refused(run: RunLedger) -> None:
    for row in await run.pending(after_seq=0, limit=len(PEOPLE)):
        await record_intent(run, row.seq, at=NOON)
        await record_outcome(run, Outcome(seq=row.seq, status=RowStatus.ERROR, message=verbatim("long " * 200)))


def make_room(disk: Path) -> None:
    (disk / "filler").unlink()


@pytest.mark.parametrize("leave", [0, MEBIBYTE // 2, MEBIBYTE])
async def test_run_needs_room_for_its_disk_reserve(disk: Path, leave: int):
    ledger = sqlite_ledger(disk)
    await ledger.salt()
    fill(disk, leave=leave)

    with pytest.raises(LedgerError, match="full") as refused:
        await ledger.create(make_record())
    assert "Make room" in refused.value.hint

    make_room(disk)
    run = await open_run(ledger, ["ann"])
    await run.close_unchanged()


async def test_plan_that_does_not_fit_is_refused_and_discardable(disk: Path):
    ledger = sqlite_ledger(disk)
    run = await ledger.create(make_record())
    fill(disk, leave=MEBIBYTE // 4)

    with pytest.raises(LedgerError, match="full"):
        await plan_many(run)
    await run.discard()

    assert await ledger.runs() == []


async def test_full_disk_saves_outcomes_and_sends_nothing_new(disk: Path):
    ledger = sqlite_ledger(disk)
    run = await open_run(ledger, PEOPLE)
    for seq in range(1, IN_FLIGHT + 1):
        await record_intent(run, seq * 6, at=NOON)  # far apart, so that many pages are written
    fill(disk)

    for seq in range(1, IN_FLIGHT + 1):
        await record_outcome(run, Outcome(seq=seq * 6, status=RowStatus.SUCCESS))
    with pytest.raises(LedgerError, match="full"):
        await send_until_refused(run)
    with pytest.raises(LedgerError, match="full"):
        await record_intent(run, 1999, at=NOON)
    await run.close(state=RunState.OPEN, stop_reason="the disk is full", at=NOON)

    make_room(disk)
    again = await ledger.open("run-1", read_only=False)
    saved = {
        outcome.seq for outcome in await again.outcomes(after_seq=0, limit=5000) if outcome.status is RowStatus.SUCCESS
    }
    assert saved == {seq * 6 for seq in range(1, IN_FLIGHT + 1)}
    await again.close_unchanged()


async def test_intent_that_does_not_fit_is_not_recorded(disk: Path):
    ledger = sqlite_ledger(disk)
    run = await open_run(ledger, PEOPLE)
    fill(disk)

    sent: list[int] = []
    with pytest.raises(LedgerError, match="full"):
        await intend_until_refused(run, sent)
    counts = await run.counts()
    assert (counts.unknown, counts.not_sent) == (len(sent), len(PEOPLE) - len(sent))
    await run.close_unchanged()


async def test_run_resumes_after_the_full_disk_has_room(disk: Path):
    ledger = sqlite_ledger(disk)
    run = await open_run(ledger, PEOPLE)
    fill(disk)
    with pytest.raises(LedgerError, match="full"):
        await send_until_refused(run)
    await run.close_unchanged()
    with pytest.raises(LedgerError, match="full"):
        await ledger.open("run-1", read_only=False)

    make_room(disk)
    again = await ledger.open("run-1", read_only=False)
    assert (await again.counts()).unknown == 0
    await record_intent(again, (await again.pending(after_seq=0, limit=1))[0].seq, at=NOON)
    await again.close_unchanged()
