"""The `Date` that a real server puts into every answer: whoever asks can tell whether its own clock is right.

In: a clock, the bytes of an answer. Out: the bytes with the date. Never: a date that is made anew within its second.
"""

from __future__ import annotations

from email.utils import format_datetime

from batch_enroll.clock import Clock

_STATUS_LINE = b"HTTP/1.1 "


class DateLine:
    """The header line, kept for as long as its second lasts. Source: RFC 9110, section 6.6.1."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._line = b""
        self._until = float("-inf")  #: by the clock that never goes back

    def now(self) -> bytes:
        """The line as it is now, with its end."""
        moment = self._clock.monotonic()
        if moment >= self._until:
            now = self._clock.now()
            self._line = f"Date: {format_datetime(now, usegmt=True)}\r\n".encode()
            self._until = moment + 1.0 - now.microsecond / 1e6
        return self._line


def dated(wire: bytes, line: bytes) -> bytes:
    """Put the line below the status line; bytes that are no answer stay as they are."""
    if not wire.startswith(_STATUS_LINE):
        return wire
    head_ends = wire.index(b"\r\n") + 2
    return wire[:head_ends] + line + wire[head_ends:]
