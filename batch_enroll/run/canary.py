"""The canary: a few rows of a run go alone; then a person looks, or a rule does, before the rest may follow.

In: how many rows, the counts of the run, a person's answer. Out: how many rows go before the look, and whether the rest
may follow. Never: a second look at a run that was let go; a way past the look by mere repetition of the command.

The canary counts the rows that were sent in the whole run, whichever process sent them, and that it was passed is kept
in the run's folder. So a command that carries on a run which was let go does not ask again; one that carries on a run
which stopped at its canary asks at once where a person sits, and elsewhere sends as many rows more and looks at these.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from batch_enroll.models import Counts
from batch_enroll.reporting.formatting import rows_text

CanaryReview = Callable[[Counts], Awaitable[bool]]
"""Asked after the canary rows, with the counts so far, whether to go on."""

_PASSED: Final = "canary.passed"
_ANEW: Final = Counts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """One round of it."""

    rows: int  #: how many rows it is about
    left: int  #: how many of them are still to be sent
    before: Counts  #: what does not belong to it

    async def word(self, counts: Counts, look: CanaryReview | None) -> str:
        """Ask the person, or else the rule: none of the rows may have failed, and an unknown one counts as failed.

        Args:
            counts: of the whole run, after the canary rows.
            look: asks the person; None = nobody is there.
        Returns:
            Why the rest must not follow; "" when it may.
        """
        told = rows_text(self.rows)
        which = f"the first {told}" if self.before == _ANEW else f"{told} more"
        if look is not None:
            return "" if await look(counts) else f"Stopped after {which}, as you said."
        bad = {
            "error": counts.error - self.before.error,
            "unknown": counts.unknown - self.before.unknown,
            "not accepted": self.rows - (_sent(counts) - _sent(self.before)),
        }
        why = ", ".join(f"{count:,} {what}" for what, count in bad.items() if count > 0)
        if not why:
            return ""
        return (
            f"Stopped after {which}, the canary: {why}. Look at the results; "
            f"the same command sends {told} more and looks at these, with --canary 0 it sends the rest."
        )


def build_canary(wanted: int | None, counts: Counts, *, folder: Path, asks: bool) -> Canary | None:
    """Say which rows go before the look.

    Args:
        wanted: how many rows; None or 0 = no canary.
        counts: of the whole run, before this process sends anything.
        folder: the run's own.
        asks: a person can look.
    Returns:
        None when there is no look, or no row would be left after it.
    """
    if not wanted or (folder / _PASSED).exists():
        return None
    sent = _sent(counts)
    is_told_already = sent >= wanted and (asks or not (counts.error or counts.unknown))
    if sent < wanted or is_told_already:
        canary = Canary(rows=wanted, left=max(0, wanted - sent), before=_ANEW)
    else:  # it failed before, and here is nobody to ask
        canary = Canary(rows=wanted, left=wanted, before=counts)
    return canary if canary.left < counts.not_sent else None


def pass_canary(folder: Path) -> None:
    """Keep that the rest may follow."""
    with suppress(OSError):  # then somebody looks once more
        (folder / _PASSED).touch(mode=0o600)


def _sent(counts: Counts) -> int:
    return counts.success + counts.error + counts.unknown
