"""The interface of every ledger: all runs (`Ledger`), one run (`RunLedger`), one of its workers, its staged rows.

A ledger holds no personal data: a row is its number, a keyed hash of its identity and a hash of its content. Only the
staged rows hold the input's cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from batch_enroll.errors import LedgerError
from batch_enroll.ledger.records import (
    Block,
    DoubtedRow,
    Duplicate,
    FoundRow,
    Pending,
    PlannedRow,
    PlanRules,
    Reason,
    RebuiltIndex,
    Resolution,
    RunRecord,
    RunState,
    StagedRow,
    WrittenOff,
)
from batch_enroll.messages import Message
from batch_enroll.models import Counts, Notice, Outcome, Row, RowStatus


class StageWriter(Protocol):
    """Writes the staged rows of one plan; either all of them are kept or none. The caller holds the run's lock.

    Every method blocks.

    Raises:
        LedgerError: the rows cannot be written.
    """

    def write(self, rows: Sequence[tuple[Row, str]]) -> None:
        """Add a block of (row, body) in plan order."""
        ...

    def finish(self) -> None:
        """Make the rows durable."""
        ...

    def abandon(self) -> None:
        """Remove the rows written so far; it does not fail."""
        ...


class Stage(Protocol):
    """The staged rows of one run: personal data that only its owner can read. Every method blocks.

    Raises:
        LedgerError: the rows were removed or are damaged, or cannot be read or written.
    """

    def writer(self, columns: Sequence[str]) -> StageWriter:
        """Begin to stage the rows of a new plan; `columns` is the input's own header."""
        ...

    def exists(self) -> bool:
        """Return whether the rows are still stored."""
        ...

    def columns(self) -> tuple[str, ...]:
        """Return the input's own header, column by column."""
        ...

    def check(self) -> None:
        """Check, without parsing them, that all rows of the plan are there."""
        ...

    def rows(self, lo: int, hi: int) -> list[StagedRow]:
        """Read the rows from place `lo` to place `hi` of the plan, both included; fewer where the plan ends."""
        ...

    def blocks(self) -> Iterator[list[StagedRow]]:
        """Read all rows in plan order, in blocks of at most 1,000."""
        ...

    def delete(self) -> bool:
        """Remove the rows; returns False if there were none."""
        ...

    def changed(self, row: int) -> LedgerError:
        """Build the error that the request of a row, by the number that people see, is not the one that was planned."""
        ...


class WorkerLedger(Protocol):
    """A run's rows as one of its workers sends them.

    A change is on disk when its call returns. A cancelled call still completes its change, and only then raises the
    cancellation; if the change could not be made it raises the error instead, so a cancelled `record_intent` has
    recorded the intent.
    """

    async def claim_block(self) -> Block | None:
        """Claim the next block with PLANNED rows that no worker has; None when there is none now."""
        ...

    async def record_intent(self, seq: int, *, at: datetime) -> int:
        """Record that the next request for a row is about to be sent: PLANNED -> INTENT.

        Returns:
            The attempt's number, from 1.
        Raises:
            RowTaken: the row is not PLANNED any more, so this worker must not send it; nothing was changed.
            LedgerError: the plan has no such row or the row is invalid, or the change cannot be written.
        """
        ...

    async def release(self, seq: int, *, code: str, message: Message) -> None:
        """Record that the platform surely accepted nothing: INTENT -> PLANNED.

        A block that was finished meanwhile can then be claimed again.

        Args:
            code, message: why the attempt failed, without personal data.
        Raises:
            LedgerError: the row is not INTENT, or the change cannot be written.
        """
        ...

    async def record_outcome(self, outcome: Outcome) -> None:
        """Record how an attempt ended: INTENT -> SUCCESS, ERROR or UNKNOWN.

        `outcome.message` must have no personal data.

        Raises:
            LedgerError: the row is not INTENT, or the change cannot be written.
        """
        ...

    async def doubt_answer(self, seq: int) -> DoubtedRow:
        """Record that the answer to a row may have been another's: SUCCESS, ERROR or PLANNED -> UNKNOWN.

        A row that is INTENT or UNKNOWN is left as it is: the caller asks again when it has its outcome.
        """
        ...

    async def finish_block(self, lo: int, *, given_up: int) -> None:
        """Return a claimed block.

        Args:
            given_up: how many of its rows stay PLANNED because this worker will not send them again. If more rows are
                PLANNED, the block can be claimed again.
        """
        ...

    async def end(self) -> None:
        """Return every block and leave the run."""
        ...


class RunLedger(Protocol):
    """The rows of one run.

    A change is on disk when its call returns. A cancelled call still completes its change before it raises.
    Every call may raise LedgerError: the run is closed, opened for reading only, or not in the state that the call
    needs, or the ledger cannot be read or written.
    """

    @property
    def record(self) -> RunRecord:
        """The run's record as it is now."""
        ...

    @property
    def folder(self) -> Path:
        """The run's folder, for the files that belong to it; only its owner can read it."""
        ...

    @property
    def stage(self) -> Stage:
        """The run's rows with their requests, stored when the run is planned and read when it is sent."""
        ...

    async def join(self) -> WorkerLedger:
        """Begin to send the rows of an OPEN run as one of its workers.

        Raises:
            RunLocked: this kind of ledger allows one worker at a time, and the run has one.
        """
        ...

    async def mark(self, name: str) -> None:
        """Store that something was done for the run, such as `canary.passed`."""
        ...

    async def is_marked(self, name: str) -> bool:
        """Return whether `mark` was called for the run, by this process or an earlier one."""
        ...

    async def plan(self, rows: Sequence[PlannedRow]) -> None:
        """Add a block of rows in seq order to a run in state PLANNING."""
        ...

    async def add_aliases(self, aliases: Sequence[tuple[int, bytes]]) -> None:
        """Add other keys (seq, key) under which an earlier release may have recorded the same profile."""
        ...

    async def add_enrolled_elsewhere(self, rows: Sequence[tuple[int, str]]) -> None:
        """Store, before the duplicates are marked, which rows (seq, run) were or may have been sent by an unknown run.

        The input says it, not this ledger. `mark_duplicates` skips every row of these profiles.
        """
        ...

    async def mark_duplicates(self, rules: PlanRules) -> int:
        """Find the duplicates once all rows are planned, and return how many there are.

        A duplicate inside the input becomes SKIPPED under `skip` and stays PLANNED under `send` and `stop` (the caller
        then discards the run). One that an earlier run enrolled or left unknown becomes SKIPPED. All at once and not
        block by block: a sort costs a few sequential passes, a lookup for each row costs a random page each.
        """
        ...

    async def duplicates(self, *, after_seq: int, limit: int) -> list[Duplicate]:
        """Return the duplicates with seq > `after_seq`, in seq order, at most `limit`."""
        ...

    async def finish_planning(self, *, rows: int) -> None:
        """Store that the plan is complete, with its duplicates marked: PLANNING -> OPEN.

        Raises:
            LedgerError: the plan does not have `rows` rows.
        """
        ...

    async def recover(self) -> int:
        """Return how many rows became UNKNOWN when this run was opened, because the process that sent them had died."""
        ...

    async def skip_sent(self, rules: PlanRules) -> int:
        """Skip the PLANNED rows of an OPEN run that other runs have sent since it was planned; returns how many.

        An edited input may have been sent by a run of its own since this one stopped.
        """
        ...

    async def pending(self, *, after_seq: int, limit: int) -> list[Pending]:
        """Return the PLANNED rows with seq > `after_seq`, in seq order, at most `limit`."""
        ...

    async def outcomes(self, *, after_seq: int, limit: int) -> list[Outcome]:
        """Return the outcome so far of every row with seq > `after_seq`, in seq order, at most `limit`."""
        ...

    async def counts(self) -> Counts:
        """Return how many rows have each status now."""
        ...

    async def reasons(self, *, limit: int) -> list[Reason]:
        """Return why rows are not `success`, grouped by status, code and message, the most frequent first."""
        ...

    async def requeue(self, *, status: RowStatus, rules: PlanRules | None = None) -> int:
        """Set the rows of a status to PLANNED and the run to OPEN; returns how many rows have that status.

        The status is `error`, or `not_sent`, whose rows are PLANNED already. With `rules` the rows that other runs have
        sent meanwhile are skipped in the same transaction, as by `skip_sent`. An error leaves every row unchanged. Rows
        of erased profiles stay as they are and do not count.
        """
        ...

    async def retryable(self) -> int:
        """Return how many rows are `error` and can be set to PLANNED again: not those of erased profiles."""
        ...

    async def resolve(self, verdicts: Sequence[Resolution]) -> list[int]:
        """Store a person's decisions on unknown rows; returns the seqs that were not unknown and stay unchanged."""
        ...

    async def close_unchanged(self) -> None:
        """Close the files and leave the record unchanged: for readers, and after `resolve` or `requeue`."""
        ...

    async def close(self, *, state: RunState, stop_reason: str, at: datetime, results_path: str = "") -> None:
        """Store how the run ended and close the files; an earlier error of the ledger does not make it fail.

        `at` becomes the record's `finished_at`; an empty `results_path` leaves the stored one. A reader writes nothing.
        """
        ...

    async def discard(self) -> None:
        """Remove a run that has sent nothing, with all its files."""
        ...


PlanAgain = Callable[[Stage], Iterable[Sequence[PlannedRow]]]
"""Makes the plan of a run once more from its staged rows, in blocks; raises LedgerError when they are gone."""


class Ledger(Protocol):
    """All runs of one installation.

    Every call may raise LedgerError: the run does not exist, or the ledger cannot be read or written.
    """

    def notices(self) -> tuple[Notice, ...]:
        """Return what people should know about the ledger's location.

        Raises:
            LedgerError: no ledger can be kept there.
        """
        ...

    @property
    def place(self) -> tuple[Path, Path]:
        """The path of the index, and the folder of the marks that detect an older copy."""
        ...

    async def delete_staged_rows(self, *, before: datetime) -> int:
        """Remove the staged rows (personal data) of runs that finished before a moment; returns of how many runs."""
        ...

    async def reclaimable_bytes(self, run_id: str) -> int:
        """Return how many bytes `prune` would free; 0 when it would remove nothing."""
        ...

    async def prune(self, run_id: str) -> None:
        """Remove the staged rows of a finished run and the outcomes of its single rows.

        The record, the totals, the reasons and the hashes of the enrolled profiles stay: the same input is still
        refused, an edited one and `--window` still skip who was enrolled. The run can be shown, but not sent, resolved
        or reported.

        Raises:
            RunLocked: a process is working on it.
            LedgerError: it is not finished, or some of its rows are unknown.
        """
        ...

    async def delete_run(self, run_id: str) -> None:
        """Remove a run and the hashes of the profiles that it enrolled, so that its input would be sent again.

        Raises:
            RunLocked: a process is working on it.
            LedgerError: rows of it are unknown, or it is unfinished and has sent rows.
        """
        ...

    async def find_rows(self, run_id: str, keys: Sequence[bytes]) -> list[FoundRow]:
        """Return the rows of a planned run whose profile has one of these keys, in plan order.

        Of a pruned run only what it sent is known: the row numbers and the reasons are gone.
        """
        ...

    async def forget_rows(self, run_id: str, keys: Sequence[bytes], *, seqs: Sequence[int] = ()) -> None:
        """Erase the profile with these keys from the rows of a planned run; can be repeated.

        Its rows keep number, status and code; a PLANNED one becomes SKIPPED with the code `forgotten`. Their keys and
        texts are removed, and so are the cells and requests of their staged rows. What the run sent is still in the
        memory of all runs, see `forget_sent`.

        Args:
            seqs: further rows of the same person, such as invalid ones, which have no key.
        Raises:
            RunLocked: a process is working on the run.
            LedgerError: one of the rows is unknown; nothing was changed.
        """
        ...

    async def forget_sent(self, keys: Sequence[bytes]) -> None:
        """Erase keys from the memory of what all runs sent: their profiles would be sent again."""
        ...

    async def salt(self) -> bytes:
        """Return the installation's secret for keys and content hashes, 32 bytes; the first call creates it."""
        ...

    async def runs(self) -> list[RunRecord]:
        """Return every run, the newest first."""
        ...

    async def lock_owner(self, run_id: str) -> str:
        """Name the process that has locked a run, such as "process 4711 on host db1 since …"; "" when none has."""
        ...

    def folder(self, run_id: str) -> Path:
        """Return the folder of a run; it exists before the run can be opened, while it is being planned."""
        ...

    async def find(self, identities: Sequence[str]) -> list[RunRecord]:
        """Return the runs with one of these identities, the newest first."""
        ...

    async def recorded_urls(self, scenario: int) -> list[str]:
        """Return the addresses, as they were written, of runs of a scenario by releases that kept them so."""
        ...

    async def collect_sent(self, run: RunRecord) -> None:
        """Take into the memory what other runs sent that died, or are active now.

        Raises:
            LedgerError: one of them to the same scenario cannot be trusted.
        """
        ...

    async def rebuild_index(self) -> RebuiltIndex:
        """Make the missing list of runs, with the memory of whom they sent, anew from the runs' own files.

        Raises:
            JobError: it is not missing, or there is no run to make it of.
            LedgerError: the runs' keys cannot be used any more.
        """
        ...

    async def write_off(self, run_id: str, planned: PlanAgain, *, at: datetime) -> WrittenOff:
        """Finish a run whose files are damaged, older than they were, or gone: what was not settled becomes unknown.

        Args:
            planned: makes the plan once more, if nothing else is left of it.
            at: now, aware UTC.
        Raises:
            RunLocked: a process is working on it.
            JobError: the run can be trusted.
            LedgerError: it is being planned, or something else than damage is in the way.
        """
        ...

    def lock(self, name: str, *, what: Message, doing: Message | None = None) -> AbstractContextManager[None]:
        """Lock something that is not a run, such as a job, while the block runs; it does not wait.

        Args:
            name: identifies the lock.
            what: describes it to people, in the error of the second one who wants it.
            doing: what holds it, such as `run a906cc51 of leads.csv`, for the same error.
        Raises:
            RunLocked: another process, or another part of this one, holds it; names its process and host.
        """
        ...

    async def create(self, record: RunRecord) -> RunLedger:
        """Create a run in state PLANNING, locked for this process.

        Raises:
            RunLocked: another process works on a run with this id, or on an unfinished run over the same input path
                and scenario; names its process and host.
            LedgerError: the location is not suitable (network file system, read-only, full).
        """
        ...

    async def open(self, run_id: str, *, read_only: bool) -> RunLedger:
        """Open a run that exists; for writing it is locked for this process.

        Raises:
            RunLocked: as in `create`.
            LedgerError: as in `create`; or the run is damaged, pruned, or older than this version can read.
        """
        ...
