"""Allowed hours: the part of each day in which requests may leave, so that nobody gets a message at night."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo, available_timezones

from batch_enroll.clock import local_time_of_day
from batch_enroll.messages import message

_HOURS = re.compile(r"(\d{1,2}):([0-5]\d)\s*[-–]\s*(\d{1,2}):([0-5]\d)(?:\s+(\S+))?\Z")
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Hours:
    """From `begin` up to, and not including, `end`; across midnight when `end` is the smaller one.

    Without a time zone the hours are local time of this machine, as a deadline is.
    """

    begin: int  #: minutes of the day, 0 to 1439
    end: int  #: minutes of the day, 0 to 1440
    zone: ZoneInfo | None = None  #: None = local time of this machine

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `09:00-20:00`, with or without the name of a time zone behind it.

        Raises:
            ValueError: the text has another form, covers no time or the whole day, or the zone is unknown.
        """
        found = _HOURS.match(text.strip())
        begin, end = (int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])) if found else (-1, -1)
        if found is None or begin >= _DAY_MINUTES or end > _DAY_MINUTES:
            raise ValueError(message("job.not_hours", value=text))
        if begin == end % _DAY_MINUTES:
            raise ValueError(message("job.empty_hours", value=text))
        return cls(begin, end, _zone(found[5]) if found[5] else None)

    def is_open(self, now: datetime) -> bool:
        """Return whether sending is allowed at a moment."""
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
        """Give the time in the zone of the hours, such as `23:14`; without one, with the zone of this machine."""
        return f"{now.astimezone(self.zone):%H:%M}" if self.zone else local_time_of_day(now)

    def _moment(self, wall: datetime, fold: int) -> datetime:
        wall = wall.replace(fold=fold)
        return (wall.replace(tzinfo=self.zone) if self.zone else wall).astimezone(UTC)

    def __str__(self) -> str:
        """As the job file has it."""
        zone = f" {self.zone.key}" if self.zone else ""
        return f"{_clock(self.begin)}-{_clock(self.end)}{zone}"


def parse_hours(value: object) -> str | None:
    """Check the value of a job and give it in its normal form."""
    return None if value is None else str(Hours.parse(str(value)))


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown name; not a name at all; a folder of zones
        known = {zone.lower(): zone for zone in available_timezones()}
        near = difflib.get_close_matches(name.lower(), known, n=1)
        if near:
            raise ValueError(message("job.time_zone_near", value=name, near=known[near[0]])) from None
        raise ValueError(message("job.not_a_time_zone", value=name)) from None
