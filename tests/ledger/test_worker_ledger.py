"""Every ledger hands out blocks of rows to the workers of a run, and keeps marks and staged rows."""

from __future__ import annotations

import anyio
import pytest

from batch_enroll.errors import LedgerError, RowTaken, RunLocked
from batch_enroll.ledger.interface import Ledger, RunLedger, WorkerLedger
from batch_enroll.ledger.records import BLOCK_ROWS, Block, RunState
from batch_enroll.messages import verbatim
from batch_enroll.models import Outcome, Row, RowStatus
from tests.ledger.building import NOON, open_run

MANY = [f"person {number}" for number in range(BLOCK_ROWS + 10)]


async def claim(worker: WorkerLedger) -> Block:
    block = await worker.claim_block()
    assert block is not None
    return block


def places(block: Block) -> list[int]:
    return [row.seq for row in block.rows]


async def succeed(worker: WorkerLedger, *seqs: int) -> None:
    for seq in seqs:
        await worker.record_intent(seq, at=NOON)
        await worker.record_outcome(Outcome(seq=seq, status=RowStatus.SUCCESS))


async def release(worker: WorkerLedger, seq: int) -> None:
    await worker.record_intent(seq, at=NOON)
    await worker.release(seq, code="connect", message=verbatim("No connection."))


async def test_blocks_cover_every_planned_row_once(ledger: Ledger):
    worker = await (await open_run(ledger, MANY)).join()

    first, second = await claim(worker), await claim(worker)

    assert places(first) + places(second) == list(range(1, len(MANY) + 1))
    assert (first.lo, first.hi, second.lo) == (1, BLOCK_ROWS, BLOCK_ROWS + 1)
    assert await worker.claim_block() is None


async def test_block_holds_only_planned_rows(ledger: Ledger):
    run = await open_run(ledger, ["ann", None, "bob", "ann", "cid"])
    worker = await run.join()
    await succeed(worker, 1)
    assert places(await claim(worker)) == [3, 5]


async def test_finished_block_is_not_claimed_again(ledger: Ledger):
    worker = await (await open_run(ledger, ["ann", "bob"])).join()
    block = await claim(worker)
    await succeed(worker, 1)
    await worker.finish_block(block.lo, given_up=1)
    assert await worker.claim_block() is None


async def test_block_with_unreleased_rows_is_claimed_again(ledger: Ledger):
    worker = await (await open_run(ledger, ["ann", "bob", "cid"])).join()
    block = await claim(worker)
    await succeed(worker, 1)
    await worker.finish_block(block.lo, given_up=1)
    assert places(await claim(worker)) == [2, 3]


async def test_row_released_in_a_finished_block_is_claimed_again(ledger: Ledger):
    worker = await (await open_run(ledger, ["ann", "bob", "cid"])).join()
    block = await claim(worker)
    await worker.record_intent(2, at=NOON)
    await worker.finish_block(block.lo, given_up=2)

    await worker.release(2, code="connect", message=verbatim("No connection."))

    assert 2 in places(await claim(worker))
    assert await worker.claim_block() is None


async def test_row_released_in_a_held_block_stays_there(ledger: Ledger):
    worker = await (await open_run(ledger, ["ann", "bob"])).join()
    await claim(worker)
    await release(worker, 1)
    assert await worker.claim_block() is None
    await succeed(worker, 1)


async def test_row_that_is_not_planned_is_taken(ledger: Ledger):
    run = await open_run(ledger, ["ann", "bob"])
    worker = await run.join()
    await succeed(worker, 1)
    with pytest.raises(RowTaken):
        await worker.record_intent(1, at=NOON)
    assert (await run.counts()).success == 1


@pytest.mark.parametrize("seq", [2, 99], ids=["invalid", "not in the plan"])
async def test_row_that_must_not_be_sent_is_not_taken(ledger: Ledger, seq: int):
    worker = await (await open_run(ledger, ["ann", None])).join()
    with pytest.raises(LedgerError, match="not in state PLANNED"):
        await worker.record_intent(seq, at=NOON)


async def test_taken_row_is_an_error_also_when_cancelled(ledger: Ledger):
    """Else the caller would release what the other worker sends."""
    run = await open_run(ledger, ["ann"])
    worker = await run.join()
    await worker.record_intent(1, at=NOON)
    with anyio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(RowTaken):
            await worker.record_intent(1, at=NOON)
    assert (await run.counts()).unknown == 1


async def test_second_worker_is_refused_or_gets_other_rows(ledger: Ledger):
    run = await open_run(ledger, MANY)
    worker = await run.join()
    held = set(places(await claim(worker)))
    try:
        other = await run.join()
    except RunLocked:
        await worker.end()
        other = await run.join()
        assert places(await claim(other))[0] == 1
    else:
        assert held.isdisjoint(places(await claim(other)))


async def test_run_opened_for_reading_has_no_worker(ledger: Ledger):
    await (await open_run(ledger, ["ann"])).close_unchanged()
    reader = await ledger.open("run-1", read_only=True)
    with pytest.raises(LedgerError):
        await reader.join()
    await reader.close_unchanged()


async def test_mark_outlives_the_process(ledger: Ledger):
    run = await open_run(ledger, ["ann"])
    assert not await run.is_marked("canary.passed")
    await run.mark("canary.passed")
    assert await run.is_marked("canary.passed")
    assert not await run.is_marked("another")
    await run.close(state=RunState.OPEN, stop_reason="", at=NOON)

    again = await ledger.open("run-1", read_only=False)
    assert await again.is_marked("canary.passed")
    await again.close_unchanged()


async def staged_run(ledger: Ledger, rows: int) -> RunLedger:
    run = await open_run(ledger, [f"person {seq}" for seq in range(1, rows + 1)])
    writer = run.stage.writer(("E-mail",))
    writer.write([(Row(number=seq + 1, cells=("x" * (seq % 90),)), f'{{"seq":{seq}}}') for seq in range(1, rows + 1)])
    writer.finish()
    return run


@pytest.mark.parametrize(("lo", "hi"), [(1, 1), (1, 3_000), (2_999, 3_000), (1_400, 1_900), (2_990, 9_999)])
async def test_staged_rows_are_read_from_any_position(ledger: Ledger, lo: int, hi: int):
    run = await staged_run(ledger, 3_000)
    rows = run.stage.rows(lo, hi)
    assert [row.seq for row in rows] == list(range(lo, min(hi, 3_000) + 1))
    assert all(row.body == f'{{"seq":{row.seq}}}' and row.row.number == row.seq + 1 for row in rows)


async def test_stage_of_another_size_is_damaged(ledger: Ledger):
    run = await staged_run(ledger, 20)
    writer = run.stage.writer(("E-mail",))
    writer.write([(Row(number=2, cells=("a",)), "{}")])
    writer.finish()
    with pytest.raises(LedgerError, match="damaged"):
        run.stage.check()


async def test_deleted_stage_is_reported_as_missing(ledger: Ledger):
    run = await staged_run(ledger, 20)
    assert run.stage.delete()
    assert not run.stage.delete()
    with pytest.raises(LedgerError, match="no longer kept"):
        run.stage.rows(1, 2)
