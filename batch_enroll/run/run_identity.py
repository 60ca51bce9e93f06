"""Which run a command means: a new one, one that goes on, or one that is finished and must not be sent again.

In: a job, an opened table, earlier runs in the ledger. Out: the run's identity and id, or the reason why it may not
begin. Never: a change of the ledger.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from batch_enroll.config.job import Job
from batch_enroll.errors import AlreadyFinished, JobError
from batch_enroll.ledger.interface import NO_PATH, Ledger, RunRecord
from batch_enroll.loading import Table
from batch_enroll.models import Counts, DownloadedInput

_DRY_RUN = "dry run of "


def run_identity(job: Job, table: Table) -> str:
    """Name a run by what it is about: the same command on the same input gives the same hex sha256.

    The sheet and the part of the rows belong to the input: two sheets of one workbook are two inputs.
    """
    parts = [
        table.sha256,
        job.url,
        job.scenario,
        job.matching,
        table.sheet or "",
        table.header_row,
        job.input.start_row or "",
        job.input.limit or "",
    ]
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def dry_run_identity(identity: str) -> str:
    """Name a dry run so that no command ever takes it for its own run."""
    return _DRY_RUN + identity


def is_dry_run(record: RunRecord) -> bool:
    """Tell a check that is going on, or was killed, from a run."""
    return record.identity.startswith(_DRY_RUN)


def path_text(source: Path | BinaryIO | DownloadedInput) -> str:
    """Write the input's place as the ledger keeps it: an edited file is recognised by its absolute path."""
    match source:
        case Path():
            return str(source.absolute())
        case DownloadedInput():
            return source.place
    return NO_PATH


def name_text(source: Path | BinaryIO | DownloadedInput) -> str:
    """Name the input for people: a file's own name, a whole address, `-` for standard input."""
    return source.name if isinstance(source, Path | DownloadedInput) else NO_PATH


def readable(source: Path | BinaryIO | DownloadedInput) -> Path | BinaryIO:
    """Give what the loader reads."""
    return source.path if isinstance(source, DownloadedInput) else source


def new_run_id(identity: str, *, taken: Iterable[str], dry_run: bool) -> str:
    """Eight hex digits that the same command gives again; a repetition is numbered on from those that are taken."""
    name = identity[:8]
    if dry_run:
        return f"check-{name}"
    last = max((1 if other == name else int(other.rpartition("-")[2]) for other in taken), default=0)
    return f"{name}-{last + 1}" if last else name


def check_same_requests(record: RunRecord, job: Job) -> None:
    """Make sure that an unfinished run goes on with the requests that were planned.

    Raises:
        JobError: the job asks for other content or another matching now.
    """
    planned = json.loads(record.settings_json)
    now = json.loads(job.model_dump_json(by_alias=True))
    for name, what in (("content", "content"), ("match", "matching")):
        if planned.get(name) != now[name]:
            raise JobError(
                f"Run {record.run_id} over this very input is unfinished and was planned with other settings "
                f"for the {what}.",
                hint=f"Finish it first: batch-enroll retry {record.run_id} --not-sent. Then change the settings.",
            )


async def already_finished(ledger: Ledger, record: RunRecord) -> AlreadyFinished:
    """Say when the same command ran to its end and what came of it."""
    totals = await _totals(ledger, record)
    when = f" on {record.finished_at.astimezone():%Y-%m-%d at %H:%M}" if record.finished_at else ""
    told = ", ".join(f"{count:,} {name}" for name, count in totals.as_dict().items() if count and name != "rows")
    return AlreadyFinished(
        f"This very input was sent to scenario {record.scenario} before: run {record.run_id}, finished{when} "
        f"({totals.rows:,} rows: {told}). Nothing was sent now.",
        hint=_what_now(record, totals),
        run_id=record.run_id,
        finished_at=record.finished_at,
        counts=totals,
        input_sha256=record.input_sha256,
    )


def _what_now(record: RunRecord, totals: Counts) -> str:
    if totals.unknown:
        return f"`batch-enroll resolve {record.run_id}` lists the unknown rows. --again would send every row again."
    return "Give --again to send it once more."


async def _totals(ledger: Ledger, record: RunRecord) -> Counts:
    run = await ledger.open(record.run_id, read_only=True)
    try:
        return await run.counts()
    finally:
        await run.close_unchanged()
