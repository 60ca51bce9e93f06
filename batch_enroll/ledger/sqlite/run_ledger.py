"""One run in its SQLite file: which calls are allowed in which state."""

from __future__ import annotations

import sqlite3
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import anyio

from batch_enroll.errors import LedgerError, RunLocked
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
from batch_enroll.ledger.sqlite.group_commit import LedgerExecutor, LedgerThreads, P, R, SerialExecutor, Work
from batch_enroll.ledger.sqlite.run_directory import RunFiles
from batch_enroll.ledger.sqlite.schema import one_by_one
from batch_enroll.ledger.sqlite.worker_ledger import SqliteWorkerLedger
from batch_enroll.ledger.staged_rows import FileStage
from batch_enroll.ledger.transitions import STATE_AFTER_DECISION
from batch_enroll.messages import message
from batch_enroll.models import (
    Counts,
    Outcome,
    RowStatus,
)


class SqliteRunLedger:
    """A run of a `SqliteLedger`. Created by `start_plan`, `resume` or `read`; used in one event loop."""

    def __init__(
        self,
        record: RunRecord,
        files: RunFiles,
        threads: LedgerThreads,
        executor: LedgerExecutor,
        *,
        recovered: int = 0,
    ) -> None:
        self._record = record
        self._files = files
        self._threads = threads
        self._executor = executor
        self._recovered = recovered
        self._planned = 0
        self._marked = False
        self._closed = False
        self._worker: SqliteWorkerLedger | None = None

    @classmethod
    async def start_plan(cls, record: RunRecord, files: RunFiles, threads: LedgerThreads) -> Self:
        """Start an empty plan; the caller has acquired the files."""
        return cls(record, files, threads, SerialExecutor(await threads.run(files.start_plan), files.path, threads))

    @classmethod
    async def resume(cls, record: RunRecord, files: RunFiles, threads: LedgerThreads) -> Self:
        """Resume a finished plan; the caller has acquired the files."""
        connection, recovered = await threads.run(files.open)
        return cls(record, files, threads, _writer(threads, connection, files), recovered=recovered)

    @classmethod
    async def read(cls, record: RunRecord, files: RunFiles, threads: LedgerThreads) -> Self:
        """Open for reading, whoever has acquired the files."""
        if record.state is RunState.PLANNING:
            raise LedgerError(message("ledger.run_being_planned", run_id=record.run_id))
        return cls(record, files, threads, SerialExecutor(await threads.run(files.read), files.path, threads))

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
        """How long a commit takes at this place, seconds, as measured when the run was acquired; 0 for a reader."""
        return self._files.commit_s

    async def plan(self, block: Sequence[PlannedRow]) -> None:
        self._writable(RunState.PLANNING, marked=False)
        for seq, row in enumerate(block, start=self._planned + 1):
            if row.seq != seq:
                raise LedgerError(message("ledger.plan_order", seq=row.seq, last=seq - 1))
        await self._executor.submit(plan_queries.add_rows, block)
        self._planned += len(block)

    async def add_aliases(self, aliases: Sequence[tuple[int, bytes]]) -> None:
        self._writable()
        await self._executor.submit(plan_queries.add_aliases, aliases)

    async def add_enrolled_elsewhere(self, rows: Sequence[tuple[int, str]]) -> None:
        self._writable(RunState.PLANNING, marked=False)
        await self._executor.submit(plan_queries.add_enrolled_elsewhere, rows)

    async def mark_duplicates(self, rules: PlanRules) -> int:
        self._writable(RunState.PLANNING, marked=False)
        self._marked = True

        @one_by_one
        def mark(connection: sqlite3.Connection, rules: PlanRules) -> int:
            with self._files.index.lookup(self._record.run_id, rules) as look_up:
                return plan_queries.mark_duplicates(connection, look_up, rules)

        return await self._executor.submit(mark, rules)

    async def duplicates(self, *, after_seq: int, limit: int) -> list[Duplicate]:
        return await self._readable().submit(plan_queries.duplicates, (after_seq, limit))

    async def finish_planning(self, *, rows: int) -> None:
        self._writable(RunState.PLANNING, marked=True)
        if rows != self._planned:
            raise LedgerError(message("ledger.plan_size", expected=rows, found=self._planned))
        with anyio.CancelScope(shield=True):
            await self._executor.submit(plan_queries.finish_planning, rows)
            await self._executor.stop()
            await self._threads.run(self._files.make_durable)
            connection, _ = await self._threads.run(self._files.open)
            self._executor = _writer(self._threads, connection, self._files)
            await self._update_index(replace(self._record, state=RunState.OPEN, rows=rows))

    async def recover(self) -> int:
        self._writable()
        return self._recovered

    async def skip_sent(self, rules: PlanRules) -> int:
        self._writable(RunState.OPEN)

        return await self._executor.submit(one_by_one(self._skip_sent), rules)

    async def pending(self, *, after_seq: int, limit: int) -> list[Pending]:
        return await self._readable().submit(row_queries.pending, (after_seq, limit))

    async def join(self) -> SqliteWorkerLedger:
        self._writable(RunState.OPEN)
        if self._worker is not None:
            raise RunLocked(message("ledger.run_has_worker", run_id=self._record.run_id))
        self._worker = SqliteWorkerLedger(self, self._forget_worker)
        return self._worker

    def _forget_worker(self) -> None:
        self._worker = None

    async def is_marked(self, name: str) -> bool:
        return await self._threads.run(self._files.mark_path(name).exists)

    async def mark(self, name: str) -> None:
        await self._threads.run(self._files.set_mark, name)

    async def query(self, work: Work[P, R], payload: P) -> R:
        """Run a query of this package on the run's connection."""
        return await self._readable().submit(work, payload)

    def write(self, work: Work[P, R], payload: P, *, begins: bool = False) -> Coroutine[Any, Any, R]:
        """Change rows of the run while it is OPEN; `begins` as in `LedgerExecutor.submit`."""
        self._writable(RunState.OPEN)
        return self._executor.submit(work, payload, begins=begins)

    async def outcomes(self, *, after_seq: int, limit: int) -> list[Outcome]:
        return await self._readable().submit(row_queries.outcomes, (after_seq, limit))

    async def counts(self) -> Counts:
        return await self._readable().submit(row_queries.counts, None)

    async def reasons(self, *, limit: int) -> list[Reason]:
        return await self._readable().submit(pruning.reasons, limit)

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
            # The index first: what fails then leaves the rows as they are, and `close_unchanged` restores the record.
            await self._threads.run(lambda: self._files.index.update(record, unmerged=True))
            many = await self._executor.submit(requeue, origin)
        self._record = record
        return many

    async def retryable(self) -> int:
        return await self._readable().submit(row_queries.retryable, None)

    async def resolve(self, verdicts: Sequence[Resolution]) -> list[int]:
        self._writable()
        states = [STATE_AFTER_DECISION[verdict.verdict] for verdict in verdicts]
        with anyio.CancelScope(shield=True):
            moved = await self._executor.submit(row_queries.resolve, verdicts)
            if any(was_unknown and state is RowState.PLANNED for was_unknown, state in zip(moved, states, strict=True)):
                await self._update_index(replace(self._record, state=RunState.OPEN))
        return [verdict.seq for verdict, was_unknown in zip(verdicts, moved, strict=True) if not was_unknown]

    async def close_unchanged(self) -> None:
        await self._close(self._record)

    async def close(self, *, state: RunState, stop_reason: str, at: datetime, results_path: str = "") -> None:
        await self._close(
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
            if self._record.state is not RunState.PLANNING and await self._executor.submit(
                row_queries.anything_sent, None
            ):
                raise LedgerError(message("ledger.run_has_sent", run_id=self._record.run_id))
            self._closed = True
            await self._executor.stop()
            await self._threads.run(self._files.delete)

    async def _close(self, record: RunRecord) -> None:
        if self._closed:
            return
        self._closed = True
        with anyio.CancelScope(shield=True):
            await self._executor.stop()
            if self._files.lock.held:
                self._record = record
                await self._threads.run(self._files.finalize, record)

    async def _update_index(self, record: RunRecord) -> None:
        await self._threads.run(lambda: self._files.index.update(record, unmerged=True))
        self._record = record

    def _skip_sent(self, connection: sqlite3.Connection, rules: PlanRules) -> int:
        with self._files.index.lookup(self._record.run_id, rules) as lookup:
            return plan_queries.skip_sent(connection, lookup)

    def _readable(self) -> LedgerExecutor:
        if self._closed:
            raise LedgerError(message("ledger.run_not_open", run_id=self._record.run_id))
        return self._executor

    def _writable(self, state: RunState | None = None, *, marked: bool | None = None) -> None:
        wrong_state = state is not None and self._record.state is not state
        if self._closed or not self._files.lock.held or wrong_state or marked not in (None, self._marked):
            raise LedgerError(message("ledger.run_not_open", run_id=self._record.run_id))


def _writer(threads: LedgerThreads, connection: sqlite3.Connection, files: RunFiles) -> LedgerExecutor:
    return threads.writer(connection, files.path, disk_reserve=files.disk_reserve, mark=files.mark(connection))
