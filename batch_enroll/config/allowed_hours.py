"""Allowed hours: the part of each day in which requests may leave, so that nobody gets a message at night.

In: text such as `09:00-20:00 Europe/Moscow`, and a moment. Out: whether sending is allowed then, and until when. Never:
a clock of its own. Without a time zone the hours are this machine's own, as those of a deadline are.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo, available_timezones

_HOURS = re.compile(r"(\d{1,2}):([0-5]\d)\s*[-–]\s*(\d{1,2}):([0-5]\d)(?:\s+(\S+))?\Z")
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Hours:
    """From `begin` up to, and not including, `end`; across midnight when `end` is the smaller one."""

    begin: int  #: minutes of the day, 0 to 1439
    end: int  #: minutes of the day, 0 to 1440
    zone: ZoneInfo | None = None  #: None = this machine's own time

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `09:00-20:00`, with the name of a time zone behind it or not.

        Raises:
            ValueError: it is no such text, covers no time or the whole day, or no such zone is known.
        """
        found = _HOURS.match(text.strip())
        begin, end = (int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])) if found else (-1, -1)
        if found is None or begin >= _DAY_MINUTES or end > _DAY_MINUTES:
            raise ValueError(f"'{text}' is no part of a day; write for example 09:00-20:00 Europe/Moscow")
        if begin == end % _DAY_MINUTES:
            raise ValueError(f"'{text}' begins and ends at the same time; leave it out to allow the whole day")
        return cls(begin, end, _zone(found[5]) if found[5] else None)

    def is_open(self, now: datetime) -> bool:
        """Tell whether sending is allowed at a moment."""
        local = now.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end

    def closes_at(self, now: datetime) -> datetime:
        """The first moment after `now`, aware UTC, at which sending is no longer allowed; `now` when it is not.

        Where clocks are put back or forward at that very time, the earlier reading of it holds.
        """
        if not self.is_open(now):
            return now
        local = now.astimezone(self.zone)
        midnight = datetime.combine(local.date(), time())
        readings = (
            self._moment(midnight + timedelta(days=day, minutes=self.end), fold) for day in (0, 1) for fold in (0, 1)
        )
        return min(moment for moment in readings if moment > now)

    def time_at(self, now: datetime) -> str:
        """`23:14`: what a clock there shows."""
        return f"{now.astimezone(self.zone):%H:%M}"

    def _moment(self, wall: datetime, fold: int) -> datetime:
        wall = wall.replace(fold=fold)
        return (wall.replace(tzinfo=self.zone) if self.zone else wall).astimezone(UTC)

    def __str__(self) -> str:
        """As people write it."""
        zone = f" {self.zone.key}" if self.zone else ""
        return f"{_clock(self.begin)}-{_clock(self.end)}{zone}"


def read_hours(value: object) -> str | None:
    """Check the value of a job; gives it in the one form in which it is kept."""
    return None if value is None else str(Hours.parse(str(value)))


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not known; no name of a zone; the name of a folder of zones
        known = {zone.lower(): zone for zone in available_timezones()}
        near = difflib.get_close_matches(name.lower(), known, n=1)
        example = f"did you mean {known[near[0]]}?" if near else "write for example Europe/Moscow or UTC"
        raise ValueError(f"'{name}' is no time zone; {example}") from None
