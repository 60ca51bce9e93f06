"""`batch-enroll retry RUN`: send the refused or the unsent rows of a run in a retry batch."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from batch_enroll.cli.ledger_options import add_run_argument, run_of, unless_seen
from batch_enroll.cli.options import add_job_flags, given_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add RUN, which rows, and every flag of a job: the run's own settings are the default."""
    add_run_argument(parser)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--errors", action="store_true", help="the rows that the platform refused")
    which.add_argument("--not-sent", action="store_true", help="the rows that were not sent")
    add_job_flags(parser)
    parser.usage = "batch-enroll retry RUN --errors | --not-sent [flags]"
    parser.epilog = "The rows are sent as they were planned; rate and limits can be set again."


def execute(args: argparse.Namespace) -> int:
    """Send them; the exit code is that of `run`."""
    import anyio

    return anyio.run(_retry, args)


async def _retry(args: argparse.Namespace) -> int:
    from batch_enroll.cli.job_options import job_file_of, token_of
    from batch_enroll.cli.run_monitor import monitored_job
    from batch_enroll.cli.run_session import RunSession
    from batch_enroll.config.job import Job
    from batch_enroll.config.load import build_job
    from batch_enroll.ledger.location import open_ledger
    from batch_enroll.models import RowStatus
    from batch_enroll.run.api import retry_async

    given = given_settings(args, os.environ)
    where = next((item.value for item in reversed(given) if item.path == ("output", "ledger")), None)
    ledger = open_ledger(where)
    run_id = await run_of(args, ledger, why_not_last=unless_seen())
    record = await _record(ledger, run_id)

    def job_of_run(args: argparse.Namespace) -> Job:
        file = job_file_of(args)
        settings = {**Job.settings_from_json(record.settings_json), **file.settings}
        name = file.name or f"run {run_id}"
        return build_job(file=settings, file_name=name, file_places=file.places, given=given)

    status = RowStatus.ERROR if args.errors else RowStatus.NOT_SENT
    with monitored_job(args, input_name=record.input_name, build=job_of_run) as (job, monitor):
        token = token_of(job)
        asks = not job.output.yes and sys.stdin.isatty()
        session = RunSession(job=job, token=token, monitor=monitor, asks=asks)
        return await session.run(
            record.input_name,
            lambda callbacks: retry_async(
                job,
                run_id,
                status,
                token=token,
                ledger=ledger,
                emit=callbacks.emit,
                confirm=callbacks.confirm,
                control=callbacks.control,
                clock=callbacks.clock,
            ),
        )


async def _record(ledger: Any, run_id: str) -> Any:
    run = await ledger.open(run_id, read_only=True)
    try:
        return run.record
    finally:
        await run.close_unchanged()
