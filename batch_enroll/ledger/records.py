"""The records that a ledger stores and returns: runs, planned rows, duplicates, reasons, decisions, staged rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import ClassVar, NamedTuple

from batch_enroll.models import Duplicates, Outcome, Row, RowStatus

NO_PATH = "-"
"""The input path of a run whose input is not a file."""

BLOCK_ROWS = 500
"""How many places of the plan a block has at most."""


class RowState(IntEnum):
    """The state of a row in the ledger; the numbers are those on disk.

    Each transition is one conditional update whose row count must be 1:

        PLANNED -> INTENT                 `record_intent`, on disk before the first byte of the request is sent
        INTENT  -> PLANNED                `release`, only when the platform surely accepted nothing
        INTENT  -> SUCCESS|ERROR|UNKNOWN  `record_outcome`, on disk before it is reported
        INTENT  -> UNKNOWN                when the run is opened after the process that recorded the intent has died
        SUCCESS|ERROR|PLANNED -> UNKNOWN  `doubt_answer`, when the answer to the row may have been another's: the run
                                          itself takes back what it had recorded
        UNKNOWN -> SUCCESS|ERROR|PLANNED  `resolve`, a person's decision, stored with who, when and why
        ERROR   -> PLANNED                `requeue`, the command `retry --errors`
        PLANNED -> SKIPPED                `skip_sent`, when another run has sent the profile since the plan was made,
                                          or `forget_rows`, when the profile is erased

    SKIPPED and INVALID are final. A row that is still PLANNED when the run ends is reported as `not_sent`.
    """

    PLANNED = 0
    INTENT = 2
    SUCCESS = 3
    ERROR = 4
    UNKNOWN = 5
    SKIPPED = 6
    INVALID = 7


STATUS_OF: dict[RowState, RowStatus] = {
    RowState.PLANNED: RowStatus.NOT_SENT,
    RowState.INTENT: RowStatus.UNKNOWN,  # a request may have been sent
    RowState.SUCCESS: RowStatus.SUCCESS,
    RowState.ERROR: RowStatus.ERROR,
    RowState.UNKNOWN: RowStatus.UNKNOWN,
    RowState.SKIPPED: RowStatus.SKIPPED,
    RowState.INVALID: RowStatus.INVALID,
}
"""The status that is reported for a row in each state."""


class RunState(StrEnum):
    """The state of a run."""

    PLANNING = "planning"  #: its rows are being read and nothing was sent; a crash leaves nothing that is needed
    OPEN = "open"  #: planned; being sent, or stopped before the end
    FINISHED = "finished"  #: no row is left to send


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run, as `runs` and `show` list it. Times are aware UTC."""

    run_id: str
    identity: str  #: hex sha256 of input + url + scenario + matching; the same command gives the same
    input_name: str  #: file name or "-", for people
    input_path: str  #: absolute path or `NO_PATH`; an edited file is recognised by it
    input_sha256: str  #: hex, of the input's bytes
    url: str
    scenario: int
    matching: str  #: in the form that `--match` takes
    settings_json: str  #: the job without its secrets, as a JSON object
    tool_version: str
    created_at: datetime
    state: RunState = RunState.PLANNING
    rows: int = 0  #: of the whole plan, the invalid and skipped ones included
    finished_at: datetime | None = None  #: when it was last closed
    stop_reason: str = ""  #: why it stopped before the end; "" when it did not
    results_path: str = ""


def finished_before(records: Iterable[RunRecord], moment: datetime) -> list[RunRecord]:
    """Return the runs that were finished before a moment (aware UTC), in their order."""
    return [
        record
        for record in records
        if record.state is RunState.FINISHED and record.finished_at is not None and record.finished_at < moment
    ]


class PlannedRow(NamedTuple):
    """A row to add to a plan. A tuple, because a plan makes millions and a dataclass takes four times as long."""

    seq: int  #: place in the plan, from 1, without gaps
    number: int  #: the row number that people see
    key: bytes | None  #: 16 bytes, keyed hash of url + scenario + matching + normalised identity; None when invalid
    content_hash: bytes  #: 8 bytes, keyed hash of the whole request; empty when invalid
    code: str = ""  #: why the row is invalid; "" when it is valid


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRules:
    """What makes a row a duplicate."""

    duplicates: Duplicates
    skip_enrolled: bool = True  #: rows whose profile another run enrolled are skipped; False = only noted
    enrolled_since: datetime | None = None  #: profiles enrolled at or before this moment do not count; None = all count
    hold_unknown: bool = True  #: so are rows that another run left unknown and nobody resolved; False = only noted
    refused_by: tuple[str, ...] = ()  #: identities of runs: what a finished one of them had refused is skipped
    since_planned: datetime | None = None  #: only runs begun after this one count, or what they sent after this moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """A planned row whose identity occurs earlier in the input, or in another run."""

    seq: int
    number: int
    first_number: int | None = None  #: the row number of the earlier row in this input; None when it is another run's
    earlier_run: str | None = None
    earlier_at: datetime | None = None  #: aware UTC
    held: bool = False  #: the earlier run left it unknown
    refused: bool = False  #: the platform refused it in the earlier run, which had the same input
    elsewhere: bool = False  #: only the input says so, see `RunLedger.add_enrolled_elsewhere`
    changed: bool = False  #: the content differs from what was sent then
    code: str = ""  #: why the row is skipped; "" = it is sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A row that is still to be sent."""

    seq: int
    number: int
    attempts: int  #: requests begun for it so far, in this run
    key: bytes = b""  #: as in `PlannedRow`
    content_hash: bytes = b""  #: as in `PlannedRow`


class Block(NamedTuple):
    """Consecutive places of the plan that one worker sends."""

    lo: int  #: the first place; it identifies the block
    hi: int  #: the last place
    rows: Sequence[Pending]  #: those in state PLANNED when the block was claimed, in seq order


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
    """A person's decision on an unknown row."""

    seq: int
    verdict: str  #: `enrolled`, `not_enrolled` or `resend`
    by: str
    at: datetime  #: aware UTC
    why: str


class StagedRow(NamedTuple):
    """A row of the plan with the request that it becomes."""

    seq: int  #: place in the plan, from 1
    row: Row  #: with the problems that the loader and the mapping found
    body: str  #: the request's JSON object without the token; "" when the row is invalid or its profile was erased


class FoundRow(NamedTuple):
    """A row whose profile somebody looks for."""

    number: int | None  #: the row number that people see; None when only the memory of what was sent knows the profile
    outcome: Outcome  #: so far; its seq is 0 when the number is None


class DoubtedRow(NamedTuple):
    """A row whose answer is in doubt."""

    number: int  #: the row number that people see
    key: bytes  #: as in `PlannedRow`
    before: RowState  #: its state until now; INTENT and UNKNOWN stay as they are
    outcome: Outcome  #: since now


class RebuiltIndex(NamedTuple):
    """What came back of a lost index."""

    runs: int
    lost: int  #: pruned ones, and those of releases that kept no copy: whom they enrolled only the index knew
    damaged: tuple[str, ...]  #: runs that cannot be trusted; they block their scenario


class WrittenOff(NamedTuple):
    """What is known of a run that was written off."""

    rows: int
    unknown: int | None  #: rows that are unknown now; None when nothing is left of the run
