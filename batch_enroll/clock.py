"""The clock protocol, the system clock, and times as text."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

import anyio


class Clock(Protocol):
    """Time as the run needs it; tests pass their own."""

    def now(self) -> datetime:
        """Wall clock, aware UTC. For records only: it may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back. For waits and rates."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; 0 or less only yields to other tasks."""
        ...


class SystemClock:
    """The clock of the operating system."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds))


def iso_utc(moment: datetime) -> str:
    """Format an aware time: `2026-11-25T09:30:00.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
