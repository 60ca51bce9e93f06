"""Prune what is kept of runs that finished long ago; what keeps a profile from being enrolled twice stays.

Unfinished runs, runs with unknown rows and results files are never removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from batch_enroll.errors import RunLocked
from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.records import RunRecord, RunState
from batch_enroll.messages import hint_of, message
from batch_enroll.models import Counts
from batch_enroll.reporting.prune_table import Prunable, PrunePlan, RetainedRun
from batch_enroll.run.run_identity import is_dry_run


async def plan_prune(ledger: Ledger, *, before: datetime, forget: bool) -> PrunePlan:
    """List what can be removed; nothing is changed.

    Args:
        ledger: where runs are kept.
        before: runs that ended earlier are old enough.
        forget: remove whole runs, with the record of whom they enrolled.
    """
    prunable: list[Prunable] = []
    kept: list[RetainedRun] = []
    younger = 0
    for record in await ledger.runs():
        ended_at = record.finished_at or record.created_at
        if ended_at >= before:
            younger += 1
            continue
        counts = await _counts(ledger, record)
        size = await ledger.reclaimable_bytes(record.run_id)
        plan_only = record.state is RunState.PLANNING or is_dry_run(record)
        if not plan_only and (why := _why_kept(record, counts)):
            kept.append(why)
        elif size or forget or plan_only:
            prunable.append(
                Prunable(
                    run_id=record.run_id,
                    input_name=record.input_name,
                    ended_at=ended_at,
                    counts=counts,
                    size=size,
                    plan_only=plan_only,
                )
            )
    return PrunePlan(before=before, forget=forget, prunable=tuple(prunable), kept=tuple(kept), younger=younger)


async def prune(ledger: Ledger, plan: PrunePlan) -> Sequence[RetainedRun]:
    """Execute a plan; each run is checked once more under its lock.

    Returns:
        The runs on which another process works; they were left as they are.
    Raises:
        LedgerError: a file could not be removed, or a run is no longer as the plan saw it.
    """
    busy = []
    for one in plan.prunable:
        try:
            if plan.forget or one.plan_only:
                await ledger.delete_run(one.run_id)
            else:
                await ledger.prune(one.run_id)
        except RunLocked as error:
            busy.append(
                RetainedRun(run_id=one.run_id, input_name=one.input_name, why=error.message, what_now=error.hint)
            )
    return busy


def _why_kept(record: RunRecord, counts: Counts) -> RetainedRun | None:
    if record.state is not RunState.FINISHED:
        why = message("maintenance.kept_unfinished", not_sent=counts.not_sent, rows=counts.rows, run_id=record.run_id)
    elif counts.unknown:
        why = message("maintenance.kept_unknown", unknown=counts.unknown, rows=counts.rows, run_id=record.run_id)
    else:
        return None
    return RetainedRun(run_id=record.run_id, input_name=record.input_name, why=str(why), what_now=hint_of(why))


async def _counts(ledger: Ledger, record: RunRecord) -> Counts:
    if record.state is RunState.PLANNING:
        return Counts()
    run = await ledger.open(record.run_id, read_only=True)
    try:
        return await run.counts()
    finally:
        await run.close_unchanged()
