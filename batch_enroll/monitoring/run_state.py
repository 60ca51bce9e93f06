"""How a run stands: counted from its events, looked at from outside now and then.

In: events. Out: a `RunSnapshot` whenever somebody asks. Never: I/O, personal data, more work for
each row than counting it.
"""

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
    PaceChanged,
    Paused,
    PlanningStarted,
    Resumed,
    RowFinished,
    RowsRead,
    RunFinished,
    RunPlanned,
    RunStarted,
    Stopping,
    WritingResults,
)
from batch_enroll.models import Counts, RowStatus
from batch_enroll.monitoring.run_result import RunResult

RATE_OVER_S = 10.0
"""The rate is that of the last so many seconds."""

EARLIER = "earlier"
"""The code of rows that were unknown before this process took up the run."""


class RunStage(StrEnum):
    """What a run is at."""

    PLANNING = "planning"  #: reading, checking, asking; nothing was sent by this process
    SENDING = "sending"
    PAUSED = "paused"  #: the platform asked for a pause, or a person did
    STOPPING = "stopping"  #: takes no more rows, waits for answers in flight
    REPORTING = "reporting"  #: sends no more, writes the results
    FINISHED = "finished"  #: ended, no row is left to send
    STOPPED = "stopped"  #: ended before its end; the same command carries on, also when this start sent nothing
    FAILED = "failed"  #: ended before it sent anything


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSnapshot:
    """A run as it stands. Times are aware UTC."""

    job: str  #: the job's name
    scenario: int | None  #: None when the job is so wrong that it names none
    run_id: str | None = None
    folder: Path | None = None  #: the run's own, once it is known
    input_name: str | None = None
    stage: RunStage = RunStage.PLANNING
    held: bool = False  #: the run is this process's: it reads the rows of it, or sends them
    began: bool = False  #: sending began
    begun_before: bool = False  #: rows of it were sent by an earlier start
    rows_read: int = 0
    counts: Counts = field(default_factory=Counts)
    to_send: int = 0  #: rows to send when this process began
    done: int = 0  #: of those
    requests: int = 0  #: of this process, retries included
    throttled: int = 0  #: of those, answered with "too fast"
    unknown_by_code: abc.Mapping[str, int] = field(default_factory=dict)
    rate_per_s: float | None = None  #: requests a second lately; None when there is nothing to say
    eta_s: float | None = None
    paused_until: datetime | None = None
    started_at: datetime
    progress_at: datetime | None = None  #: when the last row got its outcome
    updated_at: datetime
    stop_reason: str = ""
    ending: RunResult | None = None

    @property
    def throttled_ratio(self) -> float:
        """Share of the requests that were answered with "too fast", 0 to 1."""
        return self.throttled / self.requests if self.requests else 0.0


class RunStateTracker:
    """A listener that counts.

    Every method may be called from any thread; each sees the events whole, never half of one.
    """

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
        self._unknown: Counter[str] = Counter()
        self._paused_until: datetime | None = None
        self._progress_at: datetime | None = None
        self._stop_reason = ""
        self._ending: RunResult | None = None
        self._samples: deque[tuple[float, int]] = deque()

    def __call__(self, event: Event) -> None:
        with self._lock:
            match event:
                case RowFinished(at=at, outcome=outcome):
                    self._requests += 1
                    self._done += 1
                    self._progress_at = at
                    if outcome.status is not RowStatus.NOT_SENT:
                        self._by_status[RowStatus.NOT_SENT] -= 1
                        self._by_status[outcome.status] += 1
                    if outcome.status is RowStatus.UNKNOWN:
                        self._unknown[outcome.code] += 1
                case AttemptFailed(throttled=throttled):
                    self._requests += 1
                    self._throttled += throttled
                case PaceChanged(at=at, pause_s=pause_s):
                    self._paused_until = at + timedelta(seconds=pause_s) if pause_s > 0 else None
                case Paused():
                    self._paused = True
                case Resumed():
                    self._paused = False
                case RowsRead(rows=rows):
                    if self._ending is not None:
                        self._begin_anew()
                    self._held, self._rows_read = True, rows
                case PlanningStarted(run_id=run_id, input_name=input_name):
                    self._begin_anew()
                    self._held, self._run_id, self._input_name = True, run_id, input_name
                case RunPlanned(run_id=run_id, resumed=resumed, folder=folder, input_name=input_name, counts=counts):
                    self._begin_anew()
                    self._begun_before = resumed and counts.sent > 0
                    self._held, self._run_id, self._folder, self._input_name = True, run_id, folder, input_name
                    self._take(counts)
                case RunStarted(run_id=run_id, to_send=to_send, counts=counts):
                    self._held, self._began, self._run_id, self._to_send = True, True, run_id, to_send
                    self._take(counts)
                    self._stage = RunStage.SENDING
                    self._samples.clear()
                case Stopping(reason=reason):
                    self._stage, self._stop_reason = RunStage.STOPPING, reason
                case WritingResults():
                    self._stage = RunStage.REPORTING
                case RunFinished(counts=counts):
                    self._take(counts, earlier=False)

    def end(self, ending: RunResult) -> None:
        """Take in how it ended: the last word, also over the counts."""
        with self._lock:
            if self._ending is not None and not ending.parts:
                self._begin_anew()  # an input that did not get as far as a run
            self._ending = ending
            if self._folder is None:  # a plan that was given up: there is no such run
                self._run_id = None
            if ending.counts is not None:
                self._take(ending.counts, earlier=False)
            if ending.requests is not None:
                self._requests = max(self._requests, ending.requests)
            self._stop_reason = ending.reason
            begun = self._began or self._begun_before
            self._stage = RunStage.FINISHED if ending.finished else RunStage.STOPPED if begun else RunStage.FAILED

    def _begin_anew(self) -> None:
        """The next input of the same command: what was counted is not its own."""
        self._ending, self._stage = None, RunStage.PLANNING
        self._began = self._begun_before = self._paused = False
        self._run_id = self._folder = self._input_name = self._progress_at = None
        self._to_send = self._done = self._requests = self._throttled = 0
        self._by_status = dict.fromkeys(RowStatus, 0)
        self._unknown = Counter()
        self._stop_reason = ""

    def look(self) -> RunSnapshot:
        """Say how the run stands now."""
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
                ending=self._ending,
            )

    def _take(self, counts: Counts, *, earlier: bool = True) -> None:
        self._by_status = {status: getattr(counts, status.value) for status in RowStatus}
        if earlier and counts.unknown:
            self._unknown[EARLIER] = counts.unknown

    def _rate(self, moment: float) -> float | None:
        if not self._began or self._ending is not None or self._stage is RunStage.REPORTING:
            return None
        self._samples.append((moment, self._requests))
        while len(self._samples) > 2 and self._samples[1][0] <= moment - RATE_OVER_S:
            self._samples.popleft()
        (since, before), (_, now) = self._samples[0], self._samples[-1]
        return (now - before) / (moment - since) if moment > since else None
