"""Name the unfinished runs of a job or an input, so that a file that was replaced after an outage hides nobody."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress

from batch_enroll.config.job import Job
from batch_enroll.errors import LedgerError, RunStopped
from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.records import NO_PATH, RunRecord, RunState
from batch_enroll.messages import Message, message
from batch_enroll.models import UNFINISHED_RUN, Counts, Notice
from batch_enroll.run.earlier_runs import canonical_place
from batch_enroll.run.run_identity import is_dry_run

_MOST = 3  #: the newest; each is opened for the number of its rows


async def unfinished_notices(
    ledger: Ledger, job: Job, *, input_path: str = NO_PATH, except_runs: Collection[str] = ()
) -> tuple[Notice, ...]:
    """Name the runs of the same job or input that stopped with rows left, the newest first.

    Args:
        input_path: as `path_text` gives it.
        except_runs: the ids of those that need not be named, such as the run of this very start.
    """
    notices: list[Notice] = []
    place = canonical_place(input_path)
    for run in await ledger.runs():
        if len(notices) == _MOST:
            break
        if run.run_id in except_runs or run.state is not RunState.OPEN or is_dry_run(run):
            continue
        same_input = input_path != NO_PATH and canonical_place(run.input_path) == place and _same_scenario(run, job)
        if not (same_input or is_of_job(run, job)) or await ledger.lock_owner(run.run_id):
            continue
        counts = await _counts(ledger, run)
        if counts.not_sent or counts.unknown:
            said = message("run.left_unfinished", run_id=run.run_id, input=run.input_name, left=_left(counts))
            notices.append(Notice(code=UNFINISHED_RUN, message=said, count=counts.not_sent + counts.unknown))
    return tuple(notices)


@asynccontextmanager
async def unfinished_named(ledger: Ledger, job: Job, *, input_path: str = NO_PATH) -> AsyncIterator[None]:
    """Add the notices to the error that ends the block: a start that sends nothing must not hide an earlier run."""
    try:
        yield
    except RunStopped as stopped:
        named = {str(said.values.get("run_id", "")) for said in (stopped.content, *stopped.advice)}
        if not stopped.notices:
            with suppress(RunStopped):  # such as the ledger's own trouble, which ends the block already
                stopped.notices = await unfinished_notices(ledger, job, input_path=input_path, except_runs=named)
        raise


def is_of_job(run: RunRecord, job: Job) -> bool:
    """Check whether a run is an earlier one of this job."""
    return _same_scenario(run, job) and bool(job.name) and json.loads(run.settings_json).get("name") == job.name


def _same_scenario(run: RunRecord, job: Job) -> bool:
    return (run.url, run.scenario) == (job.url, job.scenario)


def _left(counts: Counts) -> Message:
    if not counts.unknown:
        return message("run.left_unsent", unsent=counts.not_sent)
    if not counts.not_sent:
        return message("run.left_unknown", unknown=counts.unknown)
    return message("run.left_unsent_and_unknown", unsent=counts.not_sent, unknown=counts.unknown)


async def _counts(ledger: Ledger, record: RunRecord) -> Counts:
    """Count the rows of a run; none when it cannot be read any more."""
    try:
        run = await ledger.open(record.run_id, read_only=True)
    except LedgerError:  # an old run that is damaged must not block a new one
        return Counts()
    try:
        return await run.counts()
    finally:
        await run.close_unchanged()
