"""No second holds more permits than the limit, whatever rows, pauses and timers do; and no fewer than it may.

A limiter that counts in fixed windows has to fail the same property: a test that cannot fail proves nothing.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise
from random import Random

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_enroll.sending.rate_limiter import (
    CLIMB_S,
    LEVEL_S,
    WINDOW_S,
    Limiter,
    RateSchedule,
)
from tests.sending.conftest import VirtualClock
from tests.support.examples import examples


class FixedWindow:
    """The negative control: as many permits as the limit in each second of the clock."""

    def __init__(self, rate_per_s: float) -> None:
        self._limit = math.ceil(rate_per_s)
        self._window = -1
        self._used = 0

    def next_permit_at(self, now: float) -> float:
        return now if math.floor(now) != self._window or self._used < self._limit else float(math.floor(now) + 1)

    def consume(self, now: float) -> None:
        if math.floor(now) != self._window:
            self._window, self._used = math.floor(now), 0
        self._used += 1

    def on_throttled(self, now: float, retry_after_s: float | None, *, jitter: float) -> None:
        pass


def most_in(times: list[float], span_s: float) -> int:
    """Most permits in any half-open span."""
    window: deque[float] = deque()
    most = 0
    for time in times:
        window.append(time)
        while window[0] <= time - span_s:
            window.popleft()
        most = max(most, len(window))
    return most


def simulate(pace: RateSchedule | FixedWindow, events: list[tuple[str, float]]) -> list[float]:
    """Play one queue: rows come after idle times, sleeps last longer than asked, the platform throttles.

    The order of calls is the limiter's: look, sleep until it is due, take.
    """
    now, times = 1000.0, []
    for kind, seconds in events:
        if kind == "idle":
            now += seconds
        elif kind == "throttle":
            pace.on_throttled(now, seconds if seconds > 0.1 else None, jitter=0.5)
        else:
            for _ in range(kind.count("row")):
                while (due := pace.next_permit_at(now)) > now:
                    now = due + seconds  # overslept
                pace.consume(now)
                times.append(now)
    return times


events = st.lists(
    st.tuples(st.just("idle"), st.floats(0, 3) | st.sampled_from([0.5, 0.999, 1.0]))
    | st.tuples(st.just("throttle"), st.floats(0, 2))
    | st.tuples(st.integers(1, 60).map(lambda n: "row " * n), st.just(0.0) | st.floats(0, 0.05) | st.floats(0, 2)),
    max_size=30,
)
rates = st.sampled_from([0.3, 1.0, 2.5, 5.0, 10.0, 50.0]) | st.floats(0.1, 100)


@settings(max_examples=examples(300), deadline=None)
@given(rates, events)
def test_no_window_is_exceeded_in_any_sequence(rate, events):
    times = simulate(RateSchedule(rate), events)
    assert most_in(times, 1.0) <= math.ceil(rate)
    assert most_in(times, 0.1) <= 1.5 * rate * 0.1 + 1


def test_negative_control_fixed_window_fails_the_same_property():
    times = simulate(FixedWindow(10), [("idle", 0.95), ("row " * 10, 0.0), ("idle", 0.1), ("row " * 10, 0.0)])
    assert most_in(times, 1.0) == 20
    assert most_in(times, 0.1) > 1.5 * 10 * 0.1 + 1


@pytest.mark.parametrize("rate", [5, 50, 500, 2000])
@pytest.mark.parametrize(("timer_s", "error"), [(0.0, 0.006), (0.0012, 0.008), (0.0156, 0.018)])
def test_late_timers_hardly_lower_the_mean_rate(rate, timer_s, error):
    timer = Random(1)
    times = simulate(RateSchedule(rate), [("row ", timer.uniform(0, timer_s)) for _ in range(rate * 20)])
    mean = (len(times) - 1) / (times[-1] - times[0])
    assert mean == pytest.approx(rate, rel=error)
    assert most_in(times, 1.0) <= rate
    assert most_in(times, 0.1) <= 1.5 * rate * 0.1 + 1


async def permit(limiter: Limiter) -> None:
    """Take a permit as rows do: at once if one is free, else by waiting."""
    if not limiter.try_acquire():
        await limiter.acquire()


async def release_times(limiter: Limiter, workers: int, seconds: float) -> list[float]:
    times: list[float] = []

    async def worker() -> None:
        while True:
            await permit(limiter)
            times.append(anyio.current_time())

    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as tasks:
            for _ in range(workers):
                tasks.start_soon(worker)
    return times


@pytest.mark.parametrize("rate", [2.5, 10, 100])
async def test_workers_share_one_rate(clock, rate):
    times = await release_times(Limiter(RateSchedule(rate), clock), workers=20, seconds=30)
    assert len(times) == pytest.approx(rate * 30, rel=0.01, abs=2)
    assert most_in(times, 1.0) <= math.ceil(rate)


async def test_permits_are_given_in_request_order(clock):
    limiter = Limiter(RateSchedule(10), clock)
    order = []

    async def worker(number: int) -> None:
        await permit(limiter)
        order.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(30):
            tasks.start_soon(worker, number)
            await anyio.sleep(0.001)
    assert order == list(range(30))


class Oversleeping(VirtualClock):
    """Wakes late, as timers do: between due and awake lies a moment in which somebody else may come."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds + 0.05)


@pytest.mark.parametrize(("now", "wait"), [("try_acquire", "acquire"), ("try_depart", "depart")])
async def test_newcomer_does_not_overtake_waiting_callers(now, wait):
    limiter = Limiter(RateSchedule(1), Oversleeping())
    order = []

    async def worker(number: int) -> None:
        if not getattr(limiter, now)():
            await getattr(limiter, wait)()
        order.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(worker, number)
            await anyio.sleep(0.001)
        while len(order) < 3:
            assert not getattr(limiter, now)()
            await anyio.sleep(0.01)
    assert order == [0, 1, 2]


async def test_no_permit_is_free_while_blocked(clock):
    held = True
    limiter = Limiter(RateSchedule(None), clock, is_blocked=lambda: held)
    assert not limiter.try_acquire()
    held = False
    assert limiter.try_acquire()


async def test_pause_starts_at_once_and_ends_without_a_burst(clock):
    limiter = Limiter(RateSchedule(10), clock)
    began = anyio.current_time()

    async def throttle() -> None:
        await anyio.sleep(2.05)
        limiter.on_throttled(5.0)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(throttle)
        times = [time - began for time in await release_times(limiter, workers=8, seconds=12)]
        tasks.cancel_scope.cancel()
    assert not [time for time in times if 2.05 < time < 7.05]
    after = [time for time in times if time > 7]
    assert after[0] == pytest.approx(7.05)
    assert most_in(after, 1.0) <= 8  # 0.7 of 10, and one at the edge


async def test_unlimited_rate_obeys_a_pause(clock):
    limiter = Limiter(RateSchedule(None), clock)
    for _ in range(1000):
        await permit(limiter)
    began = anyio.current_time()
    limiter.on_throttled(3.0)
    await permit(limiter)
    assert anyio.current_time() - began == pytest.approx(3.0)
    assert limiter.rate_per_s is None


async def test_raised_limit_acts_within_a_second(clock):
    limiter = Limiter(RateSchedule(0.01), clock)
    await permit(limiter)
    began = anyio.current_time()

    async def raise_it() -> None:
        await anyio.sleep(3)
        limiter.set_rate(10)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(raise_it)
        await permit(limiter)
    assert anyio.current_time() - began <= 4


async def test_cancelled_wait_passes_its_permit_on(clock):
    limiter = Limiter(RateSchedule(1), clock)
    await permit(limiter)
    began = anyio.current_time()
    with anyio.move_on_after(0.5):
        await permit(limiter)
    await permit(limiter)
    assert anyio.current_time() - began < 1.1, "the turn of the one who left was lost"


async def test_rate_changes_are_reported(clock):
    told = []
    limiter = Limiter(RateSchedule(10), clock, on_change=lambda rate, pause_s: told.append((rate, pause_s)))
    limiter.on_throttled(2.0)
    limiter.on_throttled(2.0)
    assert told == [(7.0, 2.0)]
    await anyio.sleep(120)
    limiter.on_success()
    assert told[1:] == [(10.0, 0.0)]


def test_one_burst_of_throttling_cuts_the_rate_once():
    pace = RateSchedule(100)
    for _ in range(50):
        pace.on_throttled(0.0, 1.0, jitter=0.0)
    assert pace.rate_per_s == 70
    pace.on_throttled(0.9, 1.0, jitter=0.0)
    assert pace.rate_per_s == 70
    pace.on_throttled(1.0, 1.0, jitter=0.0)
    assert pace.rate_per_s == 49


def test_rate_is_cut_once_per_two_round_trips():
    pace = RateSchedule(100)
    pace.on_throttled(0.0, 1.0, jitter=0.0, rtt_s=5.0)
    pace.on_throttled(9.9, 1.0, jitter=0.0, rtt_s=5.0)
    assert pace.rate_per_s == 70


def test_rate_has_a_floor_and_recovers_within_a_minute():
    pace = RateSchedule(100)
    for second in range(100):
        pace.on_throttled(float(second), 0.0, jitter=0.0)
    assert pace.rate_per_s == 2
    rates: list[float] = []
    for second in range(100, 160):
        pace.on_success(float(second))
        rates.append(pace.rate_per_s)
    assert rates == sorted(rates)
    assert rates[-1] == 100


def test_rate_rises_fast_below_the_refused_rate_and_slow_at_it():
    """What was refused is the best guess of what the platform hides: near it, long and flat; past it, ever steeper."""
    pace = RateSchedule(1000)
    for second in range(5):
        pace.on_throttled(float(second), 0.0, jitter=0.0)  # the last time at 240/s, which became 168
    rates: list[float] = []
    for after_s in (0.1, 2, 6, 9, 12, 24, 39):
        pace.on_success(4.0 + after_s)
        rates.append(pace.rate_per_s or 0.0)
    to_it, _, at_it, past_it, far_past_it, _ = (
        (b - a) / span_s for (a, b), span_s in zip(pairwise(rates), (1.9, 4, 3, 3, 12, 15), strict=True)
    )
    assert rates[2] == pytest.approx(0.95 * 240.1, rel=0.01)
    assert at_it < past_it < far_past_it
    assert at_it < to_it / 10


@pytest.mark.parametrize("limit_per_s", [1.0, 10.0, 500.0])
def test_single_throttled_answer_costs_little(limit_per_s):
    pace = RateSchedule(limit_per_s)
    pace.on_throttled(0.0, 1.0, jitter=0.0)
    pace.on_success(1.0 + LEVEL_S)
    assert pace.rate_per_s == pytest.approx(0.95 * limit_per_s)
    pace.on_success(1.0 + CLIMB_S)
    assert pace.rate_per_s == limit_per_s


def test_untimed_pauses_double_up_to_a_minute():
    pace, now, pauses = RateSchedule(100), 0.0, []
    for _ in range(9):
        pace.on_throttled(now, None, jitter=0.0)
        pauses.append(pace.paused_until - now)
        now = pace.paused_until + 1
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    pace.on_success(now)
    pace.on_throttled(now, None, jitter=0.0)
    assert pace.paused_until - now == 1


def test_late_success_does_not_end_a_pause_or_raise_the_rate():
    pace = RateSchedule(100)
    pace.on_throttled(0.0, 10.0, jitter=0.0)
    pace.on_success(5.0)
    assert (pace.rate_per_s, pace.paused_until) == (70, 10.0)


@pytest.mark.parametrize("rate", [0, -1, math.inf, math.nan])
def test_rate_must_be_above_zero(rate):
    with pytest.raises(ValueError, match="above 0"):
        RateSchedule(rate)


def test_lowered_limit_counts_recent_requests():
    pace = RateSchedule(100)
    times = simulate(pace, [("row " * 50, 0.0)])
    pace.set_rate(10)
    assert pace.next_permit_at(times[-1]) >= times[-10] + WINDOW_S


@given(
    rate=st.sampled_from((1.0, 2.5, 10.0, 37.0)),
    delays=st.lists(st.floats(0.0, 0.4), min_size=1, max_size=120),
)
def test_no_departure_second_exceeds_the_limit(rate, delays):
    """The write to disk before a request leaves takes now 1 ms and now 400."""
    pace = RateSchedule(rate)
    ready = sorted(number / rate + delay for number, delay in enumerate(delays))
    gone: list[float] = []
    for moment in ready:
        now = max(moment, gone[-1] if gone else 0.0)
        gone.append(pace.next_departure_at(now))
        pace.record_departure(gone[-1])
    for start in gone:
        assert sum(start <= other < start + 1.0 for other in gone) <= math.ceil(rate)


@given(
    rate=st.sampled_from((5.0, 50.0, 500.0)),
    ways=st.lists(st.floats(0.0, WINDOW_S - 1.0, exclude_max=True), min_size=1, max_size=200),
)
def test_no_arrival_second_exceeds_the_limit(rate, ways):
    """Full at every moment: as many as may leave do, and each takes a little longer or shorter to arrive."""
    pace, now, arrived = RateSchedule(rate), 0.0, []
    for number in range(int(rate * 2.5)):
        now = pace.next_departure_at(now)
        pace.record_departure(now)
        arrived.append(now + ways[number % len(ways)])
    assert most_in(sorted(arrived), 1.0) <= rate


def test_negative_control_without_departure_check_exceeds_limit():
    """The negative control: the same delays, and permits alone."""
    rate = 10.0
    gone = sorted(number / rate + (0.4 if number < 4 else 0.0) for number in range(30))
    assert max(sum(start <= other < start + 1.0 for other in gone) for start in gone) > rate


def test_a_lower_limit_in_between_forgets_no_permit():
    """The rate is set to 240, to 20 and back to 240 within a second: the second still holds at most 240."""
    schedule, now, left = RateSchedule(60.0), 0.0, []
    changes = [(0.5, 240.0), (1.0, 20.0), (1.0, 240.0)]
    while now < 3.0:
        due = max(now, schedule.next_permit_at(now))
        while changes and changes[0][0] <= due:
            now, rate = changes.pop(0)
            schedule.set_rate(rate)
            due = max(now, schedule.next_permit_at(now))
        schedule.consume(due)
        now = max(due, schedule.next_departure_at(due))
        schedule.record_departure(now)
        left.append(now)
    assert max(sum(begin <= time < begin + 1.0 for time in left) for begin in left) == 240
