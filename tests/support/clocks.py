"""The clocks of tests that run in one process; `settable_clock` is for child processes."""

from __future__ import annotations

from datetime import datetime, timedelta


class ManualClock:
    """A clock that stands still until a test moves it.

    Args:
        start: the time before it is moved, aware UTC.
    """

    def __init__(self, start: datetime) -> None:
        self._start = start
        self.moved_s = 0.0  #: how far it was moved; a test sets it
        self.reads = 0  #: how often it was asked for the date

    def now(self) -> datetime:
        self.reads += 1
        return self._start + timedelta(seconds=self.moved_s)

    def monotonic(self) -> float:
        return 5_000.0 + self.moved_s

    def boottime(self) -> float:
        return self.monotonic()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing under test waits by this clock")
