"""The worker pool: a number of workers, which may change meanwhile, over any number of rows.

There is no task for each row: 10,000 waiting tasks cost 250 MB and their own time. Blocks, not rows, go from the
producer to the workers: handing over one row costs two rounds of the event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

import anyio
from anyio.abc import TaskGroup

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
    pool = _Pool(work, limit, stop, on_failure)
    with pool.give, pool.take, limit.session():
        async with anyio.create_task_group() as watchers:
            watchers.start_soon(pool.stop_in_time, drain_s)
            with pool.working:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(pool.produce, blocks)
                    pool.start_workers(tasks)
            watchers.cancel_scope.cancel()
    pool.raise_failure()


class _Pool(Generic[T]):
    """What the producer and the workers of one `run_pool` share."""

    def __init__(
        self,
        work: Callable[[T], Awaitable[None]],
        limit: ConcurrencyLimit,
        stop: Stop,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self.give, self.take = anyio.create_memory_object_stream[Sequence[T]]()
        self.working = anyio.CancelScope()
        self._producing = anyio.CancelScope()
        self._work = work
        self._limit = limit
        self._stop = stop
        self._on_failure = on_failure
        self._rows: deque[T] = deque()  #: what is left of the last block
        self._fetching = anyio.Lock()
        self._failures: list[Exception] = []

    async def produce(self, blocks: AsyncIterator[Sequence[T]]) -> None:
        """Hand the blocks to the workers, one at a time."""
        try:
            with self._producing, self.give:
                async for block in blocks:
                    await self.give.send(block)
        except Exception as error:
            self._fail(error)
        finally:
            await _close(blocks)

    def start_workers(self, tasks: TaskGroup) -> None:
        """Start as many workers as the limit allows, now and whenever it is raised."""

        def start() -> None:
            while self._limit.present < self._limit.size and not self._stop.is_set():
                self._limit.present += 1
                tasks.start_soon(self._worker)

        def start_more() -> None:
            if self._limit.present:  # else all is done, and the task group may be closed
                start()

        start()
        self._limit.start_workers = start_more

    async def stop_in_time(self, drain_s: float) -> None:
        """When the stop is set, end the producer now and the workers after `drain_s` seconds."""
        await self._stop.wait()
        self._producing.cancel()
        self.working.deadline = anyio.current_time() + drain_s

    def raise_failure(self) -> None:
        """Raise what ended the pool, a fault of the program before a `RunStopped`."""
        if self._failures:
            raise next((error for error in self._failures if not isinstance(error, RunStopped)), self._failures[0])

    def _fail(self, error: Exception) -> None:
        self._failures.append(error)
        self._stop.set()
        self._on_failure(error)

    async def _next_block(self) -> bool:
        """Fetch the next block, unless another worker has; False when there is none."""
        async with self._fetching:
            while not self._rows:
                try:
                    self._rows.extend(await self.take.receive())
                except anyio.EndOfStream:
                    return False
        return True

    async def _worker(self) -> None:
        rows, limit, work = self._rows, self._limit, self._work
        try:
            while (rows or await self._next_block()) and not (self._stop.is_set() or limit.over_limit):
                limit.busy += 1
                try:
                    await work(rows.popleft())
                finally:
                    limit.busy -= 1
        except Exception as error:
            self._fail(error)
        finally:
            limit.present -= 1


async def _close(blocks: object) -> None:
    """Close a generator that was not read to its end; left to the garbage collector it would end in no task at all."""
    if isinstance(blocks, AsyncGenerator):
        with anyio.CancelScope(shield=True):
            await blocks.aclose()
