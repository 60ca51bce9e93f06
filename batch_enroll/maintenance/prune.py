"""Prune: what is kept of runs that finished long ago goes; what keeps a profile from being enrolled twice stays.

In: a ledger and a moment. Out: a list of what can go and what must stay, with the reason; then the removal. Never: an
unfinished run, a run with unknown rows, a results file (those are the person's own); the memory of whom a run enrolled,
unless the person says `forget`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from batch_enroll.errors import RunLocked
from batch_enroll.ledger.interface import Ledger, RunRecord, RunState
from batch_enroll.models import Counts
from batch_enroll.reporting.prune_table import Prunable, PrunePlan, RetainedRun
from batch_enroll.run.run_identity import is_dry_run


async def plan_prune(ledger: Ledger, *, before: datetime, forget: bool) -> PrunePlan:
    """Look what can go; nothing is changed.

    Args:
        ledger: where runs are kept.
        before: runs that ended earlier are old enough.
        forget: whole runs shall go, with the memory of whom they enrolled.
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
    """Carry a plan out; each run is looked at once more under its lock.

    Returns:
        The runs that somebody took up since the plan was made; they were left alone.
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
        why = f"it is unfinished: {counts.not_sent:,} of {counts.rows:,} rows were not sent"
        what_now = "Give its run command again to finish it."
    elif counts.unknown:
        why = f"what became of {counts.unknown:,} of {counts.rows:,} rows is unknown"
        what_now = f"Look them up and say it: batch-enroll resolve {record.run_id}"
    else:
        return None
    return RetainedRun(run_id=record.run_id, input_name=record.input_name, why=why, what_now=what_now)


async def _counts(ledger: Ledger, record: RunRecord) -> Counts:
    if record.state is RunState.PLANNING:
        return Counts()
    run = await ledger.open(record.run_id, read_only=True)
    try:
        return await run.counts()
    finally:
        await run.close_unchanged()
