"""The clock protocol, the system clock, and times as text."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

import anyio


class Clock(Protocol):
    """What the run needs to know of time; tests bring their own."""

    def now(self) -> datetime:
        """Wall clock, aware UTC. For records only: it may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back. For waits and rates."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; 0 or less only lets others run."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds))


def iso_utc(moment: datetime) -> str:
    """Write an aware time as people and programs read it: `2026-11-25T09:30:00.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
