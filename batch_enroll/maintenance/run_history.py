"""List earlier runs with the counts of their rows."""

from __future__ import annotations

from pathlib import Path

from batch_enroll.clock import iso_utc
from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.records import RunRecord, RunState
from batch_enroll.models import Counts
from batch_enroll.reporting.reason_counts import ReasonLine, reason_to_json
from batch_enroll.reporting.runs_table import RunTotal
from batch_enroll.run.result_files import reason_lines
from batch_enroll.run.run_identity import is_dry_run


async def run_totals(ledger: Ledger) -> list[RunTotal]:
    """List every run that was planned, the newest first; dry runs are left out."""
    records = [record for record in await ledger.runs() if record.state is not RunState.PLANNING]
    return [await _total(ledger, record) for record in records if not is_dry_run(record)]


async def run_total(ledger: Ledger, run_id: str) -> RunTotal:
    """Give one run, with its reasons.

    Raises:
        LedgerError: there is no such run.
    """
    run = await ledger.open(run_id, read_only=True)
    try:
        worker = await ledger.lock_owner(run_id)
        reasons = await reason_lines(run, active=bool(worker))
        return _build_total(run.record, await run.counts(), worker=worker, reasons=reasons, folder=run.folder)
    finally:
        await run.close_unchanged()


def run_as_dict(total: RunTotal) -> dict[str, object]:
    """Give the JSON object of a run."""
    return {
        "run": total.run_id,
        "state": total.state,
        "worker": total.worker or None,
        "input": total.input_name,
        "scenario": total.scenario,
        "url": total.url,
        "matching": total.matching,
        "created_at": iso_utc(total.created_at),
        "ended_at": iso_utc(total.ended_at) if total.ended_at else None,
        "stop_reason": total.stop_reason or None,
        "counts": total.counts.as_dict(),
        "results": total.results or None,
        "reasons": [reason_to_json(reason) for reason in total.reasons],
    }


async def _total(ledger: Ledger, record: RunRecord) -> RunTotal:
    run = await ledger.open(record.run_id, read_only=True)
    try:
        return _build_total(record, await run.counts(), worker=await ledger.lock_owner(record.run_id))
    finally:
        await run.close_unchanged()


def _build_total(
    record: RunRecord,
    counts: Counts,
    *,
    worker: str,
    reasons: tuple[ReasonLine, ...] = (),
    folder: Path | None = None,
) -> RunTotal:
    return RunTotal(
        run_id=record.run_id,
        state=record.state.value,
        worker=worker,
        input_name=record.input_name,
        scenario=record.scenario,
        url=record.url,
        matching=record.matching,
        created_at=record.created_at,
        ended_at=record.finished_at,
        stop_reason=record.stop_reason,
        counts=counts,
        results=record.results_path,
        reasons=reasons,
        folder=folder,
    )
