"""Resolve: the rows of a run whose outcome nobody knows, and a person's word on them.

In: a run with unknown rows; verdicts by row number. Out: the rows with what is known of them; the verdicts in the
ledger, each with who, when and why. Never: a guess; a request (a row to be sent again is planned, and the run's own
command sends it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from batch_enroll.errors import JobError
from batch_enroll.ledger.interface import Ledger, Resolution
from batch_enroll.models import Counts, Outcome, RowStatus
from batch_enroll.run.result_files import rows_with_outcomes
from batch_enroll.sending.request_body import identity_of


class ResolveVerdict(StrEnum):
    """What a person may say of an unknown row."""

    ENROLLED = "enrolled"  #: it arrived: success
    NOT_ENROLLED = "not_enrolled"  #: it did not, and shall not be sent: error
    RESEND = "resend"  #: it did not, and shall be sent again: planned


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownRow:
    """One row whose outcome nobody knows."""

    number: int
    identity: str  #: the value that was sent for matching
    outcome: Outcome  #: when it was sent and what came back


@dataclass(frozen=True, slots=True, kw_only=True)
class RowVerdict:
    """A person's word on one row."""

    number: int
    word: ResolveVerdict
    why: str


async def unknown_rows(ledger: Ledger, run_id: str) -> list[UnknownRow]:
    """List the unknown rows of a run, in input order.

    Raises:
        LedgerError: there is no such run, or its rows are no longer kept.
    """
    run = await ledger.open(run_id, read_only=True)
    try:
        bodies = {}
        found: list[tuple[int, Outcome]] = []
        async for pairs in rows_with_outcomes(run):
            found += [(row.number, outcome) for row, outcome in pairs if outcome.status is RowStatus.UNKNOWN]
        wanted = {outcome.seq for _, outcome in found}
        for block in run.stage.blocks() if wanted else ():
            bodies.update({staged.seq: staged.body for staged in block if staged.seq in wanted})
        return [
            UnknownRow(number=number, identity=identity_of(bodies[outcome.seq]), outcome=outcome)
            for number, outcome in found
        ]
    finally:
        await run.close_unchanged()


async def resolve_rows(ledger: Ledger, run_id: str, said: Sequence[RowVerdict], *, by: str, at: datetime) -> Counts:
    """Put a person's word on unknown rows into the ledger: all of them, or none when one does not fit.

    Args:
        ledger: where the run is kept.
        run_id: as `runs` lists it.
        said: one word for each row.
        by: who says so.
        at: when, aware UTC.
    Returns:
        The run's counts afterwards.
    Raises:
        JobError: a row is not unknown, is not in the run, or has two words; nothing was changed.
        RunLocked, LedgerError: as `Ledger.open`.
    """
    seq_of = {row.number: row.outcome.seq for row in await unknown_rows(ledger, run_id)}
    seen: set[int] = set()
    for word in said:
        if word.number in seen:
            raise JobError(f"Row {word.number} has two verdicts.", hint="Leave one of them.")
        seen.add(word.number)
        if word.number not in seq_of:
            raise JobError(
                f"Row {word.number} of run {run_id} is not unknown, so there is nothing to resolve.",
                hint=f"`batch-enroll resolve {run_id}` lists the rows that are.",
            )
    run = await ledger.open(run_id, read_only=False)
    try:
        await run.resolve(
            [Resolution(seq=seq_of[word.number], verdict=word.word.value, by=by, at=at, why=word.why) for word in said]
        )
        return await run.counts()
    finally:
        await run.close_unchanged()
