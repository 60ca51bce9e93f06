"""The one worker of a run in SQLite: its blocks come from a cursor over the run's rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from batch_enroll.ledger.records import BLOCK_ROWS, Block, DoubtedRow, Pending, RowState
from batch_enroll.ledger.sqlite import row_queries
from batch_enroll.ledger.sqlite.schema import to_micros
from batch_enroll.ledger.transitions import STATE_AFTER_ATTEMPT, storable_text
from batch_enroll.messages import Message
from batch_enroll.models import Outcome

if TYPE_CHECKING:
    from batch_enroll.ledger.sqlite.run_ledger import SqliteRunLedger


class SqliteWorkerLedger:
    """Made by `SqliteRunLedger.join`; the lock of the run keeps other processes out, so it is the only one."""

    def __init__(self, run: SqliteRunLedger, on_end: Callable[[], None]) -> None:
        self._run = run
        self._on_end = on_end
        self._after = 0  #: the last place that the cursor has passed
        self._held: dict[int, int] = {}  #: the last place of each block, by its first
        self._free: list[tuple[int, int]] = []  #: blocks before the cursor that can be claimed again

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

    def record_intent(self, seq: int, *, at: datetime) -> Coroutine[Any, Any, int]:
        return self._run.write(row_queries.record_intent, (seq, to_micros(at)), begins=True)

    def record_outcome(self, outcome: Outcome) -> Coroutine[Any, Any, None]:
        state = STATE_AFTER_ATTEMPT[outcome.status]
        texts = storable_text(outcome.code), storable_text(str(outcome.message))
        return self._run.write(row_queries.record_outcome, (outcome.seq, state, outcome.http_status, *texts))

    async def release(self, seq: int, *, code: str, message: Message) -> None:
        texts = storable_text(code), storable_text(str(message))
        await self._run.write(row_queries.record_outcome, (seq, RowState.PLANNED, None, *texts))
        if not any(lo <= seq <= hi for lo, hi in self._held.items()):
            heappush(self._free, (seq, seq))

    def doubt_answer(self, seq: int) -> Coroutine[Any, Any, DoubtedRow]:
        return self._run.write(row_queries.doubt_answer, seq)

    async def finish_block(self, lo: int, *, given_up: int) -> None:
        hi = self._held.pop(lo)
        if len(await self._planned((lo, hi))) > given_up:
            heappush(self._free, (lo, hi))

    async def end(self) -> None:
        self._held.clear()
        self._on_end()

    def _hold(self, lo: int, hi: int, rows: list[Pending]) -> Block:
        self._held[lo] = hi
        return Block(lo, hi, rows)

    def _planned(self, block: tuple[int, int]) -> Awaitable[list[Pending]]:
        return self._run.query(row_queries.planned, block)
