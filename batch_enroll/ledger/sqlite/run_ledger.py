"""One run in its SQLite file.

In and out: as `ledger.interface` says. This class knows which step is allowed now; the waiting happens at the desks of
`writer`, the rows move in `rows` and `planning`, and `files` opens and puts away.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Self

import anyio

from batch_enroll.ledger.records import (
    Duplicate,
    Pending,
    PlannedRow,
    PlanRules,
    Reason,
    Resolution,
    RowState,
    RunRecord,
    RunState,
)
from batch_enroll.ledger.sqlite import plan_queries, pruning, row_queries
from batch_enroll.ledger.sqlite.group_commit import Executors, LedgerExecutor, P, R, SerialExecutor, Work
from batch_enroll.ledger.sqlite.run_directory import RunFiles
from batch_enroll.ledger.sqlite.schema import one_by_one
from batch_enroll.ledger.sqlite.worker_ledger import SqliteWorkerLedger
from batch_enroll.ledger.staged_rows import FileStage
from batch_enroll.ledger.transitions import (
    VERDICTS,
    has_sent,
    has_worker,
    not_open,
    out_of_order,
    still_planned,
    wrong_size,
)
from batch_enroll.models import (
    Counts,
    Duplicates,
    Outcome,
    RowStatus,
)


class SqliteRunLedger:
    """A run of a `SqliteLedger`. Made by one of `plan_anew`, `go_on` and `read`; used in one event loop."""

    def __init__(
        self, record: RunRecord, files: RunFiles, executors: Executors, desk: LedgerExecutor, *, recovered: int = 0
    ) -> None:
        self._record = record
        self._files = files
        self._executors = executors
        self._desk = desk
        self._recovered = recovered
        self._planned = 0
        self._marked = False
        self._closed = False
        self._worker: SqliteWorkerLedger | None = None

    @classmethod
    async def plan_anew(cls, record: RunRecord, files: RunFiles, executors: Executors) -> Self:
        """Begin an empty plan in files that were taken."""
        return cls(
            record, files, executors, SerialExecutor(await executors.run(files.plan_anew), files.path, executors)
        )

    @classmethod
    async def go_on(cls, record: RunRecord, files: RunFiles, executors: Executors) -> Self:
        """Go on with a sealed plan in files that were taken."""
        connection, recovered = await executors.run(files.open)
        return cls(record, files, executors, _writer(executors, connection, files), recovered=recovered)

    @classmethod
    async def read(cls, record: RunRecord, files: RunFiles, executors: Executors) -> Self:
        """Read, whoever has taken the files."""
        if record.state is RunState.PLANNING:
            raise still_planned(record.run_id)
        return cls(record, files, executors, SerialExecutor(await executors.run(files.read), files.path, executors))

    @property
    def record(self) -> RunRecord:
        return self._record

    @property
    def stage(self) -> FileStage:
        return self._files.stage

    @property
    def folder(self) -> Path:
        return self._files.folder

    @property
    def commit_s(self) -> float:
        """How long a commit takes at this place, seconds, as measured when the run was taken; 0 for a reader."""
        return self._files.commit_s

    async def plan(self, block: Sequence[PlannedRow]) -> None:
        self._writable(RunState.PLANNING, marked=False)
        for seq, row in enumerate(block, start=self._planned + 1):
            if row.seq != seq:
                raise out_of_order(row.seq, last=seq - 1)
        await self._desk.ask(plan_queries.add_rows, block)
        self._planned += len(block)

    async def mark_duplicates(self, rules: PlanRules) -> int:
        self._writable(RunState.PLANNING, marked=False)
        self._marked = True

        @one_by_one
        def mark(connection: sqlite3.Connection, rules: PlanRules) -> int:
            with self._files.index.looking_up(self._record.run_id, rules) as look_up:
                skip_inside = rules.duplicates is Duplicates.SKIP
                return plan_queries.mark_duplicates(connection, look_up, skip_inside=skip_inside)

        return await self._desk.ask(mark, rules)

    async def duplicates(self, *, after_seq: int, limit: int) -> list[Duplicate]:
        return await self._readable().ask(plan_queries.duplicates, (after_seq, limit))

    async def finish_planning(self, *, rows: int) -> None:
        self._writable(RunState.PLANNING, marked=True)
        if rows != self._planned:
            raise wrong_size(expected=rows, found=self._planned)
        with anyio.CancelScope(shield=True):
            await self._desk.ask(plan_queries.finish_planning, rows)
            await self._desk.stop()
            await self._executors.run(self._files.make_durable)
            connection, _ = await self._executors.run(self._files.open)
            self._desk = _writer(self._executors, connection, self._files)
            await self._tell_index(replace(self._record, state=RunState.OPEN, rows=rows))

    async def recover(self) -> int:
        self._writable()
        return self._recovered

    async def skip_sent(self, rules: PlanRules) -> int:
        self._writable(RunState.OPEN)

        return await self._desk.ask(one_by_one(self._skip_sent), rules)

    async def pending(self, *, after_seq: int, limit: int) -> list[Pending]:
        return await self._readable().ask(row_queries.pending, (after_seq, limit))

    async def join(self) -> SqliteWorkerLedger:
        self._writable(RunState.OPEN)
        if self._worker is not None:
            raise has_worker(self._record.run_id)
        self._worker = SqliteWorkerLedger(self, self._lose_worker)
        return self._worker

    def _lose_worker(self) -> None:
        self._worker = None

    async def is_marked(self, name: str) -> bool:
        return await self._executors.run(self._files.mark_path(name).exists)

    async def mark(self, name: str) -> None:
        await self._executors.run(self._files.set_mark, name)

    async def ask(self, work: Work[P, R], payload: P) -> R:
        """Run a query of this package on the run's connection."""
        return await self._readable().ask(work, payload)

    async def write(self, work: Work[P, R], payload: P, *, begins: bool = False) -> R:
        """Change rows of the run while it is OPEN; `begins` as in `LedgerExecutor.ask`."""
        self._writable(RunState.OPEN)
        return await self._desk.ask(work, payload, begins=begins)

    async def outcomes(self, *, after_seq: int, limit: int) -> list[Outcome]:
        return await self._readable().ask(row_queries.outcomes, (after_seq, limit))

    async def counts(self) -> Counts:
        return await self._readable().ask(row_queries.counts, None)

    async def reasons(self, *, limit: int) -> list[Reason]:
        return await self._readable().ask(pruning.reasons, limit)

    async def requeue(self, *, status: RowStatus, rules: PlanRules | None = None) -> int:
        self._writable()
        origin = {RowStatus.ERROR: RowState.ERROR, RowStatus.NOT_SENT: RowState.PLANNED}[status]

        @one_by_one
        def requeue(connection: sqlite3.Connection, origin: RowState) -> int:
            many = row_queries.requeue(connection, [origin])[0]
            if rules is not None:
                self._skip_sent(connection, rules)
            return many

        record = replace(self._record, state=RunState.OPEN)
        with anyio.CancelScope(shield=True):
            # The index first: what fails then leaves the rows as they are, and `close_unchanged` puts the record back.
            await self._executors.run(lambda: self._files.index.update(record, unmerged=True))
            many = await self._desk.ask(requeue, origin)
        self._record = record
        return many

    async def resolve(self, verdicts: Sequence[Resolution]) -> list[int]:
        self._writable()
        states = [VERDICTS[verdict.verdict] for verdict in verdicts]
        with anyio.CancelScope(shield=True):
            moved = await self._desk.ask(row_queries.resolve, verdicts)
            if any(was_unknown and state is RowState.PLANNED for was_unknown, state in zip(moved, states, strict=True)):
                await self._tell_index(replace(self._record, state=RunState.OPEN))
        return [verdict.seq for verdict, was_unknown in zip(verdicts, moved, strict=True) if not was_unknown]

    async def close_unchanged(self) -> None:
        await self._let_go(self._record)

    async def close(self, *, state: RunState, stop_reason: str, at: datetime, results_path: str = "") -> None:
        await self._let_go(
            replace(
                self._record,
                state=state,
                stop_reason=stop_reason,
                finished_at=at,
                results_path=results_path or self._record.results_path,
            )
        )

    async def discard(self) -> None:
        self._writable()
        with anyio.CancelScope(shield=True):
            if self._record.state is not RunState.PLANNING and await self._desk.ask(row_queries.anything_sent, None):
                raise has_sent(self._record.run_id)
            self._closed = True
            await self._desk.stop()
            await self._executors.run(self._files.throw_away)

    async def _let_go(self, record: RunRecord) -> None:
        if self._closed:
            return
        self._closed = True
        with anyio.CancelScope(shield=True):
            await self._desk.stop()
            if self._files.lock.held:
                self._record = record
                await self._executors.run(self._files.put_away, record)

    async def _tell_index(self, record: RunRecord) -> None:
        await self._executors.run(lambda: self._files.index.update(record, unmerged=True))
        self._record = record

    def _skip_sent(self, connection: sqlite3.Connection, rules: PlanRules) -> int:
        with self._files.index.looking_up(self._record.run_id, rules) as look_up:
            return plan_queries.skip_sent(connection, look_up)

    def _readable(self) -> LedgerExecutor:
        if self._closed:
            raise not_open(self._record.run_id)
        return self._desk

    def _writable(self, state: RunState | None = None, *, marked: bool | None = None) -> None:
        wrong_state = state is not None and self._record.state is not state
        if self._closed or not self._files.lock.held or wrong_state or marked not in (None, self._marked):
            raise not_open(self._record.run_id)


def _writer(executors: Executors, connection: sqlite3.Connection, files: RunFiles) -> LedgerExecutor:
    return executors.writer(connection, files.path, ballast=files.ballast, mark=files.mark(connection))
