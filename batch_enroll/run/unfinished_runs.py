"""Name the unfinished runs of a job or an input, so that a file that was replaced after an outage hides nobody."""

from __future__ import annotations

import json

from batch_enroll.config.job import Job
from batch_enroll.errors import LedgerError
from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.records import NO_PATH, RunRecord, RunState
from batch_enroll.messages import message
from batch_enroll.models import Notice
from batch_enroll.run.run_identity import is_dry_run

_MOST = 3  #: the newest; each is opened for the number of its rows


async def unfinished_notices(ledger: Ledger, job: Job, new: RunRecord) -> list[Notice]:
    """Name the runs of the same job or input that stopped with rows left, the newest first.

    Args:
        new: the run that is planned now.
    """
    notices: list[Notice] = []
    for run in await ledger.runs():
        if len(notices) == _MOST:
            break
        if not _is_related(run, job, new) or await ledger.lock_owner(run.run_id):
            continue
        if left := await _rows_left(ledger, run):
            said = message("run.left_unfinished", run_id=run.run_id, input=run.input_name, count=left)
            notices.append(Notice(code="unfinished_run", message=said, count=left))
    return notices


def _is_related(run: RunRecord, job: Job, new: RunRecord) -> bool:
    if run.run_id == new.run_id or run.state is not RunState.OPEN or is_dry_run(run):
        return False
    same_input = run.input_path == new.input_path and run.input_path != NO_PATH
    return is_of_job(run, job) or (same_input and _same_scenario(run, job))


def is_of_job(run: RunRecord, job: Job) -> bool:
    """Check whether a run is an earlier one of this job."""
    return _same_scenario(run, job) and bool(job.name) and json.loads(run.settings_json).get("name") == job.name


def _same_scenario(run: RunRecord, job: Job) -> bool:
    return (run.url, run.scenario) == (job.url, job.scenario)


async def _rows_left(ledger: Ledger, record: RunRecord) -> int:
    """Give how many rows of a run were not sent; 0 when it cannot be read any more."""
    try:
        run = await ledger.open(record.run_id, read_only=True)
    except LedgerError:  # an old run that is damaged must not block a new one
        return 0
    try:
        return (await run.counts()).not_sent
    finally:
        await run.close_unchanged()
