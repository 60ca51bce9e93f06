"""What a run tells while it goes: a stream of frozen events.

In: nothing. Out: events that feed the progress bar, the log, the status file and the page alike; a new face is a new
listener. Never: personal data (rows are named by number), a time of their own (the run's clock gives it).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from batch_enroll.models import Counts, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened, at an aware UTC time."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningStarted(Event):
    """A new run has its id and is this process's alone; its rows are read next. It is gone again if the plan fails."""

    run_id: str
    folder: Path  #: where the run keeps its own files
    input_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsRead(Event):
    """The plan is being made; `rows` data rows were read so far."""

    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlanned(Event):
    """The plan stands and is this process's alone; the platform is asked next, and perhaps a person."""

    run_id: str
    resumed: bool  #: an unfinished run goes on
    counts: Counts  #: `not_sent` are the rows that would be sent
    folder: Path  #: where the run keeps its own files, readable by their owner alone
    input_name: str
    input_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """Sending begins: `to_send` rows of `counts.rows` will be sent; the rest has its word already."""

    run_id: str
    to_send: int
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed(Event):
    """A try ended and the row surely was not accepted; it is tried again after `wait_s` seconds."""

    row_number: int
    attempt: int
    code: str
    message: str
    wait_s: float
    throttled: bool = False  #: the platform said "too fast"
    key: bytes = b""  #: the ledger's keyed hash of the row's identity


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFinished(Event):
    """A row has its outcome, and the outcome is in the ledger."""

    row_number: int
    outcome: Outcome
    key: bytes = b""  #: the ledger's keyed hash of the row's identity


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceChanged(Event):
    """The platform asked for less, or lets us climb again."""

    rate_per_s: float | None
    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceSet(Event):
    """Somebody set the pace while the run goes; it holds from the next request on."""

    rate_per_s: float | None  #: None is unlimited
    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused(Event):
    """Somebody paused the run: no more requests leave, `in_flight` answers are awaited."""

    in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Event):
    """Somebody ended the pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping(Event):
    """No more rows are taken; answers in flight are awaited."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDiagnosed(Event):
    """The run stopped by itself, and the platform was asked what is wrong."""

    finding: str  #: one of `errors.Finding`
    message: str  #: one sentence or two


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingResults(Event):
    """Nothing is sent any more, and the results are being written: `rows` of `of` rows so far."""

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
