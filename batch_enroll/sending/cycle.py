"""One row from its permit to its last word, with everything on disk at the moment when it must be.

In: a row's body and the functions of the other stages. Out: one `Outcome`, or the reason why the run must stop; either
way the ledger knows the row's state. Never: a second request for a row that may have been accepted, unless delivery is
at-least-once; a message with personal data.

Each attempt: permit -> intent on disk -> send -> classify -> outcome on disk -> told to anyone. The permit comes first,
so that a row that waits for its turn is not yet in doubt; the ledger's writes are shielded from cancellation, so that a
row that was sent is never taken for one that was not.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NoReturn, Protocol, assert_never

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from batch_enroll.advice import advice_for
from batch_enroll.clock import Clock
from batch_enroll.errors import Ambiguous, Retryable, RunStopped, ServiceRefused
from batch_enroll.model import Delivery, Outcome, RowStatus
from batch_enroll.sending.classify import Answer, Verdict, VerdictKind
from batch_enroll.sending.flight import Flight, Stopped, StopSignal
from batch_enroll.sending.retry import RetryPolicy, with_retries
from batch_enroll.sending.wire import identity_of, redact


@dataclass(frozen=True, slots=True, kw_only=True)
class RowToSend:
    """A planned row with what it will send."""

    seq: int  #: place in the plan, from 1
    number: int  #: the row number that people see
    body: str  #: the request's JSON without the token

    def __repr__(self) -> str:
        """Name the row without the person."""
        return f"RowToSend(seq={self.seq}, number={self.number})"


class Intend(Protocol):
    """Puts on disk that a request is about to leave; gives the attempt's number."""

    async def __call__(self, seq: int, *, at: datetime) -> int: ...


class Release(Protocol):
    """Puts on disk that surely nothing was accepted."""

    async def __call__(self, seq: int, *, code: str, message: str) -> None: ...


OnRetry = Callable[[RowToSend, Retryable, int, float], None]
"""Called with the row, its failure, the attempt's number and the seconds until the next."""


async def enroll_row(
    row: RowToSend,
    *,
    permit: Callable[[], Awaitable[None]],
    intend: Intend,
    send: Callable[[str, Flight], Awaitable[Answer]],
    classify: Callable[[Answer], Verdict],
    release: Release,
    settle: Callable[[Outcome], Awaitable[None]],
    clock: Clock,
    stop: StopSignal,
    depart: Callable[[], Awaitable[None]] | None = None,
    policy: RetryPolicy | None = None,
    delivery: Delivery = Delivery.AT_MOST_ONCE,
    jitter: Callable[[], float] = random.random,
    throttled: Callable[[float | None, float], None] = lambda retry_after_s, rtt_s: None,
    accepted: Callable[[], None] = lambda: None,
    on_retry: OnRetry = lambda row, failure, attempt, wait_s: None,
) -> Outcome:
    """Enroll one row, in as many attempts as are safe and allowed.

    Args:
        stop: ends the waits for a permit and for the next attempt, and nothing else.
        depart: the last look at the pace, when the intent is on disk and the request may leave.
        throttled: told at once that the platform said "too fast", with its Retry-After and the answer's time, seconds.
        accepted: told at once that the platform kept up.
    Returns:
        The outcome, already on disk. NOT_SENT (`attempts_used_up`, `stopped`) is no state there: the row stays planned.
    Raises:
        ServiceRefused: the next row would fare the same; this row is planned again, or unknown.
        LedgerError: the disk does not take a word on the row; it is shown as unknown.
        Exception: a fault of the program; the row is planned again if surely nothing was sent, else unknown.
    """
    cycle = _RowCycle(
        row=row,
        permit=permit,
        intend=intend,
        send=send,
        classify=classify,
        release=release,
        settle=settle,
        clock=clock,
        stop=stop,
        depart=depart,
        delivery=delivery,
        throttled=throttled,
        accepted=accepted,
    )

    async def sleep(seconds: float) -> None:
        await stop.unless_set(lambda: clock.sleep(seconds))

    try:
        return await with_retries(
            cycle.attempt,
            policy=policy or RetryPolicy(),
            sleep=sleep,
            jitter=jitter,
            on_wait=lambda failure, attempt, wait_s: on_retry(row, failure, attempt, wait_s),
        )
    except Retryable as failure:
        message = f"{failure.message} (attempt {cycle.attempts}, the last)"
        return await cycle.give_up("attempts_used_up", message, failure.http_status)
    except Stopped:
        return await cycle.give_up("stopped", "The run was stopped before this row was accepted")
    except BaseException:
        await cycle.settle_doubt()
        raise


@dataclass(slots=True, kw_only=True)
class _RowCycle:
    """What is known of one row between its first permit and its last word."""

    row: RowToSend
    permit: Callable[[], Awaitable[None]]
    intend: Intend
    send: Callable[[str, Flight], Awaitable[Answer]]
    classify: Callable[[Answer], Verdict]
    release: Release
    settle: Callable[[Outcome], Awaitable[None]]
    clock: Clock
    stop: StopSignal
    depart: Callable[[], Awaitable[None]] | None
    delivery: Delivery
    throttled: Callable[[float | None, float], None]
    accepted: Callable[[], None]
    attempts: int = 0
    sent_at: datetime | None = None
    doubt: Outcome | None = None
    """At-least-once only: what to say when no later attempt brings a clear word. While it is set the intent stays on
    disk, so that a crash between two attempts finds the row in doubt and not planned."""

    async def attempt(self, _number: int) -> Outcome:
        """Make one attempt. Raises Retryable when another may follow."""
        await self.stop.unless_set(self.permit)
        self.sent_at = self.clock.now()
        if self.doubt is None:
            with anyio.CancelScope(shield=True):  # a cancelled wait would not tell whether the intent is on disk
                self.attempts = await self.intend(self.row.seq, at=self.sent_at)
        else:
            self.attempts += 1
        flight = Flight(surely_unsent=True)
        began = self.clock.monotonic()
        try:
            if self.depart is not None:
                await self.depart()
            await checkpoint_if_cancelled()
            flight.surely_unsent = False  # from here on in doubt, unless the sender says otherwise
            answer = await self.send(self.row.body, flight)
            verdict = self._without_person(self.classify(answer))
        except Retryable as failure:
            return await self._not_accepted(failure)
        except Ambiguous as failure:
            return await self._in_doubt(failure.code, failure.message, failure.http_status)
        except BaseException as error:
            await self._break_off(flight, error)
            raise
        return await self._conclude(verdict, rtt_s=self.clock.monotonic() - began)

    async def give_up(self, code: str, message: str, http_status: int | None = None) -> Outcome:
        """End a row that surely was not accepted, or is in doubt since an earlier attempt."""
        return await self.settle_doubt() or self._outcome(RowStatus.NOT_SENT, code, message, http_status)

    async def settle_doubt(self) -> Outcome | None:
        """Put the doubt of earlier attempts on disk, if there is one."""
        if self.doubt is None:
            return None
        doubt, self.doubt = self.doubt, None
        return await self._word(RowStatus.UNKNOWN, doubt.code, doubt.message, doubt.http_status)

    async def _conclude(self, verdict: Verdict, *, rtt_s: float) -> Outcome:
        kind, code, message, status = verdict.kind, verdict.code, verdict.message, verdict.http_status
        if verdict.throttled:
            self.throttled(verdict.retry_after_s, rtt_s)
        match kind:
            case VerdictKind.ENROLLED:
                outcome = await self._word(RowStatus.SUCCESS, code, message, status)
                self.accepted()
                return outcome
            case VerdictKind.REFUSED:
                # After a doubtful attempt a refusal proves nothing: the first may have been accepted and be its reason.
                word = RowStatus.UNKNOWN if self.doubt else RowStatus.ERROR
                outcome = await self._word(word, code, message, status)
                self.accepted()
                return outcome
            case VerdictKind.RETRY:
                return await self._not_accepted(
                    Retryable(
                        code,
                        message,
                        http_status=status,
                        retry_after_s=verdict.retry_after_s,
                        throttled=verdict.throttled,
                    )
                )
            case VerdictKind.AMBIGUOUS if not verdict.stop_reason:
                return await self._in_doubt(code, message, status)
            case VerdictKind.AMBIGUOUS:
                await self._word(RowStatus.UNKNOWN, code, message, status)
                raise ServiceRefused(verdict.stop_reason, hint=advice_for(code), code=code)
            case VerdictKind.FATAL:
                if await self.settle_doubt() is None:
                    await self._put_back(code, message)
                raise ServiceRefused(verdict.stop_reason, hint=advice_for(code), code=code)
        assert_never(kind)

    def _without_person(self, verdict: Verdict) -> Verdict:
        identity = identity_of(self.row.body)
        message, reason = redact(verdict.message, identity), redact(verdict.stop_reason, identity)
        if message == verdict.message and reason == verdict.stop_reason:
            return verdict
        return replace(verdict, message=message, stop_reason=reason)

    async def _not_accepted(self, failure: Retryable) -> NoReturn:
        if self.doubt is None:
            await self._put_back(failure.code, failure.message)
        raise failure

    async def _in_doubt(self, code: str, message: str, http_status: int | None) -> Outcome:
        if self.delivery is Delivery.AT_MOST_ONCE:
            return await self._word(RowStatus.UNKNOWN, code, message, http_status)
        self.doubt = self._outcome(RowStatus.UNKNOWN, code, message, http_status)
        raise Retryable(code, message, http_status=http_status)

    async def _break_off(self, flight: Flight, error: BaseException) -> None:
        """Save what is known of a row whose attempt was cancelled, or ran into a fault of the program."""
        if isinstance(error, RunStopped):
            code, message = "stopped", "The run was stopped before this row was accepted"
        elif isinstance(error, Exception):
            code, message = "internal_error", f"A fault of the program ({type(error).__name__}) ended the attempt"
        else:
            code, message = "interrupted", "The run was interrupted before the answer came"
        if self.doubt is None and flight.surely_unsent:
            await self._put_back(code, message)
        else:
            await self._word(RowStatus.UNKNOWN, code, message, None)

    async def _put_back(self, code: str, message: str) -> None:
        with anyio.CancelScope(shield=True):
            await self.release(self.row.seq, code=code, message=message)

    async def _word(self, status: RowStatus, code: str, message: str, http_status: int | None) -> Outcome:
        """Put the last word on disk, then give it."""
        outcome = self._outcome(status, code, message, http_status)
        self.doubt = None
        with anyio.CancelScope(shield=True):
            await self.settle(outcome)
        return outcome

    def _outcome(self, status: RowStatus, code: str, message: str, http_status: int | None) -> Outcome:
        return Outcome(
            seq=self.row.seq,
            status=status,
            code=code,
            message=message,
            http_status=http_status,
            attempts=self.attempts,
            sent_at=self.sent_at,
        )
