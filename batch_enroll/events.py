"""Events of a run, as frozen records that hold no personal data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from batch_enroll.messages import Message
from batch_enroll.models import Counts, Notice, Outcome, RowStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened, at an aware UTC time."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningStarted(Event):
    """A new run has its id and lock; its rows are read next. The run is discarded if the plan fails."""

    run_id: str
    folder: Path  #: of the run's own files
    input_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsRead(Event):
    """`rows` data rows were read so far."""

    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlanned(Event):
    """The plan is complete and its run locked; preflight and confirmation come next."""

    run_id: str
    resumed: bool  #: an unfinished run is resumed
    counts: Counts  #: `not_sent` are the rows that would be sent
    folder: Path  #: of the run's own files, readable by their owner only
    input_name: str
    input_sha256: str
    notices: tuple[Notice, ...] = ()  #: what unattended runs report too, not only their plan


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingForScenario(Event):
    """Another run sends to the scenario; this one begins when it has ended."""

    owner: Message  #: which run, with its process; one sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledMeanwhile(Event):
    """`rows` planned rows are skipped: other runs enrolled, or may have enrolled, these profiles since the plan."""

    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """Sending begins: `to_send` of `counts.rows` rows will be sent; the others have their outcome."""

    run_id: str
    to_send: int
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed(Event):
    """An attempt ended without the row being accepted; the next one comes after `wait_s` seconds."""

    row_number: int
    attempt: int
    code: str
    message: Message
    wait_s: float
    throttled: bool = False  #: the platform asked for fewer requests
    key: bytes = b""  #: the ledger's keyed hash of the row's identity


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFinished(Event):
    """A row has its outcome, which is in the ledger."""

    row_number: int
    outcome: Outcome
    key: bytes = b""  #: the ledger's keyed hash of the row's identity


@dataclass(frozen=True, slots=True, kw_only=True)
class StrayAnswer(Event):
    """The server sent an answer that nobody asked for: a finished row is unknown now, and no connection is reused."""

    row_number: int
    before: RowStatus  #: what the row was until now
    outcome: Outcome
    key: bytes = b""  #: the ledger's keyed hash of the row's identity


@dataclass(frozen=True, slots=True, kw_only=True)
class RateChanged(Event):
    """The limiter lowered the rate after a throttled request, or raised it again."""

    rate_per_s: float | None
    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSet(Event):
    """A person set the rate of a running run; it holds from the next request."""

    rate_per_s: float | None  #: None is unlimited
    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused(Event):
    """A person paused the run: no more requests leave, `in_flight` requests are awaited."""

    in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Event):
    """A person ended the pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping(Event):
    """No more rows are taken; requests in flight are awaited."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDiagnosed(Event):
    """The run stopped by itself, and the platform was queried for the cause."""

    finding: str  #: one of `errors.Finding`
    message: str  #: one sentence or two


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingResults(Event):
    """Sending has ended; `rows` of `of` rows of the results were written so far."""

    run_id: str
    rows: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """The last event: every row has its status."""

    run_id: str
    counts: Counts


Listener = Callable[[Event], None]
"""Called for each event in order, in the run's own task: it must return quickly and never raise."""
