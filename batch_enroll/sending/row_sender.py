"""Send one row: permit, intent in the ledger, request, verdict, outcome in the ledger.

The permit comes before the intent, so that a row that waits for its turn is not in doubt. The ledger completes every
write that it received, also when the row is cancelled meanwhile; otherwise a row that was sent could be sent twice.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple, NoReturn, Protocol, assert_never

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from batch_enroll.clock import Clock
from batch_enroll.errors import AttemptError, RowTaken, RunStopped, ServiceRefused
from batch_enroll.messages import NO_TEXT, VERBATIM, Message, advice_message, message, verbatim
from batch_enroll.models import Delivery, Outcome, RowStatus
from batch_enroll.sending.classify import (
    PLATFORM_SUCCESS_TEXTS,
    HttpAnswer,
    Verdict,
    VerdictKind,
    classify,
    verdict_for_failure,
)
from batch_enroll.sending.error_codes import CodeTable
from batch_enroll.sending.request_body import personal_values, redact
from batch_enroll.sending.retry import RetryPolicy, with_retries
from batch_enroll.sending.stop_signal import StopRequested, StopSignal, TransmissionState


class RowToSend(NamedTuple):
    """A planned row with what it will send."""

    seq: int  #: place in the plan, from 1
    number: int  #: the row number that people see
    body: str  #: the request's JSON without the token
    key: bytes = b""  #: the ledger's keyed hash of the identity

    def __repr__(self) -> str:
        """Name the row without the person."""
        return f"RowToSend(seq={self.seq}, number={self.number})"


class RowLedger(Protocol):
    """The ledger's methods that one row needs. A write is on disk when it returns, and completes when cancelled.

    A write that could not be made raises its error, also when it is cancelled.
    """

    async def record_intent(self, seq: int, *, at: datetime) -> int:
        """Record that a request is about to leave; returns the attempt's number. Raises RowTaken: do not send it."""

    async def release(self, seq: int, *, code: str, message: Message) -> None:
        """Record that surely nothing was accepted: the row is planned again."""

    async def record_outcome(self, outcome: Outcome) -> None: ...


class RowLimiter(Protocol):
    """The rate limiter's methods that one row needs: `try_*` takes a permit that is free now, the others wait."""

    def try_acquire(self) -> bool: ...
    async def acquire(self) -> None: ...
    def try_depart(self) -> bool: ...
    async def depart(self) -> None: ...
    def on_throttled(self, retry_after_s: float | None = None, *, rtt_s: float = 0.0) -> None: ...
    def on_success(self) -> None: ...


class StartClient(Protocol):
    """The client's method that one row needs."""

    async def start_workflow(self, body: str, transmission: TransmissionState) -> HttpAnswer:
        """Raises AttemptError when no whole answer came."""


class RowObserver:
    """Follows the rows of a run; this one does nothing."""

    def on_permit(self) -> None:
        """A row has its permit. Raises StopRequested when no more rows may leave."""

    def on_intent(self) -> None:
        """The intent of a row is in the ledger, and its request leaves next."""

    def on_retry(self, row: RowToSend, verdict: Verdict, attempt: int, wait_s: float) -> None:
        """A row was not accepted in this attempt, and is tried again after `wait_s` seconds."""

    def on_stray(self, seq: int) -> None:
        """Bytes that nobody asked for came behind the answer to the row at this place: it may be another's answer."""

    async def reason_to_stop(self, refusal: Verdict) -> Message | None:
        """Return, in bounded time, why the next row would be refused too; None when the refusal is the row's own."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingRules:
    """What an answer means, and when a row is sent again."""

    codes: CodeTable = field(default_factory=CodeTable)
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    delivery: Delivery = Delivery.AT_MOST_ONCE
    jitter: Callable[[], float] = random.random  #: drawn for each wait, 0 <= jitter < 1


@dataclass(slots=True)
class _RowProgress:
    """What is known of one row between its first permit and its outcome."""

    row: RowToSend
    attempts: int = 0
    sent_at: datetime | None = None
    doubt: Verdict | None = None
    """At-least-once only: the outcome if no later attempt gets a clear answer. While it is set the intent stays in the
    ledger, so that a crash between two attempts leaves the row in doubt and not planned."""

    def outcome(self, status: RowStatus, code: str, what: Message, http_status: int | None = None) -> Outcome:
        return Outcome(self.row.seq, status, code, what, http_status, self.attempts, self.sent_at)


class RowSender:
    """Sends rows, as many at once as `enroll` is called; keeps nothing about a row after the call."""

    def __init__(
        self,
        ledger: RowLedger,
        limiter: RowLimiter,
        client: StartClient,
        *,
        clock: Clock,
        stop: StopSignal,
        rules: SendingRules | None = None,
        observer: RowObserver | None = None,
    ) -> None:
        """Create the sender of one run.

        Args:
            stop: ends the waits for a permit and for the next attempt, and nothing else.
        """
        self._ledger = ledger
        self._limiter = limiter
        self._client = client
        self._clock = clock
        self._stop = stop
        self._rules = rules or SendingRules()
        self._observer = observer or RowObserver()

    async def enroll(self, row: RowToSend) -> Outcome | None:
        """Enroll one row, in as many attempts as are safe and allowed.

        Returns:
            The outcome, already in the ledger. NOT_SENT (`attempts_used_up`, `stopped`) is no state there: the row
            stays planned. None: another worker has taken the row, so nothing was sent and nothing recorded.
        Raises:
            ServiceRefused: the next row would be refused too; this row is planned again, or unknown.
            LedgerError: the ledger cannot be written; the row is shown as unknown.
            Exception: a fault of the program; the row is planned again if surely nothing was sent, else unknown.
        """
        progress = _RowProgress(row)
        try:
            result = await with_retries(
                lambda number: self._attempt(progress),
                policy=self._rules.retries,
                sleep=self._sleep,
                jitter=self._rules.jitter,
                on_wait=lambda verdict, attempt, wait_s: self._observer.on_retry(row, verdict, attempt, wait_s),
            )
        except RowTaken:  # raised before anything is sent; never while an earlier attempt is in doubt
            return None
        except StopRequested:
            return await self._finish_unsent(progress, "stopped", message("reason.stopped"))
        except BaseException:
            await self._record_doubt(progress)
            raise
        if isinstance(result, Outcome):
            return result
        what = message("sending.last_attempt", text=result.message, attempts=progress.attempts)
        return await self._finish_unsent(progress, "attempts_used_up", what, result.http_status)

    async def _sleep(self, seconds: float) -> None:
        await self._stop.unless_set(lambda: self._clock.sleep(seconds))

    async def _attempt(self, progress: _RowProgress) -> Outcome | Verdict:
        """Make one attempt. Returns a verdict when another may follow."""
        if self._stop.is_set():
            raise StopRequested
        if not self._limiter.try_acquire():
            await self._stop.unless_set(self._limiter.acquire)
        self._observer.on_permit()
        progress.sent_at = self._clock.now()
        if progress.doubt is None:
            await self._record_intent(progress, progress.sent_at)
        else:
            progress.attempts += 1
        transmission = TransmissionState(True, progress.row.seq, self._observer.on_stray)
        began = self._clock.monotonic()
        try:
            if not self._limiter.try_depart():
                await self._limiter.depart()
            await checkpoint_if_cancelled()
            transmission.surely_unsent = False  # from here on in doubt, unless the client says otherwise
            try:
                answer = await self._client.start_workflow(progress.row.body, transmission)
            except AttemptError as error:
                verdict = verdict_for_failure(error)
            else:
                verdict = self._verdict(answer, progress.row)
        except BaseException as error:
            await self._record_interrupted(progress, transmission, error)
            raise
        return await self._apply_verdict(progress, verdict, rtt_s=self._clock.monotonic() - began)

    def _verdict(self, answer: HttpAnswer, row: RowToSend) -> Verdict:
        return _without_person(classify(answer, self._rules.codes, now=self._clock.now()), row)

    async def _record_intent(self, progress: _RowProgress, at: datetime) -> None:
        try:
            progress.attempts = await self._ledger.record_intent(progress.row.seq, at=at)
        except anyio.get_cancelled_exc_class():  # the intent was written nevertheless
            progress.attempts += 1
            await self._release(progress, "interrupted", message("reason.interrupted"))
            raise
        self._observer.on_intent()

    async def _apply_verdict(self, progress: _RowProgress, verdict: Verdict, *, rtt_s: float) -> Outcome | Verdict:
        kind = verdict.kind
        if verdict.throttled:
            self._limiter.on_throttled(verdict.retry_after_s, rtt_s=rtt_s)
        match kind:
            case VerdictKind.ENROLLED:
                outcome = await self._record(progress, RowStatus.SUCCESS, verdict)
                self._limiter.on_success()
                return outcome
            case VerdictKind.REFUSED:
                if reason := await self._reason_to_stop(progress, verdict):
                    return await self._abort_run(progress, verdict, reason)
                outcome = await self._record_refusal(progress, verdict)
                self._limiter.on_success()
                return outcome
            case VerdictKind.RETRY:
                if progress.doubt is None:
                    await self._release(progress, verdict.code, verdict.message)
                return verdict
            case VerdictKind.AMBIGUOUS if verdict.stop_reason:
                await self._record(progress, RowStatus.UNKNOWN, verdict)
                raise _refused(verdict, verdict.stop_reason)
            case VerdictKind.AMBIGUOUS if self._rules.delivery is Delivery.AT_MOST_ONCE:
                return await self._record(progress, RowStatus.UNKNOWN, verdict)
            case VerdictKind.AMBIGUOUS:
                progress.doubt = verdict
                return replace(verdict, throttled=False)  # it says nothing about the next attempt of this row
            case VerdictKind.FATAL:
                return await self._abort_run(progress, verdict, verdict.stop_reason or _no_more_rows(verdict))
        assert_never(kind)

    async def _reason_to_stop(self, progress: _RowProgress, verdict: Verdict) -> Message | None:
        try:
            return await self._observer.reason_to_stop(verdict)
        except BaseException:  # what the answer said is known, whatever ended the question
            await self._record_refusal(progress, verdict)
            raise

    async def _record_refusal(self, progress: _RowProgress, verdict: Verdict) -> Outcome:
        # After an ambiguous attempt a refusal proves nothing: the first may have been accepted and be its reason.
        return await self._record(progress, RowStatus.UNKNOWN if progress.doubt else RowStatus.ERROR, verdict)

    async def _abort_run(self, progress: _RowProgress, verdict: Verdict, reason: Message) -> NoReturn:
        """End the run, since the next row would be refused too; this one stays planned, or in doubt."""
        if await self._record_doubt(progress) is None:
            await self._release(progress, verdict.code, verdict.message)
        raise _refused(verdict, reason)

    async def _finish_unsent(
        self, progress: _RowProgress, code: str, what: Message, http_status: int | None = None
    ) -> Outcome:
        """End a row that surely was not accepted, or is in doubt since an earlier attempt."""
        doubt = await self._record_doubt(progress)
        return doubt or progress.outcome(RowStatus.NOT_SENT, code, what, http_status)

    async def _record_doubt(self, progress: _RowProgress) -> Outcome | None:
        """Record the doubt of earlier attempts as the outcome, if there is one."""
        return await self._record(progress, RowStatus.UNKNOWN, progress.doubt) if progress.doubt else None

    async def _record_interrupted(
        self, progress: _RowProgress, transmission: TransmissionState, error: BaseException
    ) -> None:
        """Record what is known of a row whose attempt was cancelled, or met a fault of the program."""
        code, what = "interrupted", message("reason.interrupted")
        if isinstance(error, RunStopped):
            code, what = "stopped", message("reason.stopped")
        elif isinstance(error, Exception):
            code, what = "internal_error", message("sending.internal_error", fault=type(error).__name__)
        if progress.doubt is None and transmission.surely_unsent:
            await self._release(progress, code, what)
        else:
            await self._record_outcome(progress, progress.outcome(RowStatus.UNKNOWN, code, what))

    def _release(self, progress: _RowProgress, code: str, what: Message) -> Awaitable[None]:
        return self._ledger.release(progress.row.seq, code=code, message=what)

    def _record(self, progress: _RowProgress, status: RowStatus, verdict: Verdict) -> Awaitable[Outcome]:
        outcome = progress.outcome(status, verdict.code, verdict.message, verdict.http_status)
        return self._record_outcome(progress, outcome)

    async def _record_outcome(self, progress: _RowProgress, outcome: Outcome) -> Outcome:
        progress.doubt = None
        await self._ledger.record_outcome(outcome)
        return outcome


def _no_more_rows(verdict: Verdict) -> Message:
    return message("sending.no_more_rows", code=verdict.code, text=verdict.message)


def _refused(verdict: Verdict, reason: Message) -> ServiceRefused:
    return ServiceRefused(reason, hint=advice_message(verdict.code), code=verdict.code)


def _without_person(verdict: Verdict, row: RowToSend) -> Verdict:
    """Remove from the platform's text what may not be kept."""
    if verdict.message is NO_TEXT or verdict.message.values.get("text") in PLATFORM_SUCCESS_TEXTS:
        return verdict
    person = personal_values(row.body)
    what = _redacted(verdict.message, person)
    reason = verdict.stop_reason and _redacted(verdict.stop_reason, person)
    if what is verdict.message and reason is verdict.stop_reason:
        return verdict
    return replace(verdict, message=what, stop_reason=reason)


def _redacted(what: Message, person: tuple[str, Iterable[str]]) -> Message:
    """Redact the values `text` of a message and of the messages inside it; the message itself when nothing changes."""
    if what.id == VERBATIM:  # nearly every answer's
        text = what.values["text"]
        kept = redact(text, *person)
        return what if kept == text else verbatim(kept)
    values: dict[str, Any] = {}
    for name, value in what.values.items():
        if isinstance(value, Message):
            values[name] = _redacted(value, person)
        else:
            values[name] = redact(value, *person) if name == "text" else value
    return what if values == what.values else Message(what.id, values)
