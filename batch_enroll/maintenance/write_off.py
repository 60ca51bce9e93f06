"""Write off a run whose files cannot be trusted."""

from __future__ import annotations

from collections.abc import Iterator

from batch_enroll.clock import SystemClock
from batch_enroll.errors import NoSuchRun
from batch_enroll.ledger.interface import Ledger, Stage
from batch_enroll.ledger.records import PlannedRow, WrittenOff
from batch_enroll.maintenance.person_lookup import compared, job_of
from batch_enroll.mapping.identity_values import identity_check
from batch_enroll.messages import message
from batch_enroll.run.identity_keys import ContentHashes, identity_keys
from batch_enroll.sending.request_body import identity_of


async def write_off(ledger: Ledger, run_id: str) -> WrittenOff:
    """Make unknown what is not known of a run, so that nobody of it is sent twice and its scenario is free again.

    Raises:
        RunLocked: a process is working on it.
        NoSuchRun: there is none.
        JobError, LedgerError: as `Ledger.write_off`.
    """
    record = next((record for record in await ledger.runs() if record.run_id == run_id), None)
    if record is None:
        raise NoSuchRun(message("ledger.no_such_run", run_id=run_id))
    job = job_of(record)
    keys, content_hash = await identity_keys(job, ledger), ContentHashes(await ledger.salt()).of
    check = identity_check(job.match.mode, field_type=job.match.field_type, country=job.match.country)

    def planned(stage: Stage) -> Iterator[list[PlannedRow]]:
        for block in stage.blocks():
            rows = []
            for staged in block:
                compare = compared(check, identity_of(staged.body)) if staged.body else None
                if compare is None:
                    code = staged.row.problems[0].code if staged.row.problems else "forgotten"
                    rows.append(PlannedRow(staged.seq, staged.row.number, None, b"", code))
                else:
                    hashed = content_hash(staged.body)
                    rows.append(PlannedRow(staged.seq, staged.row.number, keys.key(compare), hashed))
            yield rows

    return await ledger.write_off(record.run_id, planned, at=SystemClock().now())
