"""The rate limiter: never more requests in any second than allowed, evenly, and fewer when the platform asks for it.

`RateSchedule` is arithmetic alone: GCRA (the generic cell rate algorithm) with a small tolerance that makes up for
timers which oversleep, and a log of the last second that holds the limit whatever the timers do. `Limiter` waits by it.

After a refusal the rate follows the curve of CUBIC (RFC 9438, section 4.2): quickly back to just under what was
refused, flat there, then ever steeper to the limit. A straight line meets a hidden limit at full slope each time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Final

import anyio

from batch_enroll.clock import Clock

CATCH_UP_S: Final = 0.020
"""How far behind its plan a permit may be and still not delay the next; timers oversleep by 1 to 15 ms."""

WINDOW_S: Final = 1.005
"""Any span of this length holds at most the limit: one second, and what the way to the platform varies by.

Departures 1.000 s apart may arrive 0.996 s apart. The price is a mean 0.5 % below the limit.
"""

CUT: Final = 0.7
CUT_EVERY_S: Final = 1.0  #: answers of one burst cut once, not fifty times
LEVEL: Final = 0.95  #: of the rate that was refused: what the climb makes for first
LEVEL_S: Final = 7.0  #: until it is there
CLIMB_S: Final = 40.0  #: from a cut back to the limit
FLOOR: Final = 0.02  #: of the limit
MAX_PAUSE_S: Final = 60.0  #: of our own pauses, 1, 2, 4 ... s, when the platform does not say how long

_LONGEST_SLEEP_S: Final = 1.0  #: then check again: a pause may be over, a limit raised
_BLOCKED_SLEEP_S: Final = 0.05  #: between two checks while permits are blocked; only the first in the queue checks


class RateSchedule:
    """The arithmetic of one limit. Times are readings of one monotonic clock, seconds."""

    def __init__(self, rate_per_s: float | None) -> None:
        """Begin at full rate; None is unlimited, and still obeys pauses."""
        self._log: deque[float] = deque()  #: when the last permits went
        self._left: deque[float] = deque()  #: when the last requests left
        self._last = -math.inf  #: when the last permit was due
        self._paused_until = -math.inf
        self._cut_at = -math.inf
        self._climb_from = -math.inf
        self._refused_rate = math.inf  #: what the last cut came from
        self._cut_rate = math.inf  #: and went to
        self._strikes = 0
        self.set_rate(rate_per_s)

    @property
    def rate_per_s(self) -> float | None:
        """Permits per second now; None is unlimited."""
        return self._rate

    @property
    def limit_per_s(self) -> float | None:
        """Permits per second at most; None is unlimited."""
        return self._limit

    @property
    def paused_until(self) -> float:
        """No permit goes before this moment; far in the past when there is no pause."""
        return self._paused_until

    def set_rate(self, rate_per_s: float | None) -> None:
        """Set the limit, and go at it.

        Raises:
            ValueError: not a number above 0.
        """
        if rate_per_s is not None and not (0 < rate_per_s < math.inf):
            raise ValueError(f"a rate is a number above 0, not {rate_per_s}")
        self._limit = self._rate = rate_per_s
        self._most = 0 if rate_per_s is None else math.ceil(rate_per_s)
        kept = max(self._most, self._log.maxlen or 0)  # a lower limit must not forget what a later, higher one counts
        self._log = deque(self._log, maxlen=kept)
        self._left = deque(self._left, maxlen=kept)

    def next_permit_at(self, now: float) -> float:
        """Say when the next permit may go: `now` or later."""
        if self._rate is None:
            return max(now, self._paused_until)
        at = max(now, self._paused_until, self._last + WINDOW_S / self._rate)
        if len(self._log) >= self._most:
            at = max(at, self._log[-self._most] + WINDOW_S)
        return at

    def consume(self, now: float) -> None:
        """Let a permit go now. Callers ask `next_permit_at` first."""
        if self._rate is None:
            return
        self._last = now if self._last == -math.inf else max(self._last + WINDOW_S / self._rate, now - CATCH_UP_S)
        self._log.append(now)

    def next_departure_at(self, now: float) -> float:
        """Say when a request that has its permit may leave: `now`, or when the last second has room for it."""
        if self._rate is None or len(self._left) < self._most:
            return now
        return max(now, self._left[-self._most] + WINDOW_S)

    def record_departure(self, now: float) -> None:
        """Note that a request leaves now. Callers ask `next_departure_at` first."""
        if self._rate is not None:
            self._left.append(now)

    def on_throttled(self, now: float, retry_after_s: float | None, *, jitter: float, rtt_s: float = 0.0) -> bool:
        """Pause after the platform refused too many requests, then lower the rate.

        Args:
            retry_after_s: what it asked for; None if nothing.
            jitter: 0 <= jitter < 1; shortens our own pause by up to half.
            rtt_s: how long that answer took. Answers of requests that left before the last cut do not cut again.
        Returns:
            Whether the rate was cut.
        """
        cuts = now >= self._cut_at + max(CUT_EVERY_S, 2.0 * rtt_s)
        if cuts:
            self._cut_at = now
            self._strikes += 1
            if self._rate is not None and self._limit is not None:
                self._refused_rate = self._rate
                self._rate = self._cut_rate = max(self._rate * CUT, self._limit * FLOOR)
        if retry_after_s is None:
            own = min(MAX_PAUSE_S, 2.0 ** min(self._strikes - 1, 30)) * (1.0 - jitter / 2)
            retry_after_s = own if cuts else 0.0
        self._paused_until = max(self._paused_until, now + retry_after_s)
        self._climb_from = max(now, self._paused_until)
        return cuts

    def on_success(self, now: float) -> bool:
        """The platform kept up: climb, by the time that passed since the cut and its pause.

        Returns:
            Whether the rate came back to the limit with this.
        """
        if now < self._climb_from:  # asked before the pause
            return False
        self._strikes = 0
        if self._rate is None or self._limit is None or self._rate >= self._limit:
            return False
        climbed = _rate_after(now - self._climb_from, cut=self._cut_rate, refused=self._refused_rate, limit=self._limit)
        self._rate = min(self._limit, max(self._rate, climbed))
        return self._rate >= self._limit


def _rate_after(after_s: float, *, cut: float, refused: float, limit: float) -> float:
    """Say what rate is right some seconds after a cut; all rates per second."""
    level = max(cut, refused * LEVEL)
    if after_s < LEVEL_S:
        return level - (level - cut) * (1.0 - after_s / LEVEL_S) ** 3
    return level + (limit - level) * min(1.0, (after_s - LEVEL_S) / (CLIMB_S - LEVEL_S)) ** 3


class Limiter:
    """Gives out permits by a schedule, in the order of asking."""

    def __init__(
        self,
        schedule: RateSchedule,
        clock: Clock,
        *,
        jitter: Callable[[], float] = lambda: 0.0,
        on_change: Callable[[float | None, float], None] | None = None,
        is_blocked: Callable[[], bool] = lambda: False,
    ) -> None:
        """Share one among all workers.

        Args:
            is_blocked: asked before each permit; while it is true none is given out.
            on_change: called with the rate per second and the pause in seconds when the platform slowed us down, and
                when the full rate is reached again.
        """
        self._schedule = schedule
        self._clock = clock
        self._jitter = jitter
        self._on_change = on_change
        self._is_blocked = is_blocked
        self._queue = anyio.Lock(fast_acquire=True)
        self._departure = anyio.Lock(fast_acquire=True)

    @property
    def rate_per_s(self) -> float | None:
        """Permits per second now; None is unlimited."""
        return self._schedule.rate_per_s

    @property
    def limit_per_s(self) -> float | None:
        """Permits per second at most; None is unlimited."""
        return self._schedule.limit_per_s

    def try_acquire(self) -> bool:
        """Take a permit if one is free right now and nobody waits for it; else `acquire` waits for the next."""
        if self._queue.locked() or self._is_blocked():
            return False
        now = self._clock.monotonic()
        if self._schedule.next_permit_at(now) > now:
            return False
        self._schedule.consume(now)
        return True

    async def acquire(self) -> None:
        """Wait for a permit. Only the first in the queue reads the clock, so that a pause holds at once."""
        async with self._queue:
            while True:
                if self._is_blocked():
                    await self._clock.sleep(_BLOCKED_SLEEP_S)
                    continue
                now = self._clock.monotonic()
                wait_s = self._schedule.next_permit_at(now) - now
                if wait_s <= 0:
                    break
                await self._clock.sleep(min(wait_s, _LONGEST_SLEEP_S))
            self._schedule.consume(now)

    def try_depart(self) -> bool:
        """Let a request leave if there is room for it right now and none waits before it; else `depart` waits."""
        if self._schedule.limit_per_s is None:
            return True
        if self._departure.locked():
            return False
        now = self._clock.monotonic()
        if self._schedule.next_departure_at(now) > now:
            return False
        self._schedule.record_departure(now)
        return True

    async def depart(self) -> None:
        """Hold a request that has its permit until no second, counted where requests leave, holds more than the limit.

        Between the permit and this moment lies a write to disk, which takes 1 ms for one row and 30 for the next: the
        late ones and the early ones would meet in one second.
        """
        if self._schedule.limit_per_s is None:
            return
        async with self._departure:
            while True:
                now = self._clock.monotonic()
                wait_s = self._schedule.next_departure_at(now) - now
                if wait_s <= 0:
                    break
                await self._clock.sleep(min(wait_s, _LONGEST_SLEEP_S))
            self._schedule.record_departure(now)

    def on_throttled(self, retry_after_s: float | None = None, *, rtt_s: float = 0.0) -> None:
        """The platform got too many requests."""
        now = self._clock.monotonic()
        if self._schedule.on_throttled(now, retry_after_s, jitter=self._jitter(), rtt_s=rtt_s):
            self._report(max(0.0, self._schedule.paused_until - now))

    def on_success(self) -> None:
        """The platform took a request."""
        if self._schedule.on_success(self._clock.monotonic()):
            self._report(0.0)

    def set_rate(self, rate_per_s: float | None) -> None:
        """Change the limit from the next permit on."""
        self._schedule.set_rate(rate_per_s)

    def _report(self, pause_s: float) -> None:
        if self._on_change is not None:
            self._on_change(self._schedule.rate_per_s, pause_s)
