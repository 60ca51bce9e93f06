"""One row from its permit to its last word, with everything on disk at the moment when it must be.

In: a row's body and the functions of the other stages. Out: one `Outcome`, or the reason why the run must stop; either
way the ledger knows the row's state. Never: a second request for a row that may have been accepted, unless delivery is
at-least-once; a message with personal data.

Each attempt: permit -> intent on disk -> send -> classify -> outcome on disk -> told to anyone. The permit comes first,
so that a row that waits for its turn is not yet in doubt; what is handed to the ledger is carried out also when the row
is cancelled meanwhile, so that a row that was sent is never taken for one that was not.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple, NoReturn, Protocol, assert_never

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from batch_enroll.advice import advice_for
from batch_enroll.clock import Clock
from batch_enroll.errors import (
    Ambiguous,
    Retryable,
    RunStopped,
    ServiceRefused,
)
from batch_enroll.models import Delivery, Outcome, RowStatus
from batch_enroll.sending.classify import HttpAnswer, Verdict, VerdictKind
from batch_enroll.sending.request_body import identity_of, redact
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


Wait = Callable[[], Awaitable[None]]
Permit = Callable[[], Wait | None]
"""Takes what is free right now and gives None, or gives the wait for it: most rows wait for nothing and pay nothing."""


class Intend(Protocol):
    """Puts on disk that a request is about to leave, even when it is cancelled; gives the attempt's number."""

    async def __call__(self, seq: int, *, at: datetime) -> int: ...


class Release(Protocol):
    """Puts on disk that surely nothing was accepted, even when it is cancelled."""

    async def __call__(self, seq: int, *, code: str, message: str) -> None: ...


OnRetry = Callable[[RowToSend, Retryable, int, float], None]
"""Called with the row, its failure, the attempt's number and the seconds until the next."""


def _free() -> None:
    """Nothing to wait for."""


async def _rows_own(verdict: Verdict) -> str:
    """Take every refusal for the row's own."""
    return ""


@dataclass(slots=True)
class _RowProgress:
    """What is known of one row between its first permit and its last word."""

    row: RowToSend
    attempts: int = 0
    sent_at: datetime | None = None
    doubt: Outcome | None = None
    """At-least-once only: what to say when no later attempt brings a clear word. While it is set the intent stays on
    disk, so that a crash between two attempts finds the row in doubt and not planned."""

    def outcome(self, status: RowStatus, code: str, message: str, http_status: int | None) -> Outcome:
        return Outcome(self.row.seq, status, code, message, http_status, self.attempts, self.sent_at)


class RowSender:
    """Enrolls one row after another, as many at once as it is called; knows nothing of a row but while it is called."""

    def __init__(
        self,
        *,
        permit: Permit,
        intend: Intend,
        send: Callable[[str, TransmissionState], Awaitable[HttpAnswer]],
        classify: Callable[[HttpAnswer], Verdict],
        release: Release,
        settle: Callable[[Outcome], Awaitable[None]],
        clock: Clock,
        stop: StopSignal,
        depart: Permit = _free,
        policy: RetryPolicy | None = None,
        delivery: Delivery = Delivery.AT_MOST_ONCE,
        jitter: Callable[[], float] = random.random,
        throttled: Callable[[float | None, float], None] = lambda retry_after_s, rtt_s: None,
        accepted: Callable[[], None] = lambda: None,
        reason_to_stop: Callable[[Verdict], Awaitable[str]] = _rows_own,
        on_retry: OnRetry = lambda row, failure, attempt, wait_s: None,
    ) -> None:
        """Join the functions of the other stages.

        Args:
            stop: ends the waits for a permit and for the next attempt, and nothing else.
            depart: the last look at the pace, when the intent is on disk and the request may leave.
            throttled: told at once that the platform said "too fast", with its Retry-After and the answer's time,
                seconds.
            accepted: told at once that the platform kept up.
            reason_to_stop: asked about each refusal before it is put on disk, in bounded time: why the next row would
                fare the same, "" when the refusal is the row's own.
        """
        self._permit = permit
        self._intend = intend
        self._send = send
        self._classify = classify
        self._release = release
        self._settle = settle
        self._clock = clock
        self._stop = stop
        self._depart = depart
        self._policy = policy or RetryPolicy()
        self._delivery = delivery
        self._jitter = jitter
        self._throttled = throttled
        self._accepted = accepted
        self._reason_to_stop = reason_to_stop
        self._on_retry = on_retry

    async def enroll(self, row: RowToSend) -> Outcome:
        """Enroll one row, in as many attempts as are safe and allowed.

        Returns:
            The outcome, already on disk. NOT_SENT (`attempts_used_up`, `stopped`) is no state there: the row stays
            planned.
        Raises:
            ServiceRefused: the next row would fare the same; this row is planned again, or unknown.
            LedgerError: the disk does not take a word on the row; it is shown as unknown.
            Exception: a fault of the program; the row is planned again if surely nothing was sent, else unknown.
        """
        standing = _RowProgress(row)
        try:
            return await with_retries(
                lambda number: self._attempt(standing),
                policy=self._policy,
                sleep=self._sleep,
                jitter=self._jitter,
                on_wait=lambda failure, attempt, wait_s: self._on_retry(row, failure, attempt, wait_s),
            )
        except Retryable as failure:
            message = f"{failure.message} (attempt {standing.attempts}, the last)"
            return await self._give_up(standing, "attempts_used_up", message, failure.http_status)
        except StopRequested:
            return await self._give_up(standing, "stopped", "The run was stopped before this row was accepted")
        except BaseException:
            await self._settle_doubt(standing)
            raise

    async def _sleep(self, seconds: float) -> None:
        await self._stop.unless_set(lambda: self._clock.sleep(seconds))

    async def _attempt(self, standing: _RowProgress) -> Outcome:
        """Make one attempt. Raises Retryable when another may follow."""
        if self._stop.is_set():
            raise StopRequested
        wait = self._permit()
        if wait is not None:
            await self._stop.unless_set(wait)
        standing.sent_at = self._clock.now()
        if standing.doubt is None:
            await self._put_intent(standing, standing.sent_at)
        else:
            standing.attempts += 1
        flight = TransmissionState(surely_unsent=True)
        began = self._clock.monotonic()
        try:
            wait = self._depart()
            if wait is not None:
                await wait()
            await checkpoint_if_cancelled()
            flight.surely_unsent = False  # from here on in doubt, unless the sender says otherwise
            answer = await self._send(standing.row.body, flight)
            verdict = _without_person(self._classify(answer), standing.row)
        except Retryable as failure:
            return await self._not_accepted(standing, failure)
        except Ambiguous as failure:
            return await self._in_doubt(standing, failure.code, failure.message, failure.http_status)
        except BaseException as error:
            await self._break_off(standing, flight, error)
            raise
        return await self._conclude(standing, verdict, rtt_s=self._clock.monotonic() - began)

    async def _put_intent(self, standing: _RowProgress, at: datetime) -> None:
        try:
            standing.attempts = await self._intend(standing.row.seq, at=at)
        except anyio.get_cancelled_exc_class():  # it is on disk all the same
            standing.attempts += 1
            await self._put_back(standing, *_INTERRUPTED)
            raise

    async def _conclude(self, standing: _RowProgress, verdict: Verdict, *, rtt_s: float) -> Outcome:
        kind, code, message, status = verdict.kind, verdict.code, verdict.message, verdict.http_status
        if verdict.throttled:
            self._throttled(verdict.retry_after_s, rtt_s)
        match kind:
            case VerdictKind.ENROLLED:
                outcome = await self._word(standing, RowStatus.SUCCESS, code, message, status)
                self._accepted()
                return outcome
            case VerdictKind.REFUSED:
                if reason := await self._see_reason_to_stop(standing, verdict):
                    return await self._refuse_all(standing, code, message, reason)
                outcome = await self._refused(standing, verdict)
                self._accepted()
                return outcome
            case VerdictKind.RETRY:
                return await self._not_accepted(
                    standing,
                    Retryable(
                        code,
                        message,
                        http_status=status,
                        retry_after_s=verdict.retry_after_s,
                        throttled=verdict.throttled,
                    ),
                )
            case VerdictKind.AMBIGUOUS if not verdict.stop_reason:
                return await self._in_doubt(standing, code, message, status)
            case VerdictKind.AMBIGUOUS:
                await self._word(standing, RowStatus.UNKNOWN, code, message, status)
                raise ServiceRefused(verdict.stop_reason, hint=advice_for(code), code=code)
            case VerdictKind.FATAL:
                return await self._refuse_all(standing, code, message, verdict.stop_reason)
        assert_never(kind)

    async def _see_reason_to_stop(self, standing: _RowProgress, verdict: Verdict) -> str:
        try:
            return await self._reason_to_stop(verdict)
        except BaseException:  # what the answer said is known, whatever ends the question
            await self._refused(standing, verdict)
            raise

    async def _refused(self, standing: _RowProgress, verdict: Verdict) -> Outcome:
        # After a doubtful attempt a refusal proves nothing: the first may have been accepted and be its reason.
        word = RowStatus.UNKNOWN if standing.doubt else RowStatus.ERROR
        return await self._word(standing, word, verdict.code, verdict.message, verdict.http_status)

    async def _refuse_all(self, standing: _RowProgress, code: str, message: str, reason: str) -> NoReturn:
        """End the run, since the next row would fare the same; this one stays planned, or in doubt."""
        if await self._settle_doubt(standing) is None:
            await self._put_back(standing, code, message)
        raise ServiceRefused(reason, hint=advice_for(code), code=code)

    async def _give_up(
        self, standing: _RowProgress, code: str, message: str, http_status: int | None = None
    ) -> Outcome:
        """End a row that surely was not accepted, or is in doubt since an earlier attempt."""
        doubt = await self._settle_doubt(standing)
        return doubt or standing.outcome(RowStatus.NOT_SENT, code, message, http_status)

    async def _settle_doubt(self, standing: _RowProgress) -> Outcome | None:
        """Put the doubt of earlier attempts on disk, if there is one."""
        doubt = standing.doubt
        if doubt is None:
            return None
        return await self._word(standing, RowStatus.UNKNOWN, doubt.code, doubt.message, doubt.http_status)

    async def _not_accepted(self, standing: _RowProgress, failure: Retryable) -> NoReturn:
        if standing.doubt is None:
            await self._put_back(standing, failure.code, failure.message)
        raise failure

    async def _in_doubt(self, standing: _RowProgress, code: str, message: str, http_status: int | None) -> Outcome:
        if self._delivery is Delivery.AT_MOST_ONCE:
            return await self._word(standing, RowStatus.UNKNOWN, code, message, http_status)
        standing.doubt = standing.outcome(RowStatus.UNKNOWN, code, message, http_status)
        raise Retryable(code, message, http_status=http_status)

    async def _break_off(self, standing: _RowProgress, flight: TransmissionState, error: BaseException) -> None:
        """Save what is known of a row whose attempt was cancelled, or ran into a fault of the program."""
        if isinstance(error, RunStopped):
            code, message = "stopped", "The run was stopped before this row was accepted"
        elif isinstance(error, Exception):
            code, message = "internal_error", f"A fault of the program ({type(error).__name__}) ended the attempt"
        else:
            code, message = _INTERRUPTED
        if standing.doubt is None and flight.surely_unsent:
            await self._put_back(standing, code, message)
        else:
            await self._word(standing, RowStatus.UNKNOWN, code, message, None)

    async def _put_back(self, standing: _RowProgress, code: str, message: str) -> None:
        await self._release(standing.row.seq, code=code, message=message)

    async def _word(
        self, standing: _RowProgress, status: RowStatus, code: str, message: str, http_status: int | None
    ) -> Outcome:
        """Put the last word on disk, then give it."""
        outcome = standing.outcome(status, code, message, http_status)
        standing.doubt = None
        await self._settle(outcome)
        return outcome


_INTERRUPTED = ("interrupted", "The run was interrupted before the answer came")


def _without_person(verdict: Verdict, row: RowToSend) -> Verdict:
    """Take out of the platform's words what may not be kept."""
    if not verdict.message and not verdict.stop_reason:
        return verdict
    identity = identity_of(row.body)
    message = redact(verdict.message, identity)
    reason = redact(verdict.stop_reason, identity) if verdict.stop_reason else ""
    if message == verdict.message and reason == verdict.stop_reason:
        return verdict
    return replace(verdict, message=message, stop_reason=reason)
