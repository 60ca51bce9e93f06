"""Send the planned rows of a run through the worker pool."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Never

import anyio

from batch_enroll.config.job import Job
from batch_enroll.control.control_server import POLL_S
from batch_enroll.control.run_control import ControlStatus
from batch_enroll.daemon_threads import run_with_background
from batch_enroll.errors import LedgerError, PreflightError, RunStopped, ServiceRefused
from batch_enroll.events import (
    AttemptFailed,
    Paused,
    RateChanged,
    RateSet,
    Resumed,
    RowFinished,
    RunStarted,
    Stopping,
    StrayAnswer,
)
from batch_enroll.ledger.interface import RunLedger, Stage, WorkerLedger
from batch_enroll.ledger.records import STATUS_OF, RowState
from batch_enroll.messages import Message
from batch_enroll.models import RowStatus, StopCause, StopReason
from batch_enroll.run.canary import CANARY_PASSED, canary_of
from batch_enroll.run.claimed_blocks import RowBlocks
from batch_enroll.run.context import RunContext
from batch_enroll.run.identity_keys import ContentHashes
from batch_enroll.run.plan_limits import SendDeadlines
from batch_enroll.run.scenario_recheck import ScenarioRecheck
from batch_enroll.sending import (
    Breaker,
    BreakerLimits,
    CodeTable,
    ConcurrencyLimit,
    ErrorClass,
    Limiter,
    RateSchedule,
    RowObserver,
    RowSender,
    RowToSend,
    SendingRules,
    StartClient,
    StopRequested,
    Threshold,
    Verdict,
    run_pool,
)

Ask = Callable[[Callable[[], Awaitable[None]]], Awaitable[PreflightError | None]]
"""Asks the platform what is wrong with the job, in bounded time; given the wait for a permit of the rate limiter."""

DRAIN_MARGIN_S = 5.0


@dataclass(slots=True)
class RequestCounter:
    """How many requests were begun, retries included."""

    requests: int = 0


async def send_rows(
    run: RunLedger, context: RunContext, client: StartClient, *, counter: RequestCounter, ask: Ask | None = None
) -> None:
    """Send every planned row of a run, or as many as the limits of the job allow.

    Args:
        run: planned and opened for writing.
        context: its `emit` receives a row's event when the outcome is on disk; its `control` keeps the stop reason.
        client: sends the requests.
        counter: is kept up to date, also when an exception ends the sending.
        ask: called when a refusal may concern more than its row; None = every refusal concerns its row alone.
    Does not raise for what ends a run early: that is in `context.control.stop_reason`.
    """
    control = context.control
    hashes = ContentHashes(await context.ledger.salt())
    worker = await run.join()
    sender = _Sender(worker, run.stage, hashes, context, client, counter=counter, ask=ask)
    counts = await run.counts()
    context.emit(RunStarted(at=context.clock.now(), run_id=run.record.run_id, to_send=counts.not_sent, counts=counts))

    async def sending() -> None:
        canary = await canary_of(run, context.job.send.canary, counts, asks=context.look is not None)
        if canary is not None:
            await sender.send(limit=canary.left)
            if not control.reason:
                with control.stoppable():
                    if reason := await canary.review(await run.counts(), context.look):
                        control.stop(reason)
            if not control.reason:
                with suppress(LedgerError):  # then it is reviewed once more
                    await run.mark(CANARY_PASSED)
        if not control.reason:
            await sender.send(limit=None)

    try:
        await control.over(sender, lambda: run_with_background(sending, sender.watch))
    except RunStopped as error:
        control.stop(sender.stop_reason(error))
    finally:
        with anyio.CancelScope(shield=True):
            try:
                await sender.doubt_answers()
            except RunStopped as error:
                control.stop(sender.stop_reason(error))
            await worker.end()


class _Sender(RowObserver):
    """What all workers of a run share; follows their rows and is controlled from outside."""

    def __init__(
        self,
        worker: WorkerLedger,
        stage: Stage,
        hashes: ContentHashes,
        context: RunContext,
        client: StartClient,
        *,
        counter: RequestCounter,
        ask: Ask | None,
    ) -> None:
        job, clock, control = context.job, context.clock, context.control
        self._counter = counter
        self._worker = worker
        self._doubted: set[int] = set()  #: places of rows whose answer is in doubt, and that is not in the ledger yet
        self._blocks = RowBlocks(worker, stage, hashes)
        self._job = job
        self._clock = clock
        self._emit = context.emit
        self._control = control
        codes = CodeTable({code: ErrorClass(kind) for code, kind in job.codes})
        rows_own = codes.rows_own()
        self._breaker = Breaker(_breaker_limits(job), suspects=codes.suspects(), rows_own=rows_own)
        self._ask = ask
        self._recheck = ScenarioRecheck(self._ask_platform, accepted=lambda: self._breaker.accepted, rows_own=rows_own)
        self._deadlines = SendDeadlines(job, clock)
        self._concurrency = ConcurrencyLimit(job.send.concurrency, stop=control.signal)
        self._limiter = Limiter(
            RateSchedule(job.send.rate),
            clock,
            jitter=random.random,
            on_change=self._emit_rate,
            is_blocked=self._concurrency.is_blocked,
        )
        self._row_sender = RowSender(
            worker,
            self._limiter,
            client,
            clock=clock,
            stop=control.signal,
            rules=SendingRules(codes=codes, delivery=job.send.delivery),
            observer=self,
        )

    async def send(self, *, limit: int | None) -> None:
        """Send up to `limit` planned rows."""
        await run_pool(
            self._blocks.rows(limit=limit),
            self._work,
            workers=self._concurrency,
            stop=self._control.signal,
            drain_s=self._job.send.timeout + DRAIN_MARGIN_S,
            on_failure=self._stop_on_failure,
        )
        await self._blocks.give_back()
        await self.doubt_answers()

    async def doubt_answers(self) -> None:
        """Record which rows may have got the answer to another row; those without an outcome have to wait for it."""
        for seq in tuple(self._doubted):
            row = await self._worker.doubt_answer(seq)
            if row.before is RowState.INTENT:
                continue
            self._doubted.discard(seq)
            if row.before is not RowState.UNKNOWN:
                now, before = self._clock.now(), STATUS_OF[row.before]
                event = StrayAnswer(at=now, row_number=row.number, before=before, outcome=row.outcome, key=row.key)
                self._emit(event)

    def stop_reason(self, error: RunStopped) -> StopReason:
        """Return why a run stops that an error ends, with what the platform answered meanwhile."""
        if not isinstance(error, ServiceRefused):
            return StopReason(error.content, StopCause.FAILED)
        found = self._recheck.found
        return StopReason(
            error.content,
            StopCause.REFUSED,
            code=error.code,
            finding=found.finding if found else None,
            answer=found.content if found else None,
        )

    async def watch(self) -> Never:
        """Check the deadline by time, since it may come during a pause, and record answers that are in doubt."""
        while True:
            self._check_deadline()
            if self._doubted:
                with anyio.CancelScope(shield=True):
                    try:
                        await self.doubt_answers()
                    except RunStopped as error:
                        self._stop_on_failure(error)
            await self._clock.sleep(POLL_S)

    # What a `Control` controls

    def standing(self) -> ControlStatus:
        return ControlStatus(
            is_paused=self._concurrency.is_paused,
            rate_per_s=self._limiter.limit_per_s,
            concurrency=self._concurrency.size,
            in_flight=self._concurrency.in_flight,
        )

    def pause(self) -> None:
        if not self._concurrency.is_paused:
            self._concurrency.pause()
            self._emit(Paused(at=self._clock.now(), in_flight=self._concurrency.in_flight))

    def resume(self) -> None:
        if self._concurrency.is_paused:
            self._concurrency.resume()
            self._emit(Resumed(at=self._clock.now()))

    def set_pace(self, *, rate_per_s: float | None, concurrency: int) -> None:
        if rate_per_s != self._limiter.limit_per_s:
            self._limiter.set_rate(rate_per_s)
        if concurrency != self._concurrency.size:
            self._concurrency.resize(concurrency)
        self._emit(RateSet(at=self._clock.now(), rate_per_s=rate_per_s, concurrency=concurrency))

    def stopping(self, reason: str) -> None:
        self._emit(Stopping(at=self._clock.now(), reason=reason))

    # What a row reports

    def on_permit(self) -> None:
        self._check_deadline()
        if self._control.stop_reason is not None:
            raise StopRequested

    def on_intent(self) -> None:
        self._counter.requests += 1

    def on_stray(self, seq: int) -> None:
        self._doubted.add(seq)

    async def reason_to_stop(self, refusal: Verdict) -> Message | None:
        return await self._recheck.reason_to_stop(refusal)

    def on_retry(self, row: RowToSend, verdict: Verdict, attempt: int, wait_s: float) -> None:
        self._emit(
            AttemptFailed(
                at=self._clock.now(),
                row_number=row.number,
                key=row.key,
                attempt=attempt,
                code=verdict.code,
                message=verdict.message,
                wait_s=wait_s,
                throttled=verdict.throttled,
            )
        )

    async def _work(self, row: RowToSend) -> None:
        outcome = await self._row_sender.enroll(row)
        if outcome is not None:  # else another worker has taken the row
            if outcome.status is RowStatus.NOT_SENT and outcome.code == "stopped":
                return
            self._emit(RowFinished(at=self._clock.now(), row_number=row.number, outcome=outcome, key=row.key))
            trip = self._breaker.record(outcome)
            if trip is not None:
                self._control.stop(trip)
        given_up = outcome is not None and outcome.status is RowStatus.NOT_SENT
        if finishing := self._blocks.end_row(row, given_up=given_up):
            await finishing

    async def _ask_platform(self) -> PreflightError | None:
        return None if self._ask is None else await self._ask(self._wait_for_permit)

    async def _wait_for_permit(self) -> None:
        await self._limiter.acquire()
        await self._limiter.depart()

    def _check_deadline(self) -> None:
        if reason := self._deadlines.stop_reason():
            self._control.stop(reason)

    def _stop_on_failure(self, error: Exception) -> None:
        if isinstance(error, RunStopped):
            self._control.stop(self.stop_reason(error))

    def _emit_rate(self, rate_per_s: float | None, pause_s: float) -> None:
        self._emit(RateChanged(at=self._clock.now(), rate_per_s=rate_per_s, pause_s=pause_s))


def _breaker_limits(job: Job) -> BreakerLimits:
    limits = BreakerLimits()
    if job.stop.max_errors is not None:
        limits = BreakerLimits(errors=Threshold.parse(job.stop.max_errors))
    if job.stop.max_unknown is not None:
        limits = BreakerLimits(errors=limits.errors, unknown=Threshold.parse(job.stop.max_unknown))
    return limits
