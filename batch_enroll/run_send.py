"""Send: the planned rows go through the worker pool, and every one that was sent has its outcome on disk.

In: a sealed run and a way to the platform. Out: how sending ended; the outcomes are in the ledger. Never: a row whose
intent is not on disk, a row after the run was asked to stop.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import anyio

from batch_enroll.clock import Clock
from batch_enroll.errors import Retryable, RunStopped
from batch_enroll.events import AttemptFailed, Listener, PaceChanged, RowFinished, RunStarted, Stopping
from batch_enroll.job import Job
from batch_enroll.ledger.interface import RunLedger
from batch_enroll.ledger.staging import StagedRow, staged_rows
from batch_enroll.model import Counts, Outcome, RowStatus
from batch_enroll.run_limits import end_of_sending
from batch_enroll.sending import (
    Answer,
    Breaker,
    BreakerLimits,
    Class,
    CodeTable,
    Flight,
    Limit,
    Limiter,
    Pace,
    RowToSend,
    Stopped,
    StopSignal,
    classify,
    enroll_row,
    run_pool,
)

Send = Callable[[str, Flight], Awaitable[Answer]]

DRAIN_MARGIN_S = 5.0
_BLOCK_ROWS = 500


class Control:
    """A hand on a run from outside: stop it, or break it off.

    Every call must come from the event loop's own thread.
    """

    def __init__(self) -> None:
        self.signal = StopSignal()
        self.reason = ""  #: the first reason to stop, one sentence; "" while there is none
        self.exit_code: int | None = None  #: 130 or 143 when a signal of the system stopped the run
        self._scope = anyio.CancelScope()
        self._on_stop: Callable[[str], None] | None = None

    def stop(self, reason: str, *, exit_code: int | None = None) -> None:
        """Take no more rows; answers in flight are awaited. Only the first reason counts."""
        if self.reason:
            return
        self.reason, self.exit_code = reason, exit_code
        if self._on_stop is not None:
            self._on_stop(reason)
        self.signal.set()

    def break_off(self) -> None:
        """Wait for no answer: rows in flight become unknown."""
        self._scope.cancel()

    async def over(self, sending: Callable[[], Awaitable[None]], *, on_stop: Callable[[str], None]) -> None:
        """Run the sending so that `stop` is told to `on_stop` and `break_off` ends it."""
        self._on_stop = on_stop
        with self._scope:
            await sending()


@dataclass(slots=True)
class Sent:
    """How sending went. `requests` counts those that were begun, retries included."""

    requests: int = 0
    trouble: RunStopped | None = None  #: what ended it early, when it was an error and not a wish


async def send_rows(
    run: RunLedger,
    job: Job,
    send: Send,
    *,
    clock: Clock,
    emit: Listener,
    control: Control,
    look: Callable[[Counts], Awaitable[bool]] | None = None,
    jitter: Callable[[], float] = random.random,
) -> Sent:
    """Send every planned row of a run, or as many as the limits of the job allow.

    Args:
        run: sealed and opened for writing.
        job: pace, limits and the meaning of codes.
        send: carries one request to the platform, as `Client.start` does.
        clock: for records and waits.
        emit: hears of every row when its outcome is on disk.
        control: stops the run from outside, and remembers why it stopped.
        look: asked after the canary rows, with the counts so far, whether to go on; None = only when none failed.
        jitter: drawn for each wait, 0 <= jitter < 1.
    Returns:
        How it went; never raises for what ends a run early: `trouble` and `control.reason` say it.
    """
    sender = _Sender(run, job, send, clock=clock, emit=emit, control=control, jitter=jitter)
    counts = await run.counts()
    emit(RunStarted(at=clock.now(), run_id=run.record.run_id, to_send=counts.not_sent, counts=counts))

    async def sending() -> None:
        canary = job.send.canary if job.send.canary and job.send.canary < counts.not_sent else None
        if canary:
            await sender.send(limit=canary)
            await _look_at_canary(await run.counts(), canary, look, control)
        if not control.reason:
            await sender.send(limit=None)

    try:
        await control.over(sending, on_stop=lambda reason: emit(Stopping(at=clock.now(), reason=reason)))
    except RunStopped as error:
        sender.sent.trouble = error
        control.stop(error.message)
    return sender.sent


async def _look_at_canary(
    counts: Counts, canary: int, look: Callable[[Counts], Awaitable[bool]] | None, control: Control
) -> None:
    if control.reason:
        return
    clean = not counts.error and not counts.unknown
    if not (await look(counts) if look is not None else clean):
        control.stop(f"Stopped after the first {canary:,} rows: {counts.error:,} error, {counts.unknown:,} unknown.")


class _Sender:
    """Holds together what all workers share."""

    def __init__(
        self,
        run: RunLedger,
        job: Job,
        send: Send,
        *,
        clock: Clock,
        emit: Listener,
        control: Control,
        jitter: Callable[[], float],
    ) -> None:
        self.sent = Sent()
        self._run = run
        self._job = job
        self._carry = send
        self._clock = clock
        self._emit = emit
        self._control = control
        self._jitter = jitter
        self._codes = CodeTable({code: Class(kind) for code, kind in job.codes})
        self._breaker = Breaker(_breaker_limits(job), suspects=self._codes.suspects())
        self._end = end_of_sending(job, clock.now())
        self._limiter = Limiter(Pace(job.send.rate), clock, jitter=jitter, on_change=self._tell_pace)

    async def send(self, *, limit: int | None) -> None:
        """Send up to `limit` planned rows."""
        await run_pool(
            rows_to_send(self._run, limit=limit),
            self._work,
            workers=self._job.send.concurrency,
            stop=self._control.signal,
            drain_s=self._job.send.timeout + DRAIN_MARGIN_S,
        )

    async def _work(self, row: RowToSend) -> None:
        outcome = await enroll_row(
            row,
            permit=self._permit,
            depart=self._limiter.depart,
            intend=self._intend,
            send=self._carry,
            classify=lambda answer: classify(answer, self._codes, now=self._clock.now()),
            release=self._run.release,
            settle=self._run.settle,
            clock=self._clock,
            stop=self._control.signal,
            delivery=self._job.send.delivery,
            jitter=self._jitter,
            throttled=lambda retry_after_s, rtt_s: self._limiter.throttled(retry_after_s, rtt_s=rtt_s),
            accepted=self._limiter.accepted,
            on_retry=self._tell_retry,
        )
        self._conclude(row, outcome)

    def _conclude(self, row: RowToSend, outcome: Outcome) -> None:
        if outcome.status is RowStatus.NOT_SENT and outcome.code == "stopped":
            return
        self._emit(RowFinished(at=self._clock.now(), row_number=row.number, outcome=outcome))
        reason = self._breaker.note(outcome)
        if reason is not None:
            self._control.stop(reason)

    async def _permit(self) -> None:
        await self._limiter.acquire()
        if self._end is not None and self._clock.now() >= self._end.at:
            self._control.stop(self._end.reason)
            raise Stopped

    async def _intend(self, seq: int, *, at: datetime) -> int:
        attempt = await self._run.intend(seq, at=at)
        self.sent.requests += 1
        return attempt

    def _tell_pace(self, rate_per_s: float | None, pause_s: float) -> None:
        self._emit(PaceChanged(at=self._clock.now(), rate_per_s=rate_per_s, pause_s=pause_s))

    def _tell_retry(self, row: RowToSend, failure: Retryable, attempt: int, wait_s: float) -> None:
        self._emit(
            AttemptFailed(
                at=self._clock.now(),
                row_number=row.number,
                attempt=attempt,
                code=failure.code,
                message=failure.message,
                wait_s=wait_s,
                throttled=failure.throttled,
            )
        )


async def rows_to_send(run: RunLedger, *, limit: int | None) -> AsyncIterator[list[RowToSend]]:
    """Join what the ledger says is still planned with what was staged, in plan order, in blocks."""
    after_seq, left = 0, limit
    stage: Iterator[StagedRow] | None = None
    while left is None or left > 0:
        pending = await run.pending(after_seq=after_seq, limit=_BLOCK_ROWS if left is None else min(_BLOCK_ROWS, left))
        if not pending:
            return
        if stage is None:
            stage = (row for block in staged_rows(run.folder, after_seq=pending[0].seq - 1) for row in block)
        block = []
        for planned in pending:
            staged = next(row for row in stage if row.seq == planned.seq)
            block.append(RowToSend(seq=planned.seq, number=planned.number, body=staged.body))
        after_seq = pending[-1].seq
        left = None if left is None else left - len(block)
        yield block


def _breaker_limits(job: Job) -> BreakerLimits:
    limits = BreakerLimits()
    if job.stop.max_errors is not None:
        limits = BreakerLimits(errors=Limit.parse(job.stop.max_errors))
    if job.stop.max_unknown is not None:
        limits = BreakerLimits(errors=limits.errors, unknown=Limit.parse(job.stop.max_unknown))
    return limits
