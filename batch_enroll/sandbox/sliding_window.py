"""Sliding windows that count and limit requests; times are monotonic seconds."""

from __future__ import annotations

from collections import deque


class SlidingWindow:
    """Counts the times within the last `span_s` seconds, a time exactly `span_s` ago excluded."""

    def __init__(self, span_s: float) -> None:
        self.span_s = span_s
        self.peak = 0
        self._times: deque[float] = deque()

    def add(self, now: float) -> None:
        """Add a time, not before the last one."""
        self._times.append(now)
        self.peak = max(self.peak, self.count(now))

    def count(self, now: float) -> int:
        """Count the times in the window, and drop older ones."""
        while self._times and self._times[0] <= now - self.span_s:
            self._times.popleft()
        return len(self._times)

    def wait_s(self, now: float) -> float:
        """Seconds until the oldest time leaves the window."""
        return self._times[0] + self.span_s - now if self._times else 0.0


class RateGate:
    """Passes at most `rate_per_s` requests in any sliding second; 0.5 is one in two seconds, None is no limit."""

    def __init__(self, rate_per_s: float | None) -> None:
        self._limit = max(1, int(rate_per_s)) if rate_per_s is not None else 0
        self._passed = SlidingWindow(self._limit / rate_per_s) if rate_per_s is not None else None

    def try_pass(self, now: float) -> float | None:
        """Pass a request and return None, or refuse it and return the seconds until the next may pass."""
        if self._passed is None:
            return None
        if self._passed.count(now) >= self._limit:
            return self._passed.wait_s(now)
        self._passed.add(now)
        return None
