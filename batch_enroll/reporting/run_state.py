"""The state of a run, counted from its events; progress bar, status file, metrics and notifications read it."""

from __future__ import annotations

import threading
from collections import Counter, abc, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from batch_enroll.clock import Clock
from batch_enroll.events import (
    AttemptFailed,
    Event,
    Paused,
    PlanningStarted,
    RateChanged,
    Resumed,
    RowFinished,
    RowsRead,
    RunFinished,
    RunPlanned,
    RunStarted,
    Stopping,
    StrayAnswer,
    WritingResults,
)
from batch_enroll.models import Counts, Notice, RowStatus
from batch_enroll.reporting.run_result import RunResult

RATE_WINDOW_S = 10.0
"""`rate_per_s` is the rate over this many seconds."""

EARLIER = "earlier"
"""The code of rows that were unknown before this process resumed the run."""


class RunStage(StrEnum):
    """What a run is doing, or how it ended."""

    PLANNING = "planning"  #: reads, checks and confirms; this process has sent nothing
    SENDING = "sending"
    PAUSED = "paused"  #: by the platform or by a person
    STOPPING = "stopping"  #: takes no more rows, waits for requests in flight
    REPORTING = "reporting"  #: writes the results
    FINISHED = "finished"  #: ended, no row is left to send
    STOPPED = "stopped"  #: rows are left, the same command resumes; also when this start sent nothing
    FAILED = "failed"  #: ended before it sent anything


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSnapshot:
    """The state of a run at one moment. Times are aware UTC."""

    job: str  #: its name
    scenario: int | None  #: None when the job is wrong and names none
    run_id: str | None = None
    folder: Path | None = None  #: of the run's own files; None until it is known
    input_name: str | None = None
    stage: RunStage = RunStage.PLANNING
    held: bool = False  #: this process holds the run's lock
    began: bool = False  #: this process began to send
    begun_before: bool = False  #: an earlier start sent rows
    rows_read: int = 0
    counts: Counts = field(default_factory=Counts)
    to_send: int = 0  #: rows to send when this process began
    done: int = 0  #: of those
    done_by_status: abc.Mapping[RowStatus, int] = field(default_factory=dict)  #: `done`, by outcome
    sending_s: float = 0.0  #: since sending began, without the pauses that a person made
    paused: bool = False  #: by a person
    requests: int = 0  #: of this process, retries included
    throttled: int = 0  #: of those, answered with HTTP 429 or the like
    unknown_by_code: abc.Mapping[str, int] = field(default_factory=dict)
    rate_per_s: float | None = None  #: requests per second over `RATE_WINDOW_S`; None when nothing is sent
    eta_s: float | None = None
    paused_until: datetime | None = None
    started_at: datetime
    progress_at: datetime | None = None  #: when the last row got its outcome
    updated_at: datetime
    stop_reason: str = ""
    notices: tuple[Notice, ...] = ()  #: what the people who run the job should change
    ending: RunResult | None = None

    @property
    def throttled_ratio(self) -> float:
        """Share of the requests that were throttled, 0 to 1."""
        return self.throttled / self.requests if self.requests else 0.0

    @property
    def rows_per_s(self) -> float:
        """Rows sent per second since sending began; 0 when no time has passed."""
        sent = self.done - self.done_by_status.get(RowStatus.NOT_SENT, 0)
        return sent / self.sending_s if self.sending_s else 0.0


class RunStateTracker:
    """Count the events of a run. Every method may be called from any thread."""

    def __init__(self, *, job: str, scenario: int | None, clock: Clock) -> None:
        self._lock = threading.Lock()
        self._job, self._scenario, self._clock = job, scenario, clock
        self._started_at = clock.now()
        self._run_id: str | None = None
        self._folder: Path | None = None
        self._input_name: str | None = None
        self._stage = RunStage.PLANNING
        self._held = self._began = self._begun_before = self._paused = False
        self._rows_read = self._to_send = self._done = self._requests = self._throttled = 0
        self._by_status: dict[RowStatus, int] = dict.fromkeys(RowStatus, 0)
        self._done_by_status: dict[RowStatus, int] = dict.fromkeys(RowStatus, 0)
        self._unknown: Counter[str] = Counter()
        self._sending_since: float | None = None  #: moved forward by each pause
        self._paused_at = 0.0
        self._paused_until: datetime | None = None
        self._progress_at: datetime | None = None
        self._stop_reason = ""
        self._notices: tuple[Notice, ...] = ()
        self._ending: RunResult | None = None
        self._samples: deque[tuple[float, int]] = deque()

    def __call__(self, event: Event) -> None:
        with self._lock:
            match event:
                case RowFinished(at=at, outcome=outcome):
                    self._requests += 1
                    self._done += 1
                    self._done_by_status[outcome.status] += 1
                    self._progress_at = at
                    if outcome.status is not RowStatus.NOT_SENT:
                        self._by_status[RowStatus.NOT_SENT] -= 1
                        self._by_status[outcome.status] += 1
                    if outcome.status is RowStatus.UNKNOWN:
                        self._unknown[outcome.code] += 1
                case StrayAnswer(before=before, outcome=outcome):
                    self._by_status[before] -= 1
                    self._by_status[outcome.status] += 1
                    if before is not RowStatus.NOT_SENT:  # else it waits for its next attempt, and is not done
                        self._done_by_status[before] -= 1
                        self._done_by_status[outcome.status] += 1
                    self._unknown[outcome.code] += 1
                case AttemptFailed(throttled=throttled):
                    self._requests += 1
                    self._throttled += throttled
                case RateChanged(at=at, pause_s=pause_s):
                    self._paused_until = at + timedelta(seconds=pause_s) if pause_s > 0 else None
                case Paused():
                    self._paused, self._paused_at = True, self._clock.monotonic()
                case Resumed():
                    if self._paused and self._sending_since is not None:
                        self._sending_since += self._clock.monotonic() - self._paused_at
                    self._paused = False
                case RowsRead(rows=rows):
                    if self._ending is not None:
                        self._reset()
                    self._held, self._rows_read = True, rows
                case PlanningStarted(run_id=run_id, input_name=input_name):
                    self._reset()
                    self._held, self._run_id, self._input_name = True, run_id, input_name
                case RunPlanned(run_id=run_id, resumed=resumed, folder=folder, input_name=input_name, counts=counts):
                    self._reset()
                    self._notices = event.notices
                    self._begun_before = resumed and counts.sent > 0
                    self._held, self._run_id, self._folder, self._input_name = True, run_id, folder, input_name
                    self._set_counts(counts)
                case RunStarted(run_id=run_id, to_send=to_send, counts=counts):
                    self._held, self._began, self._run_id, self._to_send = True, True, run_id, to_send
                    self._set_counts(counts)
                    self._stage = RunStage.SENDING
                    self._sending_since = self._paused_at = self._clock.monotonic()
                    self._samples.clear()
                case Stopping(reason=reason):
                    self._stage, self._stop_reason = RunStage.STOPPING, reason
                case WritingResults():
                    self._stage = RunStage.REPORTING
                case RunFinished(counts=counts):
                    self._set_counts(counts, earlier=False)

    def end(self, ending: RunResult) -> None:
        """Record the result; its counts replace those that were counted."""
        with self._lock:
            if self._ending is not None and not ending.parts:
                self._reset()  # an input for which no run was made
            self._ending = ending
            if self._folder is None:  # the plan failed, so the run was discarded
                self._run_id = None
            if ending.counts is not None:
                self._set_counts(ending.counts, earlier=False)
            if ending.requests is not None:
                self._requests = max(self._requests, ending.requests)
            self._notices = ending.notices or self._notices
            self._stop_reason = ending.reason
            begun = self._began or self._begun_before
            self._stage = RunStage.FINISHED if ending.finished else RunStage.STOPPED if begun else RunStage.FAILED

    def _reset(self) -> None:
        """Start over for the next input of the same command."""
        self._ending, self._stage = None, RunStage.PLANNING
        self._began = self._begun_before = self._paused = False
        self._run_id = self._folder = self._input_name = self._progress_at = None
        self._to_send = self._done = self._requests = self._throttled = 0
        self._by_status = dict.fromkeys(RowStatus, 0)
        self._done_by_status = dict.fromkeys(RowStatus, 0)
        self._sending_since = None
        self._unknown = Counter()
        self._stop_reason = ""
        self._notices = ()

    def snapshot(self) -> RunSnapshot:
        """Return the state at this moment."""
        with self._lock:
            now, moment = self._clock.now(), self._clock.monotonic()
            rate_per_s = self._rate(moment)
            paused_until = self._paused_until if self._paused_until and self._paused_until > now else None
            waits = self._stage is RunStage.SENDING and (self._paused or paused_until)
            stage = RunStage.PAUSED if waits else self._stage
            left = self._to_send - self._done
            return RunSnapshot(
                job=self._job,
                scenario=self._scenario,
                run_id=self._run_id,
                folder=self._folder,
                input_name=self._input_name,
                stage=stage,
                held=self._held,
                began=self._began,
                begun_before=self._begun_before,
                rows_read=self._rows_read,
                counts=Counts.of(self._by_status.copy()),
                to_send=self._to_send,
                done=self._done,
                done_by_status=self._done_by_status.copy(),
                sending_s=self._sending_s(moment),
                paused=self._paused,
                requests=self._requests,
                throttled=self._throttled,
                unknown_by_code=self._unknown.copy(),
                rate_per_s=rate_per_s,
                eta_s=left / rate_per_s if rate_per_s and self._ending is None else None,
                paused_until=paused_until,
                started_at=self._started_at,
                progress_at=self._progress_at,
                updated_at=now,
                stop_reason=self._stop_reason,
                notices=self._notices,
                ending=self._ending,
            )

    def _set_counts(self, counts: Counts, *, earlier: bool = True) -> None:
        self._by_status = {status: getattr(counts, status.value) for status in RowStatus}
        if earlier and counts.unknown:
            self._unknown[EARLIER] = counts.unknown

    def _sending_s(self, moment: float) -> float:
        if self._sending_since is None:
            return 0.0
        return (self._paused_at if self._paused else moment) - self._sending_since

    def _rate(self, moment: float) -> float | None:
        if not self._began or self._ending is not None or self._stage is RunStage.REPORTING:
            return None
        self._samples.append((moment, self._requests))
        while len(self._samples) > 2 and self._samples[1][0] <= moment - RATE_WINDOW_S:
            self._samples.popleft()
        (since, before), (_, now) = self._samples[0], self._samples[-1]
        return (now - before) / (moment - since) if moment > since else None
