"""The ledger that forgets: the rules of `interface` without a disk or a thread.

In and out: as `interface` says. For tests in virtual time (a wait on a thread would look idle to the clock) and for
the demo. Compact: arrays, about 60 bytes a row. Never: durable; only the staged rows touch the folder.
"""

from __future__ import annotations

import secrets
import shutil
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from batch_enroll.errors import RunLocked
from batch_enroll.ledger.interface import (
    STATUS_OF,
    Duplicate,
    Pending,
    PlannedRow,
    PlanRules,
    Reason,
    Resolution,
    RowState,
    RunLedger,
    RunRecord,
    RunState,
)
from batch_enroll.ledger.moves import (
    IN_FLIGHT,
    INTERRUPTED,
    SETTLED,
    SKIPPED_IN_SHORT,
    VERDICTS,
    exists_already,
    has_sent,
    illegal,
    no_such_run,
    not_open,
    out_of_order,
    still_planned,
    whole_text,
    why_resolved,
    why_skipped,
    wrong_size,
)
from batch_enroll.model import Counts, Duplicates, Outcome, RowStatus

_KEY = 16  # bytes
_HASH = 8  # bytes
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class MemoryLedger:
    """All runs of this object's life. `folder` only holds the staged rows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._salt = secrets.token_bytes(32)
        self._rows_of: dict[str, _Rows] = {}  # in order of creation

    async def salt(self) -> bytes:
        return self._salt

    async def runs(self) -> list[RunRecord]:
        return [rows.record for rows in reversed(self._rows_of.values())]

    async def find(self, identity: str) -> list[RunRecord]:
        return [record for record in await self.runs() if record.identity == identity]

    async def create(self, record: RunRecord) -> MemoryRunLedger:
        for rows in self._rows_of.values():
            if rows.owner and record.identity == rows.record.identity:
                raise _locked(rows.record.run_id)
        earlier = self._rows_of.get(record.run_id)
        if earlier and earlier.owner:
            raise _locked(record.run_id)
        if earlier and earlier.record.state is not RunState.PLANNING:
            raise exists_already(record.run_id)
        self._rows_of.pop(record.run_id, None)
        self._rows_of[record.run_id] = rows = _Rows(replace(record, state=RunState.PLANNING, rows=0))
        return self._hand_out(rows)

    async def open(self, run_id: str, *, read_only: bool) -> MemoryRunLedger:
        rows = self._rows_of.get(run_id)
        if rows is None:
            raise no_such_run(run_id)
        if read_only and rows.record.state is RunState.PLANNING:
            raise still_planned(run_id)
        if read_only:
            return MemoryRunLedger(self, rows, self._folder / run_id)
        if rows.owner:
            raise _locked(run_id)
        if rows.record.state is RunState.PLANNING:
            self._rows_of[run_id] = rows = _Rows(replace(rows.record, rows=0))
        ledger = self._hand_out(rows)
        await ledger.recover()
        return ledger

    def kill(self, run_id: str) -> None:
        """Let go of a run as a process does that dies: nothing is written, the lock is free."""
        self._rows_of[run_id].owner = None

    def _hand_out(self, rows: _Rows) -> MemoryRunLedger:
        folder = self._folder / rows.record.run_id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        rows.owner = ledger = MemoryRunLedger(self, rows, folder)
        return ledger

    def _forget(self, run_id: str) -> None:
        del self._rows_of[run_id]

    def _sent_before(self, run_id: str, key: bytes, rules: PlanRules) -> _Sent | None:
        """Find the latest earlier sending of a key that the rules count."""
        latest: _Sent | None = None
        for rows in self._rows_of.values():
            sent = rows.sent(key) if rows.record.run_id != run_id else None
            if sent and sent.counts(rules) and (latest is None or sent.at >= latest.at):
                latest = sent
        return latest


class MemoryRunLedger:
    """One run of a `MemoryLedger`; the one that owns the rows may write."""

    def __init__(self, ledger: MemoryLedger, rows: _Rows, folder: Path) -> None:
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
        found = self._readable().duplicates or {}
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

    async def pending(self, *, after_seq: int, limit: int) -> list[Pending]:
        mine = self._readable()
        found: list[Pending] = []
        seq = after_seq
        while len(found) < limit and (seq := mine.states.find(RowState.PLANNED, seq) + 1):
            found.append(Pending(seq=seq, number=mine.numbers[seq - 1], attempts=mine.attempts[seq - 1]))
        return found

    async def intend(self, seq: int, *, at: datetime) -> int:
        mine = self._writable(RunState.OPEN)
        mine.move(seq, RowState.PLANNED, RowState.INTENT)
        mine.attempts[seq - 1] += 1
        mine.sent_at[seq - 1] = (at - _EPOCH) // _MICROSECOND
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

    def _writable(self, state: RunState | None = None, *, marked: bool | None = None) -> _Rows:
        mine = self._rows
        wrong_state = state is not None and mine.record.state is not state
        if mine.owner is not self or wrong_state or marked not in (None, mine.duplicates is not None):
            raise not_open(mine.record.run_id)
        return mine

    def _readable(self) -> _Rows:
        if self._closed:
            raise not_open(self._rows.record.run_id)
        return self._rows


class _Sent:
    """What an earlier run did with one key."""

    def __init__(self, rows: _Rows, seq: int) -> None:
        self.record = rows.record
        self.state = RowState.UNKNOWN if rows.state(seq) is RowState.INTENT else rows.state(seq)
        self.at = rows.sent_at[seq - 1]
        self.content_hash = rows.content_hash(seq)

    @property
    def moment(self) -> datetime:
        return _EPOCH + self.at * _MICROSECOND

    def counts(self, rules: PlanRules) -> bool:
        if self.state is RowState.UNKNOWN:
            return rules.hold_unknown
        since = rules.enrolled_since
        by_path = rules.enrolled_by_path is not None and self.record.input_path == rules.enrolled_by_path
        return by_path or (since is not None and self.moment > since)


class _Rows:
    """The rows of one run, column by column, with an open-addressing table from key to place."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self.owner: RunLedger | None = None
        self.resolutions: list[Resolution] = []
        self.duplicates: dict[int, Duplicate] | None = None  # by seq; None = not looked for yet
        self.states = bytearray()
        self.numbers = array("q")
        self.keys = bytearray()
        self.hashes = bytearray()
        self.attempts = array("H")
        self.sent_at = array("q")  # microseconds
        self.http = array("H")  # 0 = none
        self.words = array("I")
        self._texts = [("", "")]
        self._number_of_text = {("", ""): 0}
        self._slots = array("I", bytes(4 * 64))  # seq, 0 = free; at most half full

    def add(self, row: PlannedRow) -> None:
        self.states.append(RowState.INVALID if row.key is None else RowState.PLANNED)
        self.numbers.append(row.number)
        self.keys += row.key or bytes(_KEY)
        self.hashes += row.content_hash.ljust(_HASH, b"\0")
        self.attempts.append(0)
        self.sent_at.append(0)
        self.http.append(0)
        self.words.append(self._text((row.code, "")))
        if row.key is not None:
            if 2 * len(self.states) > len(self._slots):
                self._grow()
            self._slots[self._free_slot(row.key)] = row.seq

    def key(self, seq: int) -> bytes:
        return bytes(self.keys[_KEY * (seq - 1) : _KEY * seq])

    def state(self, seq: int) -> RowState | None:
        return RowState(self.states[seq - 1]) if 0 < seq <= len(self.states) else None

    def content_hash(self, seq: int) -> bytes:
        return bytes(self.hashes[_HASH * (seq - 1) : _HASH * seq])

    def move(
        self, seq: int, origin: RowState, to: RowState, words: tuple[str, str] = ("", ""), http: int | None = None
    ) -> None:
        if self.state(seq) is not origin:
            raise illegal(seq, wanted=origin)
        self.put(seq, to, words, http)

    def put(self, seq: int, to: RowState, words: tuple[str, str], http: int | None = None) -> None:
        self.states[seq - 1] = to
        self.words[seq - 1] = self._text(words)
        self.http[seq - 1] = http or 0

    def outcome(self, seq: int) -> Outcome:
        state = RowState(self.states[seq - 1])
        code, message = IN_FLIGHT if state is RowState.INTENT else self._texts[self.words[seq - 1]]
        attempts = self.attempts[seq - 1]
        return Outcome(
            seq=seq,
            status=STATUS_OF[state],
            code=code,
            message=message,
            http_status=self.http[seq - 1] or None,
            attempts=attempts,
            sent_at=_EPOCH + self.sent_at[seq - 1] * _MICROSECOND if attempts else None,
        )

    def counts(self) -> Counts:
        by_status: Counter[RowStatus] = Counter()
        for state, status in STATUS_OF.items():
            by_status[status] += self.states.count(state)
        return Counts.of(by_status)

    def places(self, key: bytes) -> Iterator[int]:
        """Give every seq that has the key, the first one first."""
        slot = self._home(key)
        while seq := self._slots[slot]:
            if self.key(seq) == key:
                yield seq
            slot = (slot + 1) % len(self._slots)

    def sent(self, key: bytes) -> _Sent | None:
        """Say what became of a key here: unknown before accepted, then the latest; None when neither."""
        sent = [_Sent(self, seq) for seq in self.places(key) if self.attempts[seq - 1]]
        sent = [one for one in sent if one.state in (RowState.SUCCESS, RowState.UNKNOWN)]
        return max(sent, key=lambda one: (one.state, one.at), default=None)

    def _text(self, words: tuple[str, str]) -> int:
        number = self._number_of_text.setdefault(words, len(self._texts))
        if number == len(self._texts):
            self._texts.append(words)
        return number

    def _home(self, key: bytes) -> int:
        return int.from_bytes(key[:8], "little") % len(self._slots)

    def _free_slot(self, key: bytes) -> int:
        slot = self._home(key)
        while self._slots[slot]:
            slot = (slot + 1) % len(self._slots)
        return slot

    def _grow(self) -> None:
        seqs = sorted(seq for seq in self._slots if seq)  # in order, so that the first place stays the first met
        self._slots = array("I", bytes(4 * 2 * len(self._slots)))
        for seq in seqs:
            self._slots[self._free_slot(self.key(seq))] = seq


def _locked(run_id: str) -> RunLocked:
    return RunLocked(f"Run {run_id} is being worked on in this process.", hint="Wait for it to end, or stop it.")
