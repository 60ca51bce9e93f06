"""The circuit breaker counts outcomes and says when a run must stop.

An error code that nobody listed and that comes only after rows were accepted is a new kind of failure, such as a
scenario that was switched off: when the first rows that get it follow one another, the run stops long before the
general count of errors would stop it. A code that is known to be the row's own (404: no such profile) comes in blocks
in any sorted file, so only the general count holds for it; so it does for a code after which a row was accepted.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Final, Self

from batch_enroll.messages import Message, message
from batch_enroll.models import Outcome, RowStatus, StopCause, StopReason

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
        """As `--max-errors` takes it."""
        return f"{self.rows}" if self.share is None else f"{self.share * 100:g}%"

    def is_passed(self, count: int, sent: int, *, least_sent: int) -> bool:
        """Say whether `count` of `sent` rows are too many; a share says nothing about fewer than `least_sent` rows."""
        if self.share is None:
            return count > (self.rows or 0)
        return sent >= least_sent and count > self.share * sent


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """The limits of one run."""

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
        """Create a breaker with nothing counted.

        Args:
            suspects: codes that stop the run when they come first or twice running (`CodeTable.suspects`).
            rows_own: codes that are known to be about one row (`CodeTable.rows_own`); they are never a new error.
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
        self.trip: StopReason | None = None  #: the first reason to stop

    @property
    def accepted(self) -> int:
        """Rows that were accepted so far."""
        return self._accepted

    def record(self, outcome: Outcome) -> StopReason | None:
        """Count one outcome; gives the first reason to stop from then on, None while there is none."""
        self._count(outcome)
        if self.trip is None:
            self.trip = self._reason_after(outcome)
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

    def _reason_after(self, outcome: Outcome) -> StopReason | None:
        limits, code, sent = self._limits, outcome.code, self._sent
        if self._suspects_running and sent == 1:
            return StopReason(message("sending.suspect_first", code=code), StopCause.TOKEN)
        if self._suspects_running and self._suspects_running >= limits.suspects_running:
            said = message("sending.suspect_running", code=code, count=self._suspects_running)
            return StopReason(said, StopCause.TOKEN)
        if self._redirects >= limits.redirects:
            return StopReason(message("sending.redirected", count=self._redirects), StopCause.ADDRESS)
        if self._used_up_running >= limits.used_up_running:
            said = message("sending.out_of_reach", count=self._used_up_running, last=_last(outcome))
            return StopReason(said, StopCause.OUT_OF_REACH)
        if self._unknown_running >= limits.unknown_running:
            said = message("sending.unknown_running", count=self._unknown_running, last=_last(outcome))
            return StopReason(said, StopCause.UNKNOWN)
        if self._is_unknown_passed():
            allowed = str(limits.unknown or f"{_DEFAULT_UNKNOWN_ROWS} or {_DEFAULT_UNKNOWN_SHARE:.1%}")
            said = message(
                "sending.too_many_unknown", count=self._unknown, sent=sent, allowed=allowed, last=_last(outcome)
            )
            return StopReason(said, StopCause.UNKNOWN)
        if self._new_running >= limits.new_error_running:
            said = message("sending.new_error", count=self._new_running, code=code, last=_last(outcome))
            return StopReason(said, StopCause.NEW_ERROR)
        if self._errors_running >= limits.errors_running:
            said = message("sending.errors_running", count=self._errors_running, last=_last(outcome))
            return StopReason(said, StopCause.ERRORS)
        if limits.errors.is_passed(self._errors, sent, least_sent=limits.least_sent):
            allowed = str(limits.errors)
            said = message(
                "sending.too_many_errors", count=self._errors, sent=sent, allowed=allowed, last=_last(outcome)
            )
            return StopReason(said, StopCause.ERRORS)
        return None

    def _is_unknown_passed(self) -> bool:
        if self._limits.unknown is None:
            return self._unknown > max(_DEFAULT_UNKNOWN_ROWS, _DEFAULT_UNKNOWN_SHARE * self._sent)
        return self._limits.unknown.is_passed(self._unknown, self._sent, least_sent=self._limits.least_sent)


def _last(outcome: Outcome) -> Message:
    return message("sending.last_outcome", code=outcome.code, text=outcome.message)
