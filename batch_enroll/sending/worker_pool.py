"""The worker pool: a number of workers, which may change meanwhile, over any number of rows.

There is no task for each row: 10,000 waiting tasks cost 250 MB and their own time. Blocks, not rows, go from the
producer to the workers: handing over one row costs two rounds of the event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar

import anyio

from batch_enroll.errors import RunStopped
from batch_enroll.sending.concurrency import ConcurrencyLimit

T = TypeVar("T")

DRAIN_S: Final = 60.0


class Stop(Protocol):
    """An event; `StopSignal` is one that also ends the waits of rows that are not in flight."""

    def set(self) -> object: ...
    def is_set(self) -> bool: ...
    async def wait(self) -> object: ...


async def run_pool(
    blocks: AsyncIterator[Sequence[T]],
    work: Callable[[T], Awaitable[None]],
    *,
    workers: int | ConcurrencyLimit,
    stop: Stop,
    drain_s: float = DRAIN_S,
    on_failure: Callable[[Exception], None] = lambda error: None,
) -> None:
    """Call `work` for every row, `workers` at once, in the order in which the blocks give them.

    Args:
        workers: how many; a `ConcurrencyLimit` may be resized meanwhile. A surplus worker ends when its row has ended.
        stop: when set, no more rows are taken, those in flight have `drain_s` seconds to end, then they are cancelled.
            The pool sets it itself when `work` or `blocks` raises.
        on_failure: called at once with what they raised; the rows in flight may take long to end.
    Raises:
        Exception: what `work` or `blocks` raised, as itself, after the other rows have ended. Of several, a fault of
            the program comes before a `RunStopped`, the first before a later one.
    """
    limit = workers if isinstance(workers, ConcurrencyLimit) else ConcurrencyLimit(workers)
    give, take = anyio.create_memory_object_stream[Sequence[T]]()
    rows: deque[T] = deque()  #: what is left of the last block
    fetching = anyio.Lock()
    failures: list[Exception] = []
    producing = anyio.CancelScope()
    working = anyio.CancelScope()

    def fail(error: Exception) -> None:
        failures.append(error)
        stop.set()
        on_failure(error)

    async def producer() -> None:
        try:
            with producing, give:
                async for block in blocks:
                    await give.send(block)
        except Exception as error:
            fail(error)
        finally:
            await _close(blocks)

    async def next_block() -> bool:
        """Fetch the next block, unless another worker has; False when there is none."""
        async with fetching:
            while not rows:
                try:
                    rows.extend(await take.receive())
                except anyio.EndOfStream:
                    return False
        return True

    async def worker() -> None:
        try:
            while (rows or await next_block()) and not (stop.is_set() or limit.over_limit):
                limit.busy += 1
                try:
                    await work(rows.popleft())
                finally:
                    limit.busy -= 1
        except Exception as error:
            fail(error)
        finally:
            limit.present -= 1

    async def stop_in_time() -> None:
        await stop.wait()
        producing.cancel()
        working.deadline = anyio.current_time() + drain_s

    with give, take, limit.session():
        async with anyio.create_task_group() as watchers:
            watchers.start_soon(stop_in_time)
            with working:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(producer)

                    def start_workers() -> None:
                        while limit.present < limit.size and not stop.is_set():
                            limit.present += 1
                            tasks.start_soon(worker)

                    def resume_workers() -> None:
                        if limit.present:  # else all is done, and the task group may be closed
                            start_workers()

                    start_workers()
                    limit.start_workers = resume_workers
            watchers.cancel_scope.cancel()
    if failures:
        raise next((error for error in failures if not isinstance(error, RunStopped)), failures[0])


async def _close(blocks: object) -> None:
    """Close a generator that was not read to its end; left to the garbage collector it would end in no task at all."""
    if isinstance(blocks, AsyncGenerator):
        with anyio.CancelScope(shield=True):
            await blocks.aclose()
