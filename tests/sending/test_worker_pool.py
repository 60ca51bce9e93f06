"""The worker pool: bounded, in order, and one row never cancels its neighbours."""

from __future__ import annotations

import anyio
import pytest

from batch_enroll.errors import LedgerError, ServiceRefused
from batch_enroll.messages import verbatim
from batch_enroll.sending.stop_signal import StopSignal
from batch_enroll.sending.worker_pool import run_pool


class Rows:
    """Blocks of numbered rows; knows how many were taken from it and whether it was closed."""

    def __init__(self, count: int, block: int = 10) -> None:
        self.given = 0
        self.closed = False
        self._count = count
        self._block = block

    async def blocks(self):
        try:
            for first in range(0, self._count, self._block):
                self.given = min(first + self._block, self._count)
                yield range(first, self.given)
        finally:
            self.closed = True


async def test_each_row_is_processed_once_and_in_order():
    begun = []

    async def work(row: int) -> None:
        begun.append(row)
        await anyio.sleep(1)

    began = anyio.current_time()
    await run_pool(Rows(100).blocks(), work, workers=8, stop=StopSignal())
    assert sorted(begun) == list(range(100))
    assert all(abs(place - row) < 8 for place, row in enumerate(begun))  # those that run at once may begin in any order
    assert anyio.current_time() - began == 13  # 100 rows, 8 at once


async def test_running_and_waiting_rows_are_bounded():
    rows, running, most = Rows(1000), 0, 0

    async def work(row: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        assert rows.given <= row + 4 + 2 * 4 + 2 * 10
        await anyio.sleep(1)
        running -= 1

    await run_pool(rows.blocks(), work, workers=4, stop=StopSignal())
    assert most == 4


async def test_rows_are_not_tasks():
    async def work(row: int) -> None:
        assert len(anyio.get_running_tasks()) < 4 + 10
        await anyio.sleep(1)

    await run_pool(Rows(2000, block=1000).blocks(), work, workers=4, stop=StopSignal())


async def test_no_rows_need_no_work():
    await run_pool(Rows(0).blocks(), lambda row: pytest.fail("no rows"), workers=4, stop=StopSignal())


async def test_stop_takes_no_new_rows_and_finishes_rows_in_flight():
    stop, rows, begun, ended = StopSignal(), Rows(1000), [], []

    async def work(row: int) -> None:
        begun.append(row)
        await anyio.sleep(10)
        ended.append(row)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: run_pool(rows.blocks(), work, workers=4, stop=stop))
        await anyio.sleep(15)
        stop.set()
    assert sorted(begun) == sorted(ended) == list(range(8))
    assert rows.closed
    assert anyio.current_time() == pytest.approx(20, abs=1)


async def test_slow_rows_are_cancelled_after_the_timeout():
    stop, ended, cancelled = StopSignal(), [], []

    async def work(row: int) -> None:
        try:
            await anyio.sleep(10 if row else 10_000)
            ended.append(row)
        except anyio.get_cancelled_exc_class():
            cancelled.append((row, anyio.current_time() - began))
            raise

    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: run_pool(Rows(100).blocks(), work, workers=2, stop=stop, drain_s=30))
        await anyio.sleep(5)
        stop.set()
    assert ended == [1]
    assert cancelled == [(0, 35)]


async def test_stop_ends_a_producer_that_waits_for_its_source():
    stop = StopSignal()

    async def blocks():
        yield [1]
        await anyio.sleep(3600)
        yield [2]

    async def work(row: int) -> None:
        assert row == 1
        stop.set()

    began = anyio.current_time()
    await run_pool(blocks(), work, workers=3, stop=stop)
    assert anyio.current_time() - began < 1


async def test_set_stop_prevents_the_start():
    stop = StopSignal()
    stop.set()
    await run_pool(Rows(100).blocks(), lambda row: pytest.fail("began"), workers=3, stop=stop)


@pytest.mark.parametrize(
    "error", [ServiceRefused(verbatim("token refused")), RuntimeError("a bug"), LedgerError(verbatim("disk full"))]
)
async def test_failure_is_raised_after_the_other_rows_ended(error):
    stop, begun, ended = StopSignal(), [], []

    async def work(row: int) -> None:
        begun.append(row)
        if row == 5:
            raise error
        await anyio.sleep(10)
        ended.append(row)

    with pytest.raises(type(error)) as caught:
        await run_pool(Rows(1000).blocks(), work, workers=4, stop=stop)
    assert caught.value is error
    assert stop.is_set()
    assert sorted(ended) == sorted(set(begun) - {5})
    assert len(begun) < 12


async def test_failure_is_reported_before_the_other_rows_end():
    told = []

    async def work(row: int) -> None:
        await anyio.sleep(100 if row else 1)
        if row == 0:
            raise ServiceRefused(verbatim("token refused"))

    began = anyio.current_time()
    with pytest.raises(ServiceRefused):
        await run_pool(
            Rows(2).blocks(),
            work,
            workers=2,
            stop=StopSignal(),
            on_failure=lambda error: told.append((str(error), anyio.current_time() - began)),
        )
    assert told == [("token refused", 1)]
    assert anyio.current_time() - began == 61


async def test_refusal_does_not_hide_a_program_error():
    async def work(row: int) -> None:
        await anyio.sleep(1 + row)
        raise ServiceRefused(verbatim("refused")) if row == 0 else RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await run_pool(Rows(2).blocks(), work, workers=2, stop=StopSignal())


async def test_failing_source_lets_rows_in_flight_finish():
    ended = []

    async def blocks():
        yield [1, 2]
        raise LedgerError(verbatim("the rows are gone"))

    async def work(row: int) -> None:
        await anyio.sleep(5)
        ended.append(row)

    with pytest.raises(LedgerError, match="gone"):
        await run_pool(blocks(), work, workers=2, stop=StopSignal())
    assert set(ended) <= {1, 2}


async def test_outside_cancellation_is_raised():
    cancelled = []

    async def work(row: int) -> None:
        try:
            await anyio.sleep(3600)
        except anyio.get_cancelled_exc_class():
            cancelled.append(row)
            raise

    with anyio.move_on_after(1) as scope:
        await run_pool(Rows(100).blocks(), work, workers=3, stop=StopSignal())
    assert scope.cancelled_caught
    assert sorted(cancelled) == [0, 1, 2]
