"""The signal to stop ends waits, and only those that were made through it."""

from __future__ import annotations

import anyio
import pytest

from batch_enroll.sending.stop_signal import StopRequested, StopSignal


async def test_finished_wait_gives_its_result():
    async def wait() -> str:
        await anyio.sleep(1)
        return "done"

    stop = StopSignal()
    assert await stop.unless_set(wait) == "done"
    assert not stop._waits  # millions of rows wait in one run


async def test_signal_ends_all_waits_at_once():
    stop = StopSignal()
    ended = []

    async def waiter(number: int) -> None:
        with pytest.raises(StopRequested):
            await stop.unless_set(lambda: anyio.sleep(3600))
        ended.append((number, anyio.current_time() - began))

    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(waiter, number)
        await anyio.sleep(1)
        stop.set()
    assert sorted(ended) == [(0, 1), (1, 1), (2, 1)]


async def test_set_signal_prevents_new_waits():
    stop = StopSignal()
    stop.set()
    assert stop.is_set()
    await stop.wait()
    with pytest.raises(StopRequested):
        await stop.unless_set(lambda: pytest.fail("began"))


async def test_outside_cancellation_is_not_the_signal():
    with anyio.move_on_after(1) as scope:
        await StopSignal().unless_set(lambda: anyio.sleep(3600))
    assert scope.cancelled_caught
