"""What every ledger does: it remembers, on disk, what happened to each row.

In: planned rows, then for each attempt an intent before the request leaves and an outcome after the answer.
Out: which rows are still to send, and the last word on every row in input order. Never: personal data (a row is its
number, a keyed hash of its identity and a hash of its content), a network, a decision about what to send.

A row inside a ledger is in one of these states (design: durability study, section 1); every move is one conditional
update whose row count must be 1:

    PLANNED -> INTENT                 `record_intent`, on disk before the first byte of the request leaves
    INTENT  -> PLANNED                `release`, only when surely nothing was accepted
    INTENT  -> SUCCESS|ERROR|UNKNOWN  `record_outcome`, on disk before anyone hears of it
    INTENT  -> UNKNOWN                `recover`, when the process that made the intent is gone
    PLANNED -> NOT_SENT is no move: a row that is planned when the run ends is shown as `not_sent`
    UNKNOWN -> SUCCESS|ERROR|PLANNED  `resolve`, a person's word, kept with who, when and why
    ERROR   -> PLANNED                `requeue`, a person's `retry --errors`
    PLANNED -> SKIPPED                `skip_sent`, when another run sent the profile meanwhile
    SKIPPED, INVALID                  final
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

from batch_enroll.errors import LedgerError
from batch_enroll.models import Counts, Duplicates, Notice, Outcome, Row, RowStatus

if TYPE_CHECKING:
    from batch_enroll.ledger.worker_ledger import WorkerLedger, WorkerOrders

NO_PATH = "-"
"""The input path of a run whose input is no file."""


class RowState(IntEnum):
    """Where a row stands; the numbers are what is on disk."""

    PLANNED = 0
    INTENT = 2
    SUCCESS = 3
    ERROR = 4
    UNKNOWN = 5
    SKIPPED = 6
    INVALID = 7


STATUS_OF: dict[RowState, RowStatus] = {
    RowState.PLANNED: RowStatus.NOT_SENT,
    RowState.INTENT: RowStatus.UNKNOWN,  # seen from outside: a request may have left
    RowState.SUCCESS: RowStatus.SUCCESS,
    RowState.ERROR: RowStatus.ERROR,
    RowState.UNKNOWN: RowStatus.UNKNOWN,
    RowState.SKIPPED: RowStatus.SKIPPED,
    RowState.INVALID: RowStatus.INVALID,
}


class RunState(StrEnum):
    """Where a run stands."""

    PLANNING = "planning"  #: rows are being read; nothing was sent; a crash leaves nothing worth keeping
    OPEN = "open"  #: planned; sending, or stopped before the end
    FINISHED = "finished"  #: no row is left to send


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run, as `runs` and `show` list it. Times are aware UTC."""

    run_id: str
    identity: str  #: hex sha256 of input + url + scenario + matching; the same command gives the same
    input_name: str  #: file name or "-", for people
    input_path: str  #: absolute path or "-": an edited file is recognised by it
    input_sha256: str
    url: str
    scenario: int
    matching: str  #: as `--match` takes it
    settings_json: str  #: the job without its secrets, as JSON
    tool_version: str
    created_at: datetime
    state: RunState = RunState.PLANNING
    rows: int = 0
    finished_at: datetime | None = None
    stop_reason: str = ""  #: why it stopped before the end, "" when it did not
    results_path: str = ""


def same_ground(record: RunRecord, other: RunRecord) -> bool:
    """Tell whether two runs may be about to send the same rows: an unfinished one over the same path and scenario."""
    return (
        other.run_id != record.run_id
        and other.state is not RunState.FINISHED
        and record.input_path == other.input_path != NO_PATH
        and (record.url, record.scenario) == (other.url, other.scenario)
    )


def finished_before(records: Iterable[RunRecord], moment: datetime) -> list[RunRecord]:
    """The runs that were finished before a moment: those whose rows need not be kept any longer."""
    return [
        record
        for record in records
        if record.state is RunState.FINISHED and record.finished_at is not None and record.finished_at < moment
    ]


class PlannedRow(NamedTuple):
    """One row on its way into the ledger. A tuple: a plan makes millions, and a dataclass costs four times as much."""

    seq: int  #: place in the plan, from 1, without gaps
    number: int  #: the row number that people see
    key: bytes | None  #: 16 bytes, keyed hash of url + scenario + matching + normalised identity; None when invalid
    content_hash: bytes  #: 8 bytes, keyed hash of everything that would be sent
    code: str = ""  #: why the row is invalid; "" when it is not


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRules:
    """What makes a row a duplicate."""

    duplicates: Duplicates
    enrolled_since: datetime | None = None  #: rows accepted by any earlier run after this moment are skipped
    enrolled_by_path: str | None = None  #: rows accepted by earlier runs of the input at this path are skipped
    hold_unknown: bool = True  #: rows that an earlier run left unknown, and nobody resolved, are skipped
    later_runs_only: bool = False  #: of the other runs only those that were begun after this one count


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """A planned row whose identity was met before."""

    seq: int
    number: int
    first_number: int | None = None  #: row number in this input, None when it was another run
    earlier_run: str | None = None
    earlier_at: datetime | None = None
    held: bool = False  #: the earlier run left it unknown
    changed: bool = False  #: the content differs from what was sent then


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A row that is still to send."""

    seq: int
    number: int
    attempts: int  #: requests begun for it so far, in this run
    key: bytes = b""  #: as in `PlannedRow`


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One line of "reasons by frequency"."""

    status: RowStatus
    code: str
    message: str
    count: int
    first_rows: tuple[int, ...] = ()  #: row numbers, at most FIRST_ROWS

    FIRST_ROWS: ClassVar[int] = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """A person's word on an unknown row."""

    seq: int
    verdict: str  #: `enrolled`, `not_enrolled` or `resend`
    by: str
    at: datetime
    why: str


class StagedRow(NamedTuple):
    """A row of the plan with what it will send."""

    seq: int  #: place in the plan, from 1
    row: Row  #: with every problem found, by the loader and by the mapping
    body: str  #: the request's JSON object without the token; "" when the row is invalid


class StageWriter(Protocol):
    """Writes the staged rows of one plan; they are all there or none. The caller holds the run's lock. It blocks."""

    def write(self, rows: Sequence[tuple[Row, str]]) -> None:
        """Add a block of (row, body) in plan order."""
        ...

    def finish(self) -> None:
        """Make the rows durable."""
        ...

    def abandon(self) -> None:
        """Remove an unfinished stage."""
        ...


class Stage(Protocol):
    """The staged rows of one run: personal data, for its owner alone. Every method blocks.

    Raises:
        LedgerError: the rows are gone (pruned) or damaged, or cannot be read or written.
    """

    def writer(self, columns: Sequence[str]) -> StageWriter:
        """Stage the rows of a new plan; `columns` is the input's own header."""
        ...

    def columns(self) -> tuple[str, ...]:
        """Give the input's own header, column by column."""
        ...

    def check(self) -> None:
        """Check, without reading them, that all rows of the plan are there."""
        ...

    def rows(self, lo: int, hi: int) -> list[StagedRow]:
        """Read the rows from place `lo` to place `hi` of the plan, fewer where the plan ends."""
        ...

    def blocks(self) -> Iterator[list[StagedRow]]:
        """Read all rows in plan order, in blocks of at most 1,000."""
        ...

    def delete(self) -> bool:
        """Remove the rows; False: they were gone already."""
        ...

    def damaged(self, seq: int) -> LedgerError:
        """Build the error that the rows are not as they were written from place `seq` on; 0 is the header."""
        ...


class RunLedger(Protocol):
    """One run's rows. Every call may wait for the disk; none may be lost when it has returned.

    A call that is cancelled is carried out all the same, and ends when it is on disk.
    """

    @property
    def record(self) -> RunRecord:
        """The run as it stands."""
        ...

    @property
    def folder(self) -> Path:
        """Where the run keeps what it needs besides the ledger: the staged rows. Readable by its owner alone."""
        ...

    @property
    def stage(self) -> Stage:
        """The run's rows with what they send, kept between plan and send."""
        ...

    async def join(self) -> WorkerLedger:
        """Begin to send rows of this run, which is OPEN, as one of its workers.

        Raises:
            RunLocked: this kind of ledger takes one worker at a time, and the run has one.
        """
        ...

    async def steer(self, orders: WorkerOrders) -> None:
        """Set what every worker of the run hears at its next beat."""
        ...

    async def mark(self, name: str) -> None:
        """Note that something was done for the run, such as `canary.passed`.

        Raises:
            LedgerError: the disk does not take it.
        """
        ...

    async def is_marked(self, name: str) -> bool:
        """Whether `mark` was called for the run, by this process or an earlier one."""
        ...

    async def plan(self, rows: Sequence[PlannedRow]) -> None:
        """Add a block of rows in seq order, while the run is PLANNING."""
        ...

    async def mark_duplicates(self, rules: PlanRules) -> int:
        """Find the rows whose identity was met before, once all are planned; returns how many there are.

        A duplicate inside the input becomes SKIPPED under `skip` and stays PLANNED under `send` and `stop` (the caller
        then discards the run). One enrolled or held by an earlier run becomes SKIPPED. All at once and not block by
        block: one sort costs a few sequential passes, a lookup for each row a random page each.
        """
        ...

    async def duplicates(self, *, after_seq: int, limit: int) -> list[Duplicate]:
        """The rows that `mark_duplicates` found with seq > `after_seq`, in seq order, at most `limit`."""
        ...

    async def finish_planning(self, *, rows: int) -> None:
        """The plan is complete, its duplicates are marked, and it is on disk: PLANNING -> OPEN."""
        ...

    async def recover(self) -> int:
        """Say how many intents of a dead process became unknown; opening for writing does it, and only once."""
        ...

    async def skip_sent(self, rules: PlanRules) -> int:
        """Skip the rows still PLANNED in an OPEN run that other runs have sent meanwhile; returns how many.

        An edited input may have been sent by a run of its own since this one stopped: PLANNED -> SKIPPED.
        """
        ...

    async def pending(self, *, after_seq: int, limit: int) -> list[Pending]:
        """Rows in state PLANNED with seq > `after_seq`, in seq order, at most `limit`."""
        ...

    async def record_intent(self, seq: int, *, at: datetime) -> int:
        """PLANNED -> INTENT, on disk when this returns. Returns the attempt's number, from 1.

        Raises:
            LedgerError: the row is not PLANNED (it must not be sent), or the disk does not take it.
        """
        ...

    async def release(self, seq: int, *, code: str, message: str) -> None:
        """INTENT -> PLANNED: surely nothing was accepted. Code and message say why the last attempt failed."""
        ...

    async def record_outcome(self, outcome: Outcome) -> None:
        """INTENT -> SUCCESS, ERROR or UNKNOWN, on disk when this returns. `outcome.message` has no personal data."""
        ...

    async def outcomes(self, *, after_seq: int, limit: int) -> list[Outcome]:
        """The word on every row with seq > `after_seq`, in seq order, at most `limit`, whatever its state."""
        ...

    async def counts(self) -> Counts:
        """How many rows are in each status now."""
        ...

    async def reasons(self, *, limit: int) -> list[Reason]:
        """Why rows are not `success`: by status, code and message, the most frequent first."""
        ...

    async def requeue(self, *, status: RowStatus, rules: PlanRules | None = None) -> int:
        """Put rows of a status (error, or not_sent, which is a no-op) back to PLANNED and the run to OPEN.

        With `rules` the rows that other runs have sent meanwhile are skipped in the same step, as by `skip_sent`.

        Raises:
            LedgerError: the disk does not take it; every row is as it was.
        """
        ...

    async def resolve(self, verdicts: Sequence[Resolution]) -> list[int]:
        """Take a person's word on unknown rows; returns the seqs that were not unknown and so were left alone."""
        ...

    async def close_unchanged(self) -> None:
        """Let go of the files and leave the record as it is: for readers, and after `resolve` or `requeue`."""
        ...

    async def close(self, *, state: RunState, stop_reason: str, at: datetime, results_path: str = "") -> None:
        """Write how the run ended, make it durable and let go of the files. Never fails because of what came before.

        `at` becomes the record's `finished_at`; an empty `results_path` leaves the old one. A reader writes nothing.
        """
        ...

    async def discard(self) -> None:
        """Remove a run that was only planned: nothing of it stays."""
        ...


class Ledger(Protocol):
    """All runs of one installation."""

    def notices(self) -> tuple[Notice, ...]:
        """What people should know about the place.

        Raises:
            LedgerError: no ledger can be kept there.
        """
        ...

    async def delete_staged_rows(self, *, before: datetime) -> int:
        """Remove the staged rows (personal data) of runs that finished before a moment; returns of how many runs."""
        ...

    async def reclaimable_bytes(self, run_id: str) -> int:
        """How many bytes `prune` would free; 0 when nothing is left that it would remove."""
        ...

    async def prune(self, run_id: str) -> None:
        """Remove the staged rows of a finished run and what happened to each of its rows.

        The record, the totals, the reasons and the memory of whom it enrolled stay: the same input is still refused, an
        edited one and `--window` still skip who was enrolled. The run can be shown, and not sent, resolved or reported.

        Raises:
            RunLocked: somebody works on it.
            LedgerError: there is no such run, it is not finished, or some of its rows are unknown.
        """
        ...

    async def delete_run(self, run_id: str) -> None:
        """Remove every trace of a run, also the memory of whom it enrolled: its input would be sent again.

        Raises:
            RunLocked: somebody works on it.
            LedgerError: there is no such run, rows of it are unknown, or it is unfinished and has sent rows.
        """
        ...

    async def salt(self) -> bytes:
        """The installation's secret for keys and content hashes, 32 bytes; made when it is first asked for."""
        ...

    async def runs(self) -> list[RunRecord]:
        """Every run, the newest first."""
        ...

    async def lock_owner(self, run_id: str) -> str:
        """Name who works on a run now, such as "process 4711 on host db1 since …"; "" when nobody does."""
        ...

    def folder(self, run_id: str) -> Path:
        """Where a run keeps its own files, also while it is planned and cannot be opened yet."""
        ...

    async def find(self, identity: str) -> list[RunRecord]:
        """The runs with this identity, the newest first."""
        ...

    def lock(self, name: str, *, what: str) -> AbstractContextManager[None]:
        """Keep others from something that is no run, such as a job, while the block runs; waits for nobody.

        Args:
            name: what it is, for the lock: the same name is the same thing.
            what: as people call it, for who comes second.
        Raises:
            RunLocked: another process, or another part of this one, holds it; names its process and host.
            LedgerError: the place cannot keep a promise.
        """
        ...

    async def create(self, record: RunRecord) -> RunLedger:
        """Begin a run in state PLANNING, locked for this process.

        Raises:
            RunLocked: another process works on a run with this id, or on an unfinished run over the same input path
                and scenario; names its process and host.
            LedgerError: the place cannot keep a promise (network file system, read-only, full).
        """
        ...

    async def open(self, run_id: str, *, read_only: bool) -> RunLedger:
        """Open a run that exists; for writing it is locked for this process.

        Raises:
            RunLocked, LedgerError as in `create`; LedgerError when there is no such run or it is damaged or old.
        """
        ...
