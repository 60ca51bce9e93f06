"""The clock protocol, the system clock, and times as text."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

import anyio


class Clock(Protocol):
    """Time as the run needs it; tests pass their own."""

    def now(self) -> datetime:
        """Wall clock, aware UTC. For records only: it may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back. For waits and rates."""
        ...

    def boottime(self) -> float:
        """Seconds since some moment, also while the machine is suspended; never goes back. For deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; 0 or less only yields to other tasks."""
        ...


# macOS has no CLOCK_BOOTTIME, and its CLOCK_MONOTONIC counts suspension; on Windows `time.monotonic` does.
_BOOTTIME: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


class SystemClock:
    """The clock of the operating system."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def boottime(self) -> float:
        return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """A moment of the wall clock, for a time of day, or of the clock that counts suspension, for a duration."""

    at: datetime  #: aware; of a duration only as it was expected
    boottime_s: float | None = None  #: None: the wall clock decides

    def has_passed(self, clock: Clock) -> bool:
        return clock.now() >= self.at if self.boottime_s is None else clock.boottime() >= self.boottime_s


def iso_utc(moment: datetime) -> str:
    """Format an aware time: `2026-11-25T09:30:00.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
