"""When to stop sending because going on would do harm or no good: a pure count over outcomes.

In: the outcomes of a run in the order in which they come. Out: the reason to stop, once there is one. Never: a clock, a
way back (a person decides whether to go on, by giving the command again).

An error code that nobody listed and that shows up only after rows were accepted is a new kind of trouble, such as a
scenario that somebody switched off. When its very first rows come one after the other, the run stops long before the
general count of errors would. Codes that are known to be the row's own (404: no such profile) come in blocks in any
sorted file, so they have only the general count; so does a code after which a row was accepted, for it is a row's own.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

from batch_enroll.models import Outcome, RowStatus

_LIMIT = re.compile(r"\s*(?:([0-9]+(?:[.,][0-9]+)?)\s*%|([0-9]+))\s*\Z")


@dataclass(frozen=True, slots=True)
class Threshold:
    """How many rows may end badly: a number, or a share of the rows sent."""

    rows: int | None = None
    share: float | None = None  #: 0 to 1

    @classmethod
    def parse(cls, text: str | int) -> Self:
        """Read `5` or `20%`.

        Raises:
            ValueError: it is neither, or above 100 %.
        """
        found = _LIMIT.match(str(text))
        if found is None:
            raise ValueError(f"a limit is a number of rows such as 5 or a share such as 20%, not {text!r}")
        percent, rows = found.groups()
        if rows is not None:
            return cls(rows=int(rows))
        share = float(percent.replace(",", ".")) / 100
        if share > 1:
            raise ValueError(f"a share is at most 100%, not {text!r}")
        return cls(share=share)

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.rows}" if self.share is None else f"{self.share * 100:g}%"

    def is_passed(self, count: int, sent: int, *, least_sent: int) -> bool:
        """Say whether `count` of `sent` rows are too many; a share says nothing about fewer than `least_sent` rows."""
        if self.share is None:
            return count > (self.rows or 0)
        return sent >= least_sent and count > self.share * sent


class TripCause(StrEnum):
    """What kind of trouble stopped the run."""

    TOKEN = "token"  #: a code that a dead token gives
    ADDRESS = "address"  #: redirects
    OUT_OF_REACH = "out_of_reach"  #: rows use up their attempts
    UNKNOWN = "unknown"  #: too many rows without a clear answer
    NEW_ERROR = "new_error"  #: an error that no row had before, several times running
    ERRORS = "errors"  #: too many rows refused


@dataclass(frozen=True, slots=True)
class BreakerTrip:
    """Why the run must stop."""

    cause: TripCause
    reason: str  #: a sentence or two


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """The limits of one run; the defaults are the design's."""

    errors: Threshold = field(default_factory=lambda: Threshold(share=0.20))
    unknown: Threshold | None = None  #: None is the larger of 50 rows and 0.5 % of the rows sent
    errors_running: int = 20  #: without a success between
    unknown_running: int = 5
    used_up_running: int = 3  #: rows whose attempts were used up: the platform is out of reach
    redirects: int = 3
    suspects_running: int = 2
    new_error_running: int = 5  #: rows from the first on that get a code which no row had before
    least_sent: int = 100  #: below it a share says nothing


_DEFAULT_UNKNOWN_ROWS: Final = 50
_DEFAULT_UNKNOWN_SHARE: Final = 0.005


class Breaker:
    """Counts the outcomes of one run."""

    def __init__(
        self,
        limits: BreakerLimits | None = None,
        *,
        suspects: Set[str] = frozenset({"440"}),
        rows_own: Set[str] = frozenset({"400", "404"}),
    ) -> None:
        """Begin with nothing counted.

        Args:
            suspects: codes that stop the run when they come first or twice running (`CodeTable.suspects`).
            rows_own: codes that are known to speak of one row (`CodeTable.rows_own`); they are never a new error.
        """
        self._limits = limits or BreakerLimits()
        self._suspects = suspects
        self._rows_own = rows_own
        self._seen: set[str] = set()  #: error codes
        self._new_code = ""  #: the code of the last rows, when no row before them had it
        self._new_running = 0
        self._sent = 0
        self._accepted = 0
        self._errors = 0
        self._unknown = 0
        self._redirects = 0
        self._errors_running = 0
        self._unknown_running = 0
        self._used_up_running = 0
        self._suspects_running = 0
        self.trip: BreakerTrip | None = None  #: the first reason to stop

    @property
    def accepted(self) -> int:
        """Rows that were accepted so far."""
        return self._accepted

    def note(self, outcome: Outcome) -> BreakerTrip | None:
        """Count one outcome; gives the first reason to stop from then on, None while there is none."""
        self._count(outcome)
        if self.trip is None:
            self.trip = self._judge(outcome)
        return self.trip

    def _count(self, outcome: Outcome) -> None:
        match outcome.status:
            case RowStatus.NOT_SENT:
                self._used_up_running += outcome.code == "attempts_used_up"
                return
            case RowStatus.SUCCESS:
                self._accepted += 1
                self._errors_running = self._unknown_running = 0
            case RowStatus.ERROR:
                self._errors += 1
                self._errors_running += 1
                self._unknown_running = 0
            case RowStatus.UNKNOWN:
                self._unknown += 1
                self._unknown_running += 1
                self._redirects += outcome.code == "redirect"
            case RowStatus.INVALID | RowStatus.SKIPPED:
                return
        self._sent += 1
        self._used_up_running = 0
        self._count_new(outcome)
        self._suspects_running = self._suspects_running + 1 if outcome.code in self._suspects else 0

    def _count_new(self, outcome: Outcome) -> None:
        code = outcome.code if outcome.status is RowStatus.ERROR else ""
        if code and code == self._new_code:
            self._new_running += 1
            return
        is_new = bool(code) and code not in self._seen and code not in self._rows_own and self._accepted > 0
        self._new_code, self._new_running = (code, 1) if is_new else ("", 0)
        if code:
            self._seen.add(code)

    def _judge(self, outcome: Outcome) -> BreakerTrip | None:
        limits = self._limits
        last = f"The last was {outcome.code}: {outcome.message.rstrip('.')}."
        if self._suspects_running and (self._sent == 1 or self._suspects_running >= limits.suspects_running):
            when = "to the first row" if self._sent == 1 else f"{self._suspects_running} times running"
            said = f"The platform answered {outcome.code} {when}, which may mean that the token does not work."
            return BreakerTrip(TripCause.TOKEN, said)
        if self._redirects >= limits.redirects:
            said = f"The platform redirected {self._redirects} requests: the address is probably not the right one."
            return BreakerTrip(TripCause.ADDRESS, said)
        if self._used_up_running >= limits.used_up_running:
            said = f"The platform is out of reach: {self._used_up_running} rows in a row used up their attempts. {last}"
            return BreakerTrip(TripCause.OUT_OF_REACH, said)
        if self._unknown_running >= limits.unknown_running:
            return BreakerTrip(TripCause.UNKNOWN, f"{self._unknown_running} rows in a row got no clear answer. {last}")
        if self._is_unknown_passed():
            allowed = limits.unknown or f"{_DEFAULT_UNKNOWN_ROWS} or {_DEFAULT_UNKNOWN_SHARE:.1%}"
            said = f"{self._unknown} of {self._sent} rows got no clear answer, more than {allowed}. {last}"
            return BreakerTrip(TripCause.UNKNOWN, said)
        if self._new_running >= limits.new_error_running:
            said = f"A new error came {self._new_running} times running: code {outcome.code}, which no row had before. "
            return BreakerTrip(TripCause.NEW_ERROR, said + last)
        if self._errors_running >= limits.errors_running:
            return BreakerTrip(
                TripCause.ERRORS, f"{self._errors_running} rows were refused without a success between. {last}"
            )
        if limits.errors.is_passed(self._errors, self._sent, least_sent=limits.least_sent):
            said = f"{self._errors} of {self._sent} rows were refused, more than {limits.errors}. {last}"
            return BreakerTrip(TripCause.ERRORS, said)
        return None

    def _is_unknown_passed(self) -> bool:
        if self._limits.unknown is None:
            return self._unknown > max(_DEFAULT_UNKNOWN_ROWS, _DEFAULT_UNKNOWN_SHARE * self._sent)
        return self._limits.unknown.is_passed(self._unknown, self._sent, least_sent=self._limits.least_sent)
