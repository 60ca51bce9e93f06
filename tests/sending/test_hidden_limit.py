"""A platform that does not tell its limit: most of it is used, and few requests are refused.

In virtual time `RateSchedule` decides, the sandbox's sliding window refuses, and refused rows come back as the retry
policy says. A linear climb has to fail the same rule.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass
from itertools import count
from random import Random

import pytest

from batch_enroll.sandbox.sliding_window import RateGate
from batch_enroll.sending.rate_limiter import RateSchedule
from batch_enroll.sending.retry import RetryPolicy, next_wait

PHASE_S = 60.0
HIDDEN_PER_S = (200.0, 60.0, 200.0)
IN_FLIGHT = 64


class StraightLine(RateSchedule):
    """The negative control: the same cuts, and from there up to the limit in a minute at one slope."""

    def __init__(self, rate_per_s: float) -> None:
        super().__init__(rate_per_s)
        self._last_rise = 0.0

    def on_success(self, now: float) -> bool:
        if now < self._climb_from:
            return False
        assert self._limit is not None
        assert self._rate is not None
        risen_s = now - max(self._last_rise, self._climb_from)
        self._rate = min(self._limit, self._rate + self._limit * risen_s / 60.0)
        self._last_rise = now
        return False


@dataclass
class Played:
    """What came of it."""

    used: float  #: of all that the platform would have taken
    refused: float  #: of all requests


def play(pace: RateSchedule, *, latency_s: float) -> Played:
    """Send as fast as the pace allows, with more rows than time."""
    luck, serial = Random(1), count()
    ready = deque([1] * IN_FLIGHT)  #: the number of the attempt that each worker wants to make
    arriving: list[tuple[float, int, int]] = []
    coming_back: list[tuple[float, int, int]] = []
    taken = refused = 0
    gate, phase, now = RateGate(HIDDEN_PER_S[0]), 0, 0.0
    while True:
        may_leave = pace.next_permit_at(now) if ready else math.inf
        now = max(now, min(may_leave, *(heap[0][0] for heap in (arriving, coming_back) if heap), math.inf))
        if now >= PHASE_S * len(HIDDEN_PER_S):
            offered = sum(HIDDEN_PER_S) * PHASE_S
            return Played(used=taken / offered, refused=refused / (taken + refused))
        if now // PHASE_S != phase:
            phase = int(now // PHASE_S)
            gate = RateGate(HIDDEN_PER_S[phase])
        if coming_back and coming_back[0][0] <= now:
            ready.append(heapq.heappop(coming_back)[2])
        elif arriving and arriving[0][0] <= now:
            _, _, attempt = heapq.heappop(arriving)
            full_for_s = gate.try_pass(now)
            if full_for_s is None:
                taken += 1
                pace.on_success(now)
                ready.append(1)
                continue
            refused += 1
            asked = max(1.0, math.ceil(full_for_s))
            pace.on_throttled(now, asked, jitter=luck.random(), rtt_s=latency_s)
            wait_s = next_wait(attempt, retry_after_s=asked, policy=RetryPolicy(), jitter=luck.random())
            assert wait_s is not None, "a row used up its attempts"
            heapq.heappush(coming_back, (now + wait_s, next(serial), attempt + 1))
        elif pace.next_permit_at(now) <= now:
            pace.consume(now)
            heapq.heappush(arriving, (now + latency_s + luck.random() * 0.002, next(serial), ready.popleft()))


@pytest.mark.parametrize("rate_per_s", [250.0, 500.0, 1000.0])
@pytest.mark.parametrize("latency_s", [0.001, 0.05])
def test_changing_hidden_limit_is_found_and_used(rate_per_s, latency_s):
    played = play(RateSchedule(rate_per_s), latency_s=latency_s)
    assert played.used >= 0.75
    assert played.refused < 0.02


def test_linear_increase_wastes_too_many_requests():
    assert play(StraightLine(1000.0), latency_s=0.05).used < 0.75
