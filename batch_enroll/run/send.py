"""Send the planned rows of a run through the worker pool."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Never

from batch_enroll.background import run_with_background
from batch_enroll.clock import Clock
from batch_enroll.config.job import Job
from batch_enroll.control.control_server import POLL_S
from batch_enroll.control.run_control import Control, ControlStatus
from batch_enroll.errors import PreflightError, Retryable, RunStopped
from batch_enroll.events import (
    AttemptFailed,
    Listener,
    Paused,
    RateChanged,
    RateSet,
    Resumed,
    RowFinished,
    RunStarted,
    Stopping,
)
from batch_enroll.ledger.interface import RunLedger
from batch_enroll.ledger.staging import StagedRow, damaged_rows, staged_rows
from batch_enroll.models import Outcome, RowStatus, StopReason
from batch_enroll.run.canary import build_canary, pass_canary
from batch_enroll.run.context import RunContext
from batch_enroll.run.plan_limits import end_of_sending
from batch_enroll.run.scenario_recheck import ScenarioRecheck
from batch_enroll.sending import (
    Breaker,
    BreakerLimits,
    CodeTable,
    ConcurrencyLimit,
    ErrorClass,
    HttpAnswer,
    Limiter,
    RateSchedule,
    RowSender,
    RowToSend,
    StopRequested,
    Threshold,
    TransmissionState,
    Wait,
    classify,
    run_pool,
)

Send = Callable[[str, TransmissionState], Awaitable[HttpAnswer]]
Ask = Callable[[Callable[[], Awaitable[None]]], Awaitable[PreflightError | None]]
"""Asks the platform what is wrong with the job, in bounded time; given the wait for a permit of the rate limiter."""

DRAIN_MARGIN_S = 5.0
_BLOCK_ROWS = 500


@dataclass(slots=True)
class SendResult:
    """How sending went. `requests` counts those that were begun, retries included."""

    requests: int = 0
    trouble: RunStopped | None = None  #: the error that ended it early
    trip: StopReason | None = None  #: set when the breaker ended it early
    found: PreflightError | None = None  #: what the platform said is wrong when it was asked during the sending


async def send_rows(
    run: RunLedger, context: RunContext, send: Send, *, sent: SendResult, ask: Ask | None = None
) -> None:
    """Send every planned row of a run, or as many as the limits of the job allow.

    Args:
        run: planned and opened for writing.
        context: its `emit` receives a row's event when the outcome is on disk; its `control` keeps the stop reason.
        send: sends one request to the platform, as `Client.start` does.
        sent: is filled with what is found and counted, also when an exception ends the sending.
        ask: called when a refusal may concern more than its row; None = every refusal concerns its row alone.
    Does not raise for what ends a run early: that is in `sent.trouble` and `context.control.reason`.
    """
    job, clock, emit, control = context.job, context.clock, context.emit, context.control
    sender = _Sender(run, job, send, sent=sent, ask=ask, clock=clock, emit=emit, control=control, jitter=random.random)
    counts = await run.counts()
    emit(RunStarted(at=clock.now(), run_id=run.record.run_id, to_send=counts.not_sent, counts=counts))

    async def sending() -> None:
        canary = build_canary(job.send.canary, counts, folder=run.folder, asks=context.look is not None)
        if canary is not None:
            await sender.send(limit=canary.left)
            if not control.reason:
                with control.stoppable():
                    if reason := await canary.review(await run.counts(), context.look):
                        control.stop(reason)
            if not control.reason:
                pass_canary(run.folder)
        if not control.reason:
            await sender.send(limit=None)

    try:
        await control.over(sender, lambda: run_with_background(sending, sender.watch_deadline))
    except RunStopped as error:
        sent.trouble = error
        control.stop(error.content)
    finally:
        sent.found = sender.second_look.found


class _Sender:
    """Holds together what all workers share."""

    def __init__(
        self,
        run: RunLedger,
        job: Job,
        send: Send,
        *,
        sent: SendResult,
        ask: Ask | None,
        clock: Clock,
        emit: Listener,
        control: Control,
        jitter: Callable[[], float],
    ) -> None:
        self._sent = sent
        self._run = run
        self._job = job
        self._clock = clock
        self._emit = emit
        self._control = control
        self._codes = CodeTable({code: ErrorClass(kind) for code, kind in job.codes})
        rows_own = self._codes.rows_own()
        self._breaker = Breaker(_breaker_limits(job), suspects=self._codes.suspects(), rows_own=rows_own)
        self._ask = ask
        self.second_look = ScenarioRecheck(self._ask_again, accepted=lambda: self._breaker.accepted, rows_own=rows_own)
        self._end = end_of_sending(job, clock.now())
        self._team = ConcurrencyLimit(job.send.concurrency, stop=control.signal)
        self._limiter = Limiter(
            RateSchedule(job.send.rate), clock, jitter=jitter, on_change=self._tell_pace, is_held=self._team.is_held
        )
        self._cycle = RowSender(
            permit=self._permit,
            depart=self._depart,
            intend=self._intend,
            send=send,
            classify=lambda answer: classify(answer, self._codes, now=clock.now()),
            release=run.release,
            settle=run.record_outcome,
            clock=clock,
            stop=control.signal,
            delivery=job.send.delivery,
            jitter=jitter,
            throttled=lambda retry_after_s, rtt_s: self._limiter.throttled(retry_after_s, rtt_s=rtt_s),
            accepted=self._limiter.accepted,
            reason_to_stop=self.second_look.reason_to_stop,
            on_retry=self._tell_retry,
        )

    async def send(self, *, limit: int | None) -> None:
        """Send up to `limit` planned rows."""
        await run_pool(
            rows_to_send(self._run, limit=limit),
            self._work,
            workers=self._team,
            stop=self._control.signal,
            drain_s=self._job.send.timeout + DRAIN_MARGIN_S,
            on_failure=self._tell_failure,
        )

    async def watch_deadline(self) -> Never:
        """Look for the deadline by time: it may come in the middle of a pause."""
        while True:
            self._heed_end()
            await self._clock.sleep(POLL_S)

    # What a `Control` steers

    def standing(self) -> ControlStatus:
        return ControlStatus(
            is_paused=self._team.is_paused,
            rate_per_s=self._limiter.limit_per_s,
            concurrency=self._team.size,
            in_flight=self._team.in_flight,
        )

    def pause(self) -> None:
        if not self._team.is_paused:
            self._team.pause()
            self._emit(Paused(at=self._clock.now(), in_flight=self._team.in_flight))

    def resume(self) -> None:
        if self._team.is_paused:
            self._team.resume()
            self._emit(Resumed(at=self._clock.now()))

    def set_pace(self, *, rate_per_s: float | None, concurrency: int) -> None:
        if rate_per_s != self._limiter.limit_per_s:
            self._limiter.set_rate(rate_per_s)
        if concurrency != self._team.size:
            self._team.resize(concurrency)
        self._emit(RateSet(at=self._clock.now(), rate_per_s=rate_per_s, concurrency=concurrency))

    def stopping(self, reason: str) -> None:
        self._emit(Stopping(at=self._clock.now(), reason=reason))

    async def _work(self, row: RowToSend) -> None:
        self._conclude(row, await self._cycle.enroll(row))

    def _conclude(self, row: RowToSend, outcome: Outcome) -> None:
        if outcome.status is RowStatus.NOT_SENT and outcome.code == "stopped":
            return
        self._emit(RowFinished(at=self._clock.now(), row_number=row.number, outcome=outcome, key=row.key))
        trip = self._breaker.record(outcome)
        if trip is not None and not self._control.reason:
            self._sent.trip = trip
            self._control.stop(str(trip))

    def _permit(self) -> Wait | None:
        if not self._limiter.take_now():
            return self._next_permit
        self._heed_stop()
        return None

    async def _ask_again(self) -> PreflightError | None:
        return None if self._ask is None else await self._ask(self._permit_to_ask)

    async def _permit_to_ask(self) -> None:
        await self._limiter.acquire()
        await self._limiter.depart()

    async def _next_permit(self) -> None:
        await self._limiter.acquire()
        self._heed_stop()

    def _heed_stop(self) -> None:
        self._heed_end()
        if self._control.reason:
            raise StopRequested

    def _heed_end(self) -> None:
        if self._end is not None and self._clock.now() >= self._end.at:
            self._control.stop(self._end.reason)

    def _depart(self) -> Wait | None:
        return None if self._limiter.depart_now() else self._limiter.depart

    async def _intend(self, seq: int, *, at: datetime) -> int:
        attempt = await self._run.record_intent(seq, at=at)
        self._sent.requests += 1
        return attempt

    def _tell_failure(self, error: Exception) -> None:
        if isinstance(error, RunStopped):
            self._control.stop(error.message)

    def _tell_pace(self, rate_per_s: float | None, pause_s: float) -> None:
        self._emit(RateChanged(at=self._clock.now(), rate_per_s=rate_per_s, pause_s=pause_s))

    def _tell_retry(self, row: RowToSend, failure: Retryable, attempt: int, wait_s: float) -> None:
        self._emit(
            AttemptFailed(
                at=self._clock.now(),
                row_number=row.number,
                key=row.key,
                attempt=attempt,
                code=failure.code,
                message=failure.message,
                wait_s=wait_s,
                throttled=failure.throttled,
            )
        )


async def rows_to_send(run: RunLedger, *, limit: int | None) -> AsyncIterator[list[RowToSend]]:
    """Join the rows that are still planned in the ledger with their staged requests, in plan order, in blocks.

    Raises:
        LedgerError: the kept rows are gone or damaged, or are not the rows of the plan.
    """
    after_seq, left = 0, limit
    stage: Iterator[StagedRow] | None = None
    while left is None or left > 0:
        pending = await run.pending(after_seq=after_seq, limit=_BLOCK_ROWS if left is None else min(_BLOCK_ROWS, left))
        if not pending:
            return
        if stage is None:
            blocks = staged_rows(run.folder, rows=run.record.rows, after_seq=pending[0].seq - 1)
            stage = (row for block in blocks for row in block)
        block = []
        for planned in pending:
            staged = next((row for row in stage if row.seq == planned.seq), None)
            if staged is None or staged.row.number != planned.number:
                raise damaged_rows(run.folder, planned.seq)
            block.append(RowToSend(planned.seq, planned.number, staged.body, planned.key))
        after_seq = pending[-1].seq
        left = None if left is None else left - len(block)
        yield block


def _breaker_limits(job: Job) -> BreakerLimits:
    limits = BreakerLimits()
    if job.stop.max_errors is not None:
        limits = BreakerLimits(errors=Threshold.parse(job.stop.max_errors))
    if job.stop.max_unknown is not None:
        limits = BreakerLimits(errors=limits.errors, unknown=Threshold.parse(job.stop.max_unknown))
    return limits
