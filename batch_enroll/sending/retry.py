"""When a row is tried again, and after how long; the retries are made by tenacity."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar, cast

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from batch_enroll.errors import ServiceRefused
from batch_enroll.messages import Message, message
from batch_enroll.sending.classify import Verdict

T = TypeVar("T")
OnWait = Callable[[Verdict, int, float], None]
"""Called with the verdict, the attempt's number from 1, and the seconds until the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how long a row is tried."""

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
    attempt: Callable[[int], Awaitable[T | Verdict]],
    *,
    policy: RetryPolicy,
    sleep: Callable[[float], Awaitable[None]],
    jitter: Callable[[], float],
    on_wait: OnWait | None = None,
) -> T | Verdict:
    """Make the attempts of one row, numbered from 1, until one gives something else than a verdict.

    Args:
        attempt: gives a verdict when the row surely was not accepted, or may be sent again all the same.
    Returns:
        What the last attempt gave; a verdict when the policy allows no more.
    Raises:
        ServiceRefused: the platform asks for a longer wait than the policy allows.
    """
    first = await attempt(1)
    if not isinstance(first, Verdict):
        return first
    # tenacity costs 20 to 30 microseconds a call, so only rows that need it pay; it is given their first verdict again.
    numbers = count(1)

    async def repeat() -> T | Verdict:
        number = next(numbers)
        return first if number == 1 else await attempt(number)

    def wait(state: RetryCallState) -> float:
        asked = _verdict(state).retry_after_s
        return next_wait(state.attempt_number, retry_after_s=asked, policy=policy, jitter=jitter()) or 0.0

    def stop(state: RetryCallState) -> bool:
        asked = _verdict(state).retry_after_s
        if asked is not None and _asks_too_much(asked, policy):
            raise ServiceRefused(message("sending.asked_to_wait", wait=_duration(asked)))
        return next_wait(state.attempt_number, retry_after_s=None, policy=policy, jitter=0.0) is None

    def before_sleep(state: RetryCallState) -> None:
        if on_wait is not None:
            on_wait(_verdict(state), state.attempt_number, float(state.upcoming_sleep))

    retrying = AsyncRetrying(
        sleep=sleep,
        wait=wait,
        stop=stop,
        retry=retry_if_result(lambda result: isinstance(result, Verdict)),
        before_sleep=before_sleep,
        retry_error_callback=_verdict,
    )
    return await retrying(repeat)


def _verdict(state: RetryCallState) -> Verdict:
    assert state.outcome is not None
    return cast(Verdict, state.outcome.result())


def _asks_too_much(retry_after_s: float | None, policy: RetryPolicy) -> bool:
    return retry_after_s is not None and retry_after_s > policy.give_up_after_s


def _duration(seconds: float) -> Message:
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= size:
            return Message(f"sending.{unit}", {"count": round(seconds / size)})
    return message("sending.seconds", count=round(seconds))
