"""Sliding windows: how many requests came lately, and how many may.

In: moments, as seconds that never go back. Out: counts and waits. Never: a clock.
"""

from __future__ import annotations

from collections import deque


class Window:
    """How many moments lie within the last `span_s` seconds, the far end not counted."""

    def __init__(self, span_s: float) -> None:
        self.span_s = span_s
        self.peak = 0
        self._moments: deque[float] = deque()

    def add(self, now: float) -> None:
        """Take one more moment, not before the last one."""
        self._moments.append(now)
        self.peak = max(self.peak, self.count(now))

    def count(self, now: float) -> int:
        """Count, and forget what is too old."""
        while self._moments and self._moments[0] <= now - self.span_s:
            self._moments.popleft()
        return len(self._moments)

    def wait_s(self, now: float) -> float:
        """Seconds until the oldest moment leaves."""
        return self._moments[0] + self.span_s - now if self._moments else 0.0


class RateGate:
    """Lets at most `rate_per_s` through in any sliding second; a rate of 0.5 is one in two seconds. None = all."""

    def __init__(self, rate_per_s: float | None) -> None:
        self._most = max(1, int(rate_per_s)) if rate_per_s is not None else 0
        self._let_through = Window(self._most / rate_per_s) if rate_per_s is not None else None

    def full_for_s(self, now: float) -> float | None:
        """Let a request through: None; or refuse it: seconds until there is room. Refused ones take no room."""
        if self._let_through is None:
            return None
        if self._let_through.count(now) >= self._most:
            return self._let_through.wait_s(now)
        self._let_through.add(now)
        return None
