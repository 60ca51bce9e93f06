"""Resolve unknown rows: a person's decision for each of them goes into the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial

from batch_enroll.clock import SystemClock
from batch_enroll.daemon_threads import run_without_event_loop
from batch_enroll.errors import JobError
from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.records import Resolution
from batch_enroll.messages import message
from batch_enroll.models import Counts, Outcome, RowStatus
from batch_enroll.run.result_files import rows_with_outcomes
from batch_enroll.sending.request_body import identity_of


class ResolveVerdict(StrEnum):
    """A person's decision on an unknown row."""

    ENROLLED = "enrolled"  #: it was accepted: success
    NOT_ENROLLED = "not_enrolled"  #: it was not, and is not sent again: error
    RESEND = "resend"  #: it was not, and is sent again by the run's next command: planned


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownRow:
    """One row whose outcome is unknown."""

    number: int
    identity: str  #: the value that was sent for matching
    outcome: Outcome  #: when it was sent and what came back


@dataclass(frozen=True, slots=True, kw_only=True)
class RowVerdict:
    """A person's decision on one row."""

    number: int
    verdict: ResolveVerdict
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
        active = bool(await ledger.lock_owner(run_id))
        async for pairs in rows_with_outcomes(run, active=active):
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


async def resolve_rows(ledger: Ledger, run_id: str, verdicts: Sequence[RowVerdict], *, by: str, at: datetime) -> Counts:
    """Record decisions on unknown rows: all of them, or none when one is not valid.

    Args:
        ledger: where the run is kept.
        run_id: as `runs` lists it.
        verdicts: one for each row.
        by: who decided.
        at: when, aware UTC.
    Returns:
        The run's counts afterwards.
    Raises:
        JobError: a row is not unknown, is not in the run, or has two decisions; nothing was changed.
        RunLocked, LedgerError: as `Ledger.open`.
    """
    seq_of = {row.number: row.outcome.seq for row in await unknown_rows(ledger, run_id)}
    seen: set[int] = set()
    for verdict in verdicts:
        if verdict.number in seen:
            raise JobError(message("maintenance.two_decisions", row=verdict.number))
        seen.add(verdict.number)
        if verdict.number not in seq_of:
            raise JobError(message("maintenance.not_unknown", row=verdict.number, run_id=run_id))
    run = await ledger.open(run_id, read_only=False)
    try:
        await run.resolve(
            [
                Resolution(seq=seq_of[one.number], verdict=one.verdict.value, by=by, at=at, why=one.why)
                for one in verdicts
            ]
        )
        return await run.counts()
    finally:
        await run.close_unchanged()


def resolve(ledger: Ledger, run_id: str, verdicts: Sequence[RowVerdict], *, by: str) -> Counts:
    """Do as `resolve_rows` does, now, and wait for the end; for programs without an event loop.

    Args:
        ledger: where the run is kept.
        run_id: as `runs` lists it.
        verdicts: one for each row.
        by: who decided.
    Returns:
        The run's counts afterwards.
    Raises:
        JobError, RunLocked, LedgerError: as `resolve_rows`.
        RuntimeError: an event loop runs in this thread, as in a notebook; the message names the call to use.
    """
    call = partial(resolve_rows, ledger, run_id, verdicts, by=by, at=SystemClock().now())
    return run_without_event_loop(call, name="resolve", instead="await resolve_rows(...)")
