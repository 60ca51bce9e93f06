"""The one worker of a run in SQLite: its blocks come from a cursor over the run's rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import anyio

from batch_enroll.ledger.interface import Pending
from batch_enroll.ledger.sqlite import row_queries
from batch_enroll.ledger.worker_ledger import BLOCK_ROWS, Block, WorkerOrders, WorkerReport

if TYPE_CHECKING:
    from batch_enroll.ledger.sqlite.run_ledger import SqliteRunLedger


class SqliteWorkerLedger:
    """Made by `SqliteRunLedger.join`; the lock of the run keeps other processes out, so it is never fenced."""

    def __init__(self, run: SqliteRunLedger, on_end: Callable[[], None]) -> None:
        self._run = run
        self._on_end = on_end
        self._after = 0  #: the last place that the cursor has passed
        self._held: dict[int, int] = {}  #: the last place of each block, by its first
        self._free: list[tuple[int, int]] = []  #: blocks before the cursor that can be claimed again
        self._pause_until = 0.0
        self.record_intent = run.record_intent
        self.record_outcome = run.record_outcome

    async def claim_block(self) -> Block | None:
        while self._free:
            lo, hi = heappop(self._free)
            if rows := await self._planned((lo, hi)):
                return self._hold(lo, hi, rows)
        first = await self._run.pending(after_seq=self._after, limit=1)
        if not first:
            return None
        lo, hi = first[0].seq, first[0].seq + BLOCK_ROWS - 1
        self._after = hi
        return self._hold(lo, hi, await self._planned((lo, hi)))

    async def release(self, seq: int, *, code: str, message: str) -> None:
        await self._run.release(seq, code=code, message=message)
        if not any(lo <= seq <= hi for lo, hi in self._held.items()):
            heappush(self._free, (seq, seq))

    async def finish_block(self, lo: int, *, given_up: int) -> None:
        hi = self._held.pop(lo)
        if len(await self._planned((lo, hi))) > given_up:
            heappush(self._free, (lo, hi))

    async def beat(self, report: WorkerReport) -> WorkerOrders:
        rows_left = report.in_flight > 0 or bool((await self._run.counts()).not_sent)
        pause_s = max(0.0, self._pause_until - anyio.current_time())
        return replace(self._run.orders, rows_left=rows_left, pause_s=pause_s)

    async def throttled(self, pause_s: float) -> None:
        self._pause_until = max(self._pause_until, anyio.current_time() + pause_s)

    async def end(self) -> None:
        self._held.clear()
        self._on_end()

    def _hold(self, lo: int, hi: int, rows: list[Pending]) -> Block:
        self._held[lo] = hi
        return Block(lo, hi, rows)

    def _planned(self, block: tuple[int, int]) -> Awaitable[list[Pending]]:
        return self._run.ask(row_queries.planned, block)
