"""The clock protocol, the system clock, and times as text."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol


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


_LONGEST_ZONE = 5  # letters: MSK, CEST, AEDT


class SystemClock:
    """The clock of the operating system."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def boottime(self) -> float:
        return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        import anyio  # `--help` does without it

        await anyio.sleep(max(0.0, seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """A moment of the wall clock, for a time of day, or of the clock that counts suspension, for a duration."""

    at: datetime  #: aware; of a duration only as it was expected
    boottime_s: float | None = None  #: None: the wall clock decides

    def has_passed(self, clock: Clock) -> bool:
        return clock.now() >= self.at if self.boottime_s is None else clock.boottime() >= self.boottime_s


def has_local_zone(year: int) -> bool:
    """Tell whether times can be given in the zone of this machine: TZ may hold an offset of days."""
    try:
        for month in (1, 7):
            datetime(year, month, 1, tzinfo=UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        return False
    return True


def local_time(moment: datetime, *, seconds: bool = False) -> str:
    """Format an aware time for people: `2026-11-25 12:30 MSK`, in the zone of this machine."""
    local = moment.astimezone()
    return f"{local:%Y-%m-%d %H:%M{':%S' if seconds else ''}} {zone_name(local)}"


def local_time_of_day(moment: datetime) -> str:
    """Format an aware time for people without its day: `12:30 MSK`."""
    local = moment.astimezone()
    return f"{local:%H:%M} {zone_name(local)}"


def zone_name(local: datetime) -> str:
    """Give the short name of an aware time's zone, or its offset: Windows has only long names, some zones have none."""
    name, offset = local.tzname() or "", f"{local:%z}"
    return (
        name if name.isascii() and name.isalpha() and len(name) <= _LONGEST_ZONE else f"UTC{offset[:3]}:{offset[3:5]}"
    )


def iso_utc(moment: datetime) -> str:
    """Format an aware time: `2026-11-25T09:30:00.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
