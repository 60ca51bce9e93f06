"""The ledger that forgets: the rules of `interface` without a disk or a thread.

In and out: as `interface` says. For tests in virtual time (a wait on a thread would look idle to the clock) and for
the demo. Compact: arrays, about 60 bytes a row. Never: durable; only the staged rows touch the folder.
"""

from __future__ import annotations

import secrets
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path

from batch_enroll.errors import RunLocked
from batch_enroll.ledger.interface import (
    Duplicate,
    Pending,
    PlannedRow,
    PlanRules,
    Reason,
    Resolution,
    RowState,
    RunRecord,
    RunState,
    finished_before,
    same_ground,
)
from batch_enroll.ledger.memory_rows import EPOCH, MICROSECOND, Rows, Sent
from batch_enroll.ledger.moves import (
    INTERRUPTED,
    SETTLED,
    SKIPPED_IN_SHORT,
    VERDICTS,
    exists_already,
    has_sent,
    is_pruned,
    no_such_run,
    not_open,
    out_of_order,
    still_needed,
    still_planned,
    whole_text,
    why_resolved,
    why_skipped,
    wrong_size,
)
from batch_enroll.ledger.staging import STAGE_NAME, forget_rows
from batch_enroll.model import Counts, Duplicates, Notice, Outcome, RowStatus


class MemoryLedger:
    """All runs of this object's life. `folder` only holds the staged rows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._salt = secrets.token_bytes(32)
        self._rows_of: dict[str, Rows] = {}  # in order of creation
        self._held: set[str] = set()

    def notices(self) -> tuple[Notice, ...]:
        return ()

    async def salt(self) -> bytes:
        return self._salt

    async def forget_rows(self, *, before: datetime) -> int:
        return sum(forget_rows(self._folder / run.run_id) for run in finished_before(await self.runs(), before))

    async def room(self, run_id: str) -> int:
        rows = self._known(run_id)
        staged = self._folder / run_id / STAGE_NAME
        return (staged.stat().st_size if staged.exists() else 0) + (0 if rows.shrunk else rows.size)

    async def shrink(self, run_id: str) -> None:
        rows = self._known(run_id)
        if rows.owner:
            raise _locked(run_id)
        if rows.record.state is not RunState.FINISHED:
            raise still_needed(run_id, unknown=0)
        if unknown := rows.counts().unknown:
            raise still_needed(run_id, unknown=unknown)
        forget_rows(self._folder / run_id)
        rows.shrunk = True

    async def forget(self, run_id: str) -> None:
        rows = self._known(run_id)
        if rows.owner:
            raise _locked(run_id)
        unknown = rows.counts().unknown
        if rows.record.state is not RunState.PLANNING and (
            unknown or (rows.record.state is RunState.OPEN and any(rows.attempts))
        ):
            raise still_needed(run_id, unknown=unknown)
        self._forget(run_id)
        shutil.rmtree(self._folder / run_id, ignore_errors=True)

    async def runs(self) -> list[RunRecord]:
        return [rows.record for rows in reversed(self._rows_of.values())]

    async def worker(self, run_id: str) -> str:
        rows = self._rows_of.get(run_id)
        return "this process" if rows and rows.owner else ""

    def folder(self, run_id: str) -> Path:
        return self._folder / run_id

    async def find(self, identity: str) -> list[RunRecord]:
        return [record for record in await self.runs() if record.identity == identity]

    @contextmanager
    def hold(self, name: str, *, what: str) -> Iterator[None]:
        if name in self._held:
            raise _locked(what)
        self._held.add(name)
        try:
            yield
        finally:
            self._held.remove(name)

    async def create(self, record: RunRecord) -> MemoryRunLedger:
        for rows in self._rows_of.values():
            if rows.owner and (record.identity == rows.record.identity or same_ground(record, rows.record)):
                raise _locked(f"Run {rows.record.run_id}")
        earlier = self._rows_of.get(record.run_id)
        if earlier and earlier.owner:
            raise _locked(f"Run {record.run_id}")
        if earlier and earlier.record.state is not RunState.PLANNING:
            raise exists_already(record.run_id)
        self._rows_of.pop(record.run_id, None)
        self._rows_of[record.run_id] = rows = Rows(replace(record, state=RunState.PLANNING, rows=0))
        return self._hand_out(rows)

    async def open(self, run_id: str, *, read_only: bool) -> MemoryRunLedger:
        rows = self._known(run_id)
        if read_only and rows.record.state is RunState.PLANNING:
            raise still_planned(run_id)
        if read_only:
            return MemoryRunLedger(self, rows, self._folder / run_id)
        if rows.owner:
            raise _locked(f"Run {run_id}")
        if rows.shrunk:
            raise is_pruned(run_id)
        for other in self._rows_of.values():
            if other.owner and same_ground(rows.record, other.record):
                raise _locked(f"Run {other.record.run_id}")
        if rows.record.state is RunState.PLANNING:
            self._rows_of[run_id] = rows = Rows(replace(rows.record, rows=0))
        ledger = self._hand_out(rows)
        await ledger.recover()
        return ledger

    def kill(self, run_id: str) -> None:
        """Let go of a run as a process does that dies: nothing is written, the lock is free."""
        self._rows_of[run_id].owner = None

    def _known(self, run_id: str) -> Rows:
        if run_id not in self._rows_of:
            raise no_such_run(run_id)
        return self._rows_of[run_id]

    def _hand_out(self, rows: Rows) -> MemoryRunLedger:
        folder = self._folder / rows.record.run_id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        rows.owner = ledger = MemoryRunLedger(self, rows, folder)
        return ledger

    def _forget(self, run_id: str) -> None:
        del self._rows_of[run_id]

    def _sent_before(self, run_id: str, key: bytes, rules: PlanRules) -> Sent | None:
        """Find the latest earlier sending of a key that the rules count."""
        latest: Sent | None = None
        begun = list(self._rows_of)  # in order
        others = begun[begun.index(run_id) + 1 :] if rules.later_runs_only else begun
        for rows in map(self._rows_of.__getitem__, others):
            sent = rows.sent(key) if rows.record.run_id != run_id else None
            if sent and sent.counts(rules) and (latest is None or sent.at >= latest.at):
                latest = sent
        return latest


class MemoryRunLedger:
    """One run of a `MemoryLedger`; the one that owns the rows may write."""

    def __init__(self, ledger: MemoryLedger, rows: Rows, folder: Path) -> None:
        self._ledger = ledger
        self._rows = rows
        self._folder = folder
        self._closed = False
        self._recovered: int | None = None

    @property
    def record(self) -> RunRecord:
        return self._rows.record

    @property
    def folder(self) -> Path:
        return self._folder

    async def plan(self, rows: Sequence[PlannedRow]) -> None:
        mine = self._writable(RunState.PLANNING, marked=False)
        for row in rows:
            if row.seq != len(mine.states) + 1:
                raise out_of_order(row.seq, last=len(mine.states))
            mine.add(row)

    async def mark_duplicates(self, rules: PlanRules) -> int:
        mine = self._writable(RunState.PLANNING, marked=False)
        mine.duplicates = {
            duplicate.seq: duplicate
            for seq, state in enumerate(mine.states, start=1)
            if state != RowState.INVALID and (duplicate := self._duplicate(seq, rules))
        }
        for duplicate in mine.duplicates.values():
            if duplicate.earlier_run or rules.duplicates is Duplicates.SKIP:
                mine.put(duplicate.seq, RowState.SKIPPED, why_skipped(duplicate))
        return len(mine.duplicates)

    async def duplicates(self, *, after_seq: int, limit: int) -> list[Duplicate]:
        mine = self._readable()
        found = {} if mine.shrunk else mine.duplicates or {}
        return list(islice((duplicate for seq, duplicate in found.items() if seq > after_seq), limit))

    async def seal(self, *, rows: int) -> None:
        mine = self._writable(RunState.PLANNING, marked=True)
        if rows != len(mine.states):
            raise wrong_size(expected=rows, found=len(mine.states))
        mine.record = replace(mine.record, state=RunState.OPEN, rows=rows)

    async def recover(self) -> int:
        mine = self._writable()
        if self._recovered is None:
            lost = [seq for seq, state in enumerate(mine.states, start=1) if state == RowState.INTENT]
            for seq in lost:
                mine.put(seq, RowState.UNKNOWN, INTERRUPTED)
            self._recovered = len(lost)
        return self._recovered

    async def skip_sent(self, rules: PlanRules) -> int:
        mine = self._writable(RunState.OPEN)
        found = [
            duplicate
            for seq, state in enumerate(mine.states, start=1)
            if state == RowState.PLANNED and (duplicate := self._duplicate(seq, rules)) and duplicate.earlier_run
        ]
        for duplicate in found:
            mine.put(duplicate.seq, RowState.SKIPPED, why_skipped(duplicate))
        mine.duplicates = {**(mine.duplicates or {}), **{duplicate.seq: duplicate for duplicate in found}}
        return len(found)

    async def pending(self, *, after_seq: int, limit: int) -> list[Pending]:
        mine = self._readable()
        found: list[Pending] = []
        seq = after_seq
        while len(found) < limit and (seq := mine.states.find(RowState.PLANNED, seq) + 1):
            number, attempts = mine.numbers[seq - 1], mine.attempts[seq - 1]
            found.append(Pending(seq=seq, number=number, attempts=attempts, key=mine.key(seq)))
        return found

    async def intend(self, seq: int, *, at: datetime) -> int:
        mine = self._writable(RunState.OPEN)
        mine.move(seq, RowState.PLANNED, RowState.INTENT)
        mine.attempts[seq - 1] += 1
        mine.sent_at[seq - 1] = (at - EPOCH) // MICROSECOND
        self._recovered = self._recovered or 0
        return mine.attempts[seq - 1]

    async def release(self, seq: int, *, code: str, message: str) -> None:
        self._writable(RunState.OPEN).move(
            seq, RowState.INTENT, RowState.PLANNED, (whole_text(code), whole_text(message))
        )

    async def settle(self, outcome: Outcome) -> None:
        mine = self._writable(RunState.OPEN)
        words = (whole_text(outcome.code), whole_text(outcome.message))
        mine.move(outcome.seq, RowState.INTENT, SETTLED[outcome.status], words, outcome.http_status)

    async def outcomes(self, *, after_seq: int, limit: int) -> list[Outcome]:
        mine = self._readable()
        if mine.shrunk:
            return []
        return [mine.outcome(seq) for seq in range(after_seq + 1, min(after_seq + limit, len(mine.states)) + 1)]

    async def counts(self) -> Counts:
        return self._readable().counts()

    async def reasons(self, *, limit: int) -> list[Reason]:
        mine = self._readable()
        seqs_of: dict[tuple[RowStatus, str, str], list[int]] = {}
        count: Counter[tuple[RowStatus, str, str]] = Counter()
        for seq, state in enumerate(mine.states, start=1):
            if state == RowState.SUCCESS:
                continue
            outcome = mine.outcome(seq)
            message = SKIPPED_IN_SHORT.get(outcome.code, outcome.message)
            why = (outcome.status, outcome.code, message if state == RowState.SKIPPED else outcome.message)
            count[why] += 1
            if count[why] <= Reason.FIRST_ROWS:
                seqs_of.setdefault(why, []).append(mine.numbers[seq - 1])
        return [
            Reason(status=why[0], code=why[1], message=why[2], count=many, first_rows=tuple(seqs_of[why]))
            for why, many in count.most_common(limit)
        ]

    async def replan(self, *, status: RowStatus) -> int:
        mine = self._writable()
        origin = {RowStatus.ERROR: RowState.ERROR, RowStatus.NOT_SENT: RowState.PLANNED}[status]
        many = mine.states.count(origin)
        mine.states = mine.states.replace(bytes([origin]), bytes([RowState.PLANNED]))
        mine.record = replace(mine.record, state=RunState.OPEN)
        return many

    async def resolve(self, verdicts: Sequence[Resolution]) -> list[int]:
        mine = self._writable()
        states = [VERDICTS[verdict.verdict] for verdict in verdicts]
        left_alone = []
        for verdict, state in zip(verdicts, states, strict=True):
            if mine.state(verdict.seq) is not RowState.UNKNOWN:
                left_alone.append(verdict.seq)
                continue
            mine.put(verdict.seq, state, why_resolved(verdict), mine.http[verdict.seq - 1])
            mine.resolutions.append(verdict)
            if state is RowState.PLANNED:
                mine.record = replace(mine.record, state=RunState.OPEN)
        return left_alone

    async def leave(self) -> None:
        self._closed = True
        if self._rows.owner is self:
            self._rows.owner = None

    async def close(self, *, state: RunState, stop_reason: str, at: datetime, results_path: str = "") -> None:
        if self._rows.owner is self:
            self._rows.record = replace(
                self._rows.record,
                state=state,
                stop_reason=stop_reason,
                finished_at=at,
                results_path=results_path or self._rows.record.results_path,
            )
        await self.leave()

    async def discard(self) -> None:
        mine = self._writable()
        if any(mine.attempts):
            raise has_sent(mine.record.run_id)
        await self.leave()
        self._ledger._forget(mine.record.run_id)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _duplicate(self, seq: int, rules: PlanRules) -> Duplicate | None:
        mine = self._rows
        first = next(mine.places(mine.key(seq)))
        sent = self._ledger._sent_before(mine.record.run_id, mine.key(seq), rules)
        if first == seq and sent is None:
            return None
        return Duplicate(
            seq=seq,
            number=mine.numbers[seq - 1],
            first_number=mine.numbers[first - 1] if first != seq else None,
            earlier_run=sent.record.run_id if sent else None,
            earlier_at=sent.moment if sent else None,
            held=sent is not None and sent.state is RowState.UNKNOWN,
            changed=(sent.content_hash if sent else mine.content_hash(first)) != mine.content_hash(seq),
        )

    def _writable(self, state: RunState | None = None, *, marked: bool | None = None) -> Rows:
        mine = self._rows
        wrong_state = state is not None and mine.record.state is not state
        if mine.owner is not self or wrong_state or marked not in (None, mine.duplicates is not None):
            raise not_open(mine.record.run_id)
        return mine

    def _readable(self) -> Rows:
        if self._closed:
            raise not_open(self._rows.record.run_id)
        return self._rows


def _locked(what: str) -> RunLocked:
    return RunLocked(f"{what} is being worked on in this process.", hint="Wait for it to end, or stop it.")
