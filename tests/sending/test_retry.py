"""When a row is tried again: only when nothing was accepted, with waits that stay in bounds."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_enroll.errors import Ambiguous, ServiceRefused
from batch_enroll.messages import verbatim
from batch_enroll.sending.classify import Verdict, VerdictKind
from batch_enroll.sending.retry import RetryPolicy, next_wait, with_retries

POLICY = RetryPolicy()


def test_own_waits_double_up_to_a_minute():
    waits = [next_wait(n, retry_after_s=None, policy=POLICY, jitter=0.0) for n in range(1, 9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, None]


@given(
    st.integers(1, 10_000),
    st.none() | st.floats(0, 1e9),
    st.builds(
        RetryPolicy,
        max_attempts=st.integers(1, 20_000),
        first_wait_s=st.floats(0, 100),
        max_wait_s=st.floats(0, 1000),
        give_up_after_s=st.floats(0, 10_000),
    ),
    st.floats(0, 1, exclude_max=True),
)
def test_waits_are_bounded_and_not_below_the_requested_wait(attempt, asked, policy, jitter):
    wait = next_wait(attempt, retry_after_s=asked, policy=policy, jitter=jitter)
    if wait is None:
        assert attempt >= policy.max_attempts or (asked or 0) > policy.give_up_after_s
    else:
        assert (asked or 0) <= wait <= max(policy.max_wait_s, policy.give_up_after_s + policy.first_wait_s)


def test_attempts_count_from_one():
    with pytest.raises(ValueError, match="count from 1"):
        next_wait(0, retry_after_s=None, policy=POLICY, jitter=0.0)


def failing(*failures: Verdict | Exception):
    """An attempt that fails so often and then gives its number."""
    left = list(failures)
    seen: list[int] = []

    async def cycle(number: int) -> int | Verdict:
        seen.append(number)
        result = left.pop(0) if left else number
        if isinstance(result, Exception):
            raise result
        return result

    return cycle, seen


def refused(retry_after_s: float | None = None) -> Verdict:
    return Verdict(
        kind=VerdictKind.RETRY,
        code="throttled",
        message=verbatim("too fast"),
        http_status=429,
        retry_after_s=retry_after_s,
    )


async def test_successful_row_is_tried_once_without_a_wait(clock):
    cycle, seen = failing()
    assert await with_retries(cycle, policy=POLICY, sleep=clock.sleep, jitter=lambda: 0.0) == 1
    assert (seen, clock.sleeps) == ([1], [])


async def test_attempt_number_and_wait_are_reported_before_the_wait(clock):
    cycle, seen = failing(refused(), refused(), refused(5.0))
    told = []
    result = await with_retries(
        cycle,
        policy=POLICY,
        sleep=clock.sleep,
        jitter=lambda: 0.0,
        on_wait=lambda failure, attempt, wait_s: told.append((failure.code, attempt, wait_s, len(clock.sleeps))),
    )
    assert result == 4
    assert seen == [1, 2, 3, 4]
    assert clock.sleeps == [1, 2, 5]
    assert told == [("throttled", 1, 1, 0), ("throttled", 2, 2, 1), ("throttled", 3, 5, 2)]


async def test_exhausted_attempts_give_the_last_verdict(clock):
    verdicts = [refused() for _ in range(8)]
    cycle, seen = failing(*verdicts)
    last = await with_retries(cycle, policy=POLICY, sleep=clock.sleep, jitter=lambda: 0.0)
    assert last is verdicts[-1]
    assert seen == list(range(1, 9))


@pytest.mark.parametrize("error", [Ambiguous("read_timeout"), ServiceRefused(verbatim("s")), ValueError("v")])
@pytest.mark.parametrize("before", [0, 2])
async def test_exception_is_not_retried(clock, error, before):
    cycle, seen = failing(*[refused() for _ in range(before)], error)
    with pytest.raises(type(error)) as caught:
        await with_retries(cycle, policy=POLICY, sleep=clock.sleep, jitter=lambda: 0.0)
    assert caught.value is error
    assert len(seen) == before + 1


@pytest.mark.parametrize(("asked", "words"), [(36_000, "10 hours"), (86_400, "1 day"), (901, "15 minutes")])
@pytest.mark.parametrize("before", [0, 1])
async def test_wait_of_hours_stops_the_run(clock, asked, words, before):
    cycle, _ = failing(*[refused() for _ in range(before)], refused(asked))
    with pytest.raises(ServiceRefused, match=f"asks to wait {words}"):
        await with_retries(cycle, policy=POLICY, sleep=clock.sleep, jitter=lambda: 0.0)
    assert len(clock.sleeps) == before


async def test_cancelled_wait_raises(clock):
    cycle, seen = failing(*[refused() for _ in range(8)])
    with anyio.move_on_after(2.5) as scope:
        await with_retries(cycle, policy=POLICY, sleep=clock.sleep, jitter=lambda: 0.0)
    assert scope.cancelled_caught
    assert seen == [1, 2]


async def test_cancelled_attempt_is_not_retried(clock):
    calls = []

    async def cycle(number: int) -> Verdict | None:
        calls.append(number)
        if number == 1:
            return refused()
        await anyio.sleep(100)
        return None

    with anyio.move_on_after(10) as scope:
        await with_retries(cycle, policy=POLICY, sleep=clock.sleep, jitter=lambda: 0.0)
    assert scope.cancelled_caught
    assert calls == [1, 2]
