"""Identify a run: the same command on the same input finds its unfinished run, or is refused after a finished one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from batch_enroll.clock import local_time
from batch_enroll.config.job import Job
from batch_enroll.errors import AlreadyFinished, JobError
from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.records import RunRecord
from batch_enroll.loading import InputTable
from batch_enroll.messages import message
from batch_enroll.models import Counts
from batch_enroll.run.identity_keys import former_urls

_DRY_RUN = "dry run of "


def run_identity(job: Job, table: InputTable, *, url: str = "") -> str:
    """Hash what a run is about: the same command on the same input gives the same hex sha256.

    The sheet and the part of the rows belong to the input: two sheets of one workbook are two inputs.

    Args:
        url: the platform's address as an earlier release recorded it; "" = the job's, in canonical form.
    """
    parts = [
        table.sha256,
        url or job.url,
        job.scenario,
        job.matching,
        table.sheet or "",
        table.header_row,
        job.input.start_row or "",
        job.input.limit or "",
    ]
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


async def run_identities(job: Job, table: InputTable, ledger: Ledger) -> tuple[str, ...]:
    """Give the identity of a run, then those that earlier releases gave to the same run."""
    former = await former_urls(job, ledger)
    return tuple(dict.fromkeys([run_identity(job, table), *(run_identity(job, table, url=url) for url in former)]))


def dry_run_identity(identity: str) -> str:
    """Mark the identity of a dry run, so that no command resumes it."""
    return _DRY_RUN + identity


def is_dry_run(record: RunRecord) -> bool:
    """Tell the record of a dry run, which is in progress or was killed, from that of a run."""
    return record.identity.startswith(_DRY_RUN)


def new_run_id(identity: str, *, taken: Iterable[str], dry_run: bool) -> str:
    """Give the first eight hex digits of the identity; a repetition gets the next number after those that are taken."""
    name = identity[:8]
    if dry_run:
        return f"check-{name}"
    taken = [other for other in taken if other.partition("-")[0] == name]  # a former identity gave another name
    last = max((1 if other == name else int(other.rpartition("-")[2]) for other in taken), default=0)
    return f"{name}-{last + 1}" if last else name


def check_same_requests(record: RunRecord, job: Job) -> None:
    """Make sure that an unfinished run would be resumed with the requests that were planned.

    Raises:
        JobError: the job asks for other content or another matching now.
    """
    planned = json.loads(record.settings_json)
    now = json.loads(job.model_dump_json(by_alias=True))
    for name, what in (("content", "content"), ("match", "matching")):
        if planned.get(name) != now[name]:
            raise JobError(message("run.planned_otherwise", run_id=record.run_id, what=what))


async def already_finished(ledger: Ledger, record: RunRecord) -> AlreadyFinished:
    """Build the error that says when the same command finished and what became of its rows."""
    totals = await _totals(ledger, record)
    counts = tuple(f"{count:,} {name}" for name, count in totals.as_dict().items() if count and name != "rows")
    when = f" on {local_time(record.finished_at)}" if record.finished_at else ""
    left = ("unknown" * bool(totals.unknown), "error" * bool(totals.error), "invalid" * bool(totals.invalid), "again")
    hint = f"run.already_finished_{next(filter(None, left))}"
    return AlreadyFinished(
        message(
            "run.already_finished",
            scenario=record.scenario,
            run_id=record.run_id,
            when=when,
            rows=totals.rows,
            counts=counts,
        ),
        hint=message(hint, run_id=record.run_id),
        run_id=record.run_id,
        finished_at=record.finished_at,
        counts=totals,
        input_sha256=record.input_sha256,
    )


async def nothing_to_resume(ledger: Ledger, record: RunRecord) -> AlreadyFinished:
    """Build the error that says how a run ended that has no row left to send."""
    finished = await already_finished(ledger, record)
    totals = finished.counts
    values = {name: finished.content.values[name] for name in ("run_id", "when", "rows", "counts")}
    hint = "unknown" if totals.unknown else "error" if totals.error else ""
    return AlreadyFinished(
        message("run.nothing_to_resume", **values),
        hint=message(f"run.already_finished_{hint}", run_id=record.run_id) if hint else None,
        run_id=record.run_id,
        finished_at=record.finished_at,
        counts=totals,
        input_sha256=record.input_sha256,
    )


async def _totals(ledger: Ledger, record: RunRecord) -> Counts:
    run = await ledger.open(record.run_id, read_only=True)
    try:
        return await run.counts()
    finally:
        await run.close_unchanged()
