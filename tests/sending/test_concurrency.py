"""A pool whose workers become more and fewer while it works: no row lost, none doubled, never more than wished."""

from __future__ import annotations

import math
from random import Random

import anyio
import pytest
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_enroll.sending.concurrency import ConcurrencyLimit
from batch_enroll.sending.rate_limiter import Limiter, RateSchedule
from batch_enroll.sending.stop_signal import StopRequested, StopSignal
from batch_enroll.sending.worker_pool import run_pool
from tests.support.examples import examples


def in_virtual_time(scenario):
    anyio.run(scenario, backend="trio", backend_options={"clock": trio.testing.MockClock(autojump_threshold=0)})


async def blocks(count, size, *, gap_s=0.0):
    for first in range(0, count, size):
        await anyio.sleep(gap_s)
        yield range(first, min(first + size, count))


async def at(seconds, act):
    await anyio.sleep(seconds)
    act()


wishes = st.lists(st.tuples(st.floats(0, 40), st.integers(1, 12)), max_size=12)


@settings(max_examples=examples(150), deadline=None)
@given(
    st.integers(0, 80),
    st.integers(1, 12),
    wishes,
    st.none() | st.floats(0, 40),
    st.sampled_from([0.0, 0.5, 5.0]),
    st.integers(0, 10_000),
)
def test_any_schedule_sends_each_row_once_within_the_limit(count, size, wishes, stop_at, gap_s, seed):
    """Whatever concurrency is requested, no row is lost or sent twice and no more rows run than requested."""
    luck, begun, ended = Random(seed), [], []

    async def scenario() -> None:
        stop = StopSignal()
        team = ConcurrencyLimit(size, stop=stop)

        async def work(row: int) -> None:
            begun.append(row)
            assert team.busy <= team.size, "a row began although too many run already"
            await anyio.sleep(luck.choice([0.0, 0.1, 3.0]))
            ended.append(row)

        async with anyio.create_task_group() as tasks:
            for moment, wished in wishes:
                tasks.start_soon(at, moment, lambda wished=wished: team.resize(wished))
            if stop_at is not None:
                tasks.start_soon(at, stop_at, stop.set)
            await run_pool(blocks(count, 7, gap_s=gap_s), work, workers=team, stop=stop)
            assert (team.present, team.busy, team.start_workers) == (0, 0, None)
            tasks.cancel_scope.cancel()

    in_virtual_time(scenario)
    assert len(begun) == len(set(begun))
    assert sorted(begun) == sorted(ended), "a row was given up"
    assert sorted(begun) == list(range(len(begun))), "a row was left out"
    if stop_at is None:
        assert len(begun) == count


async def test_new_workers_start_at_once():
    team, running = ConcurrencyLimit(2), []

    async def work(row: int) -> None:
        running.append(anyio.current_time())
        await anyio.sleep(10)

    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(at, 5, lambda: team.resize(6))
        await run_pool(blocks(12, 50), work, workers=team, stop=StopSignal())
    assert [round(moment - began) for moment in running] == [0, 0, 5, 5, 5, 5, 10, 10, 15, 15, 15, 15]


async def test_excess_workers_finish_their_row_first():
    team, begun = ConcurrencyLimit(4), []

    async def work(row: int) -> None:
        begun.append(anyio.current_time())
        await anyio.sleep(10)

    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(at, 5, lambda: team.resize(1))
        await run_pool(blocks(7, 50), work, workers=team, stop=StopSignal())
    assert [round(moment - began) for moment in begun] == [0, 0, 0, 0, 10, 20, 30]


async def test_change_after_the_last_row_starts_no_worker():
    team = ConcurrencyLimit(2)

    async def work(row: int) -> None:
        await anyio.sleep(1)

    await run_pool(blocks(4, 2), work, workers=team, stop=StopSignal())
    team.resize(5)
    assert (team.size, team.present) == (5, 0)


async def test_limit_serves_one_pool_after_another():
    team, done = ConcurrencyLimit(3), []

    async def work(row: int) -> None:
        await anyio.sleep(1)
        done.append(row)

    await run_pool(blocks(5, 2), work, workers=team, stop=StopSignal())
    team.resize(1)
    began = anyio.current_time()
    await run_pool(blocks(5, 2), work, workers=team, stop=StopSignal())
    assert anyio.current_time() - began == pytest.approx(5)
    assert len(done) == 10


@pytest.mark.parametrize("size", [0, -1])
def test_concurrency_is_at_least_one(size):
    with pytest.raises(ValueError, match="at least one"):
        ConcurrencyLimit(size)
    with pytest.raises(ValueError, match="at least one"):
        ConcurrencyLimit(1).resize(size)


class Sending:
    """Rows that go through pool, permit and answer as real ones do; counts those whose answer is awaited."""

    def __init__(self, clock, *, rate, size, answer_s):
        self.stop = StopSignal()
        self.team = ConcurrencyLimit(size, stop=self.stop)
        self.limiter = Limiter(RateSchedule(rate), clock, is_blocked=self.team.is_blocked)
        self.left: list[float] = []
        self.flying = self.most = 0
        self._answer_s = answer_s
        self._began = anyio.current_time()

    def now(self):
        return anyio.current_time() - self._began

    async def work(self, row: int) -> None:
        try:
            await self.stop.unless_set(self.limiter.acquire)
        except StopRequested:
            return
        self.left.append(self.now())
        self.flying += 1
        assert self.team.in_flight == self.flying, "what is told is not what is"
        self.most = max(self.most, self.flying)
        await anyio.sleep(self._answer_s)
        self.flying -= 1

    async def go(self, rows, *wishes):
        async with anyio.create_task_group() as tasks:
            for seconds, act in wishes:
                tasks.start_soon(at, seconds, act)
            await run_pool(blocks(rows, 50), self.work, workers=self.team, stop=self.stop)
            tasks.cancel_scope.cancel()


def most_in(times, span_s):
    return max(sum(begin <= time < begin + span_s for time in times) for begin in times)


@pytest.mark.parametrize("rate", [5.0, 100.0, None])
async def test_pause_lets_requests_in_flight_finish(clock, rate):
    sending = Sending(clock, rate=rate, size=8, answer_s=0.3)
    seen = []
    await sending.go(
        400 if rate != 5.0 else 60,
        (2.0, sending.team.pause),
        (2.5, lambda: seen.append(sending.team.in_flight)),
        (900.0, sending.team.resume),
    )
    assert seen == [0]
    assert not [time for time in sending.left if 2.0 < time < 900.0]
    after = [time for time in sending.left if time >= 900.0]
    assert after[0] == pytest.approx(900.0, abs=0.1)
    if rate is not None:
        assert most_in(after, 1.0) <= math.ceil(rate)
        assert most_in(after, 0.1) <= 1.5 * rate * 0.1 + 1


async def test_stop_ends_a_pause(clock):
    sending = Sending(clock, rate=10, size=4, answer_s=0.1)
    await sending.go(1000, (1.0, sending.team.pause), (60.0, sending.stop.set))
    assert sending.now() == pytest.approx(60.0, abs=0.2)


async def test_waiting_rows_do_not_count_as_running(clock):
    sending = Sending(clock, rate=20, size=60, answer_s=5.0)
    begun: list[int] = []
    await sending.go(120, (2.0, lambda: sending.team.resize(2)), (2.01, lambda: begin_to_count(sending, begun)))
    assert 30 < begun[0] < 60
    after = sending.left[begun[0] :]
    assert after[0] > 6.5, "a row left while more than two answers were awaited"
    assert max(sum(begin - 4.99 < time <= begin for time in after) for begin in after) == 2


def begin_to_count(sending, begun):
    begun.append(len(sending.left))


@settings(max_examples=examples(60), deadline=None)
@given(
    st.sampled_from([3.0, 10.0, 60.0]),
    st.lists(
        st.tuples(st.floats(0, 20), st.sampled_from(["pause", "resume", "more", "fewer", "faster", "slower"])),
        max_size=10,
    ),
)
def test_no_second_exceeds_its_highest_limit(virtual_clock, rate, wishes):
    async def scenario() -> None:
        sending = Sending(virtual_clock, rate=rate, size=6, answer_s=0.2)
        limits = [(0.0, rate)]

        def set_rate(to):
            sending.limiter.set_rate(to)
            limits.append((sending.now(), to))

        acts = {
            "pause": sending.team.pause,
            "resume": sending.team.resume,
            "more": lambda: sending.team.resize(20),
            "fewer": lambda: sending.team.resize(1),
            "faster": lambda: set_rate(rate * 4),
            "slower": lambda: set_rate(rate / 3),
        }
        await sending.go(
            int(rate * 25), *((moment, acts[wish]) for moment, wish in wishes), (30.0, sending.team.resume)
        )
        assert len(sending.left) == int(rate * 25)
        for begin in sending.left:
            held = [to for moment, to in limits if moment <= begin][-1:] + [
                to for moment, to in limits if begin < moment < begin + 1.0
            ]
            assert sum(begin <= time < begin + 1.0 for time in sending.left) <= math.ceil(max(held))

    in_virtual_time(scenario)
