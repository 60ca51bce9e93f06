"""The home of tenacity: when a row is tried again, and after how long.

In: an attempt that raises `Retryable` when it surely changed nothing. Out: its result, after as many attempts as the
policy allows. Never: a retry of anything else; a look at what the attempt does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from batch_enroll.errors import Retryable, ServiceRefused

T = TypeVar("T")
OnWait = Callable[[Retryable, int, float], None]
"""Called with the failure, the attempt's number from 1, and the seconds until the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How patient a row is."""

    max_attempts: int = 8
    first_wait_s: float = 1.0
    max_wait_s: float = 60.0  #: of our own waits, which double each time; what the platform asks for may be longer
    give_up_after_s: float = 900.0  #: the longest wait that the platform may ask for


def next_wait(attempt: int, *, retry_after_s: float | None, policy: RetryPolicy, jitter: float) -> float | None:
    """Decide how long to wait after a failed attempt.

    Args:
        attempt: the one that just failed, from 1.
        retry_after_s: what the platform asked for, seconds; None if nothing.
        jitter: drawn by the caller, 0 <= jitter < 1; it shortens our own wait by up to half and lengthens theirs.
    Returns:
        Seconds, at least 0 and never less than asked for; None when the policy allows no further attempt.
    Raises:
        ValueError: attempt is below 1.
    Source: Retry-After is RFC 9110, section 10.2.3.
    """
    if attempt < 1:
        raise ValueError(f"attempts count from 1, not {attempt}")
    if attempt >= policy.max_attempts or _asks_too_much(retry_after_s, policy):
        return None
    doubled = policy.first_wait_s * 2.0 ** min(attempt - 1, 60)
    own = min(policy.max_wait_s, doubled) * (1.0 - jitter / 2)
    if retry_after_s is None:
        return own
    return max(own, retry_after_s + jitter * policy.first_wait_s)


async def with_retries(
    cycle: Callable[[int], Awaitable[T]],
    *,
    policy: RetryPolicy,
    sleep: Callable[[float], Awaitable[None]],
    jitter: Callable[[], float],
    on_wait: OnWait | None = None,
) -> T:
    """Run the attempts of one row, numbered from 1, until one does not raise `Retryable`.

    Raises:
        Retryable: the last attempt's, when the policy allows no more.
        ServiceRefused: the platform asks for a longer wait than the policy allows.
    """
    try:
        return await cycle(1)
    except Retryable as error:
        first = error
    # tenacity costs 20 to 30 microseconds a call, so only rows that need it pay; it meets their first failure again.

    def wait(state: RetryCallState) -> float:
        asked = _failure(state).retry_after_s
        return next_wait(state.attempt_number, retry_after_s=asked, policy=policy, jitter=jitter()) or 0.0

    def stop(state: RetryCallState) -> bool:
        failure = _failure(state)
        if _asks_too_much(failure.retry_after_s, policy):
            raise _refusal(failure) from failure
        return next_wait(state.attempt_number, retry_after_s=None, policy=policy, jitter=0.0) is None

    def before_sleep(state: RetryCallState) -> None:
        if on_wait is not None:
            on_wait(_failure(state), state.attempt_number, float(state.upcoming_sleep))

    retrying = AsyncRetrying(
        sleep=sleep,
        wait=wait,
        stop=stop,
        retry=retry_if_exception_type(Retryable),
        before_sleep=before_sleep,
        reraise=True,
    )
    async for attempt in retrying:
        with attempt:
            number = attempt.retry_state.attempt_number
            if number == 1:
                raise first
            return await cycle(number)
    raise AssertionError("tenacity ends by a result or an exception")


def _failure(state: RetryCallState) -> Retryable:
    failure = state.outcome.exception() if state.outcome else None
    assert isinstance(failure, Retryable)
    return failure


def _asks_too_much(retry_after_s: float | None, policy: RetryPolicy) -> bool:
    return retry_after_s is not None and retry_after_s > policy.give_up_after_s


def _refusal(failure: Retryable) -> ServiceRefused:
    return ServiceRefused(
        f"The platform asks to wait {_spoken(failure.retry_after_s or 0.0)} before the next request.",
        hint="Give the same command again after that time; it carries on where it stopped.",
    )


def _spoken(seconds: float) -> str:
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = round(seconds / size)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{round(seconds)} seconds"
