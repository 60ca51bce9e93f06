"""The canary: the first rows of a run are sent alone, then a person or a rule decides whether the rest may follow.

It counts the rows that were sent in the whole run, by whichever process, and that it was passed is a mark of the
run: a resumed run asks again only when its canary was not passed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from batch_enroll.ledger.interface import RunLedger
from batch_enroll.messages import Message, message
from batch_enroll.models import Counts

CanaryReview = Callable[[Counts], Awaitable[bool]]
"""Shown the counts after the canary rows, says whether to send the rest."""

CANARY_PASSED: Final = "canary.passed"
"""The mark of a run whose canary was passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """One review: how many rows it covers and what was sent before it."""

    rows: int  #: how many rows it covers
    left: int  #: how many of them are still to be sent
    before: Counts  #: the counts of what was sent before it

    async def review(self, counts: Counts, look: CanaryReview | None) -> Message | None:
        """Ask the person, or without one apply the rule: no row may have failed, and an unknown one counts as failed.

        Args:
            counts: of the whole run, after the canary rows.
            look: asks the person; None = apply the rule.
        Returns:
            The stop reason; None when the rest may follow.
        """
        if look is not None:
            return None if await look(counts) else message("run.canary_declined", canary=self._name())
        bad = {
            "error": counts.error - self.before.error,
            "unknown": counts.unknown - self.before.unknown,
            "not accepted": self.rows - (_sent(counts) - _sent(self.before)),
        }
        why = ", ".join(f"{count:,} {what}" for what, count in bad.items() if count > 0)
        return message("run.canary_failed", canary=self._name(), why=why, rows=self.rows) if why else None

    def _name(self) -> Message:
        if self.before == Counts():
            return message("run.canary_first", rows=self.rows)
        return message("run.canary_more", rows=self.rows)


async def canary_of(run: RunLedger, wanted: int | None, counts: Counts, *, asks: bool) -> Canary | None:
    """Choose as `build_canary`; None also when the run's canary was passed."""
    return None if await run.is_marked(CANARY_PASSED) else build_canary(wanted, counts, asks=asks)


def build_canary(wanted: int | None, counts: Counts, *, asks: bool) -> Canary | None:
    """Choose the rows that are sent before the review.

    Args:
        wanted: how many rows; None or 0 = no canary.
        counts: of the whole run, before this process sends anything.
        asks: a person is asked.
    Returns:
        None when there is no review, or no row would be left after it.
    """
    if not wanted:
        return None
    sent = _sent(counts)
    is_reviewable = sent >= wanted and (asks or not (counts.error or counts.unknown))
    if sent < wanted or is_reviewable:
        canary = Canary(rows=wanted, left=max(0, wanted - sent), before=Counts())
    else:  # it failed before: no question
        canary = Canary(rows=wanted, left=wanted, before=counts)
    return canary if canary.left < counts.not_sent else None


def _sent(counts: Counts) -> int:
    return counts.success + counts.error + counts.unknown
