"""`batch-enroll resume` and `retry`: send rows of an earlier run from its kept rows and settings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from batch_enroll.cli import console
from batch_enroll.cli.exit_codes import exit_codes_text
from batch_enroll.cli.options import add_job_flags, add_run_argument, ledger_from, run_of, unless_seen
from batch_enroll.cli.parser import CommandParser
from batch_enroll.errors import RunNotActive
from batch_enroll.messages import message

if TYPE_CHECKING:
    from batch_enroll.config.job import Job
    from batch_enroll.ledger.interface import Ledger
    from batch_enroll.models import RowStatus

_RESUME = """\
Let a paused run go on, or continue one that stopped or crashed. The rows are sent as
they were planned, from what was kept; the input is not needed. Address, scenario,
matching and content cannot change; rate, limits and outputs can be set again.

examples:
  batch-enroll resume b6f44942
  batch-enroll resume b6f44942 --job leads.toml --rate 5
"""


def add_resume(parser: CommandParser) -> None:
    """Declare the command; the run's own settings are the default of its flags."""
    add_run_argument(parser, active=True)
    add_job_flags(parser)
    parser.usage = "batch-enroll resume RUN [--job FILE] [flags]"
    parser.description = _RESUME
    parser.epilog = (
        "A paused run resumes at its rate and does not catch up for the pause. Exit code 0 also when the run is "
        f"active and not paused, 2 when no row of it is left.\n\n{exit_codes_text()}"
    )
    parser.set_defaults(execute=_resume)


def add_retry(parser: CommandParser) -> None:
    """Declare the command; the run's own settings are the default of its flags."""
    add_run_argument(parser)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--errors", action="store_true", help="the rows that the platform refused")
    which.add_argument("--not-sent", action="store_true", help="the rows that were not sent; the same as `resume`")
    add_job_flags(parser)
    parser.usage = "batch-enroll retry RUN --errors | --not-sent [flags]"
    parser.epilog = "The rows are sent as they were planned; rate and limits can be set again."
    parser.set_defaults(execute=_retry)


async def _resume(args: argparse.Namespace) -> int:
    """Let the run go on in its own process, or continue it in this one."""
    ledger = ledger_from(args)
    run_id = await run_of(args, ledger, active=args.run is None, why_not_last=unless_seen())
    return await _resume_run(args, ledger, run_id)


async def _retry(args: argparse.Namespace) -> int:
    """Send the rows; the exit code is that of `run`."""
    from batch_enroll.models import RowStatus

    ledger = ledger_from(args)
    run_id = await run_of(args, ledger, why_not_last=unless_seen())
    if args.not_sent:
        return await _resume_run(args, ledger, run_id)
    return await _send_rows(args, ledger, run_id, RowStatus.ERROR)


async def _resume_run(args: argparse.Namespace, ledger: Ledger, run_id: str) -> int:
    from batch_enroll.models import RowStatus

    if await ledger.lock_owner(run_id):
        try:
            return await _let_go_on(args, ledger, run_id)
        except RunNotActive:  # it has ended since
            pass
    return await _send_rows(args, ledger, run_id, RowStatus.NOT_SENT)


async def _let_go_on(args: argparse.Namespace, ledger: Ledger, run_id: str) -> int:
    """Ask the process that works on the run to go on, at a new rate when one is given."""
    from batch_enroll.cli.commands.control import print_reply
    from batch_enroll.clock import SystemClock
    from batch_enroll.control.control_client import send_control_command
    from batch_enroll.control.control_files import ControlCommand

    clock = SystemClock()
    pace = {name: value for name in ("rate", "concurrency") if (value := getattr(args, name)) is not None}
    if pace:
        changed = await send_control_command(ledger, run_id, ControlCommand.SET, clock=clock, pace=pace)
        if not changed.done:
            print_reply(changed, as_json=bool(args.json))
            return 2
    reply = await send_control_command(ledger, run_id, ControlCommand.RESUME, clock=clock)
    print_reply(reply, as_json=bool(args.json))
    return 0 if reply.done else 2


async def _send_rows(args: argparse.Namespace, ledger: Ledger, run_id: str, status: RowStatus) -> int:
    """Send the rows of a status from this process; the exit code is that of `run`."""
    from batch_enroll.cli.job_options import STDIN, job_name, token_of
    from batch_enroll.cli.kept_job import build_kept_job
    from batch_enroll.cli.run_monitor import monitored_job
    from batch_enroll.cli.run_session import RunSession
    from batch_enroll.daemon_threads import entered
    from batch_enroll.ledger.records import RunState
    from batch_enroll.reporting.result_paths import is_address
    from batch_enroll.run.api import retry_async
    from batch_enroll.run.context import job_lock

    record = next(record for record in await ledger.runs() if record.run_id == run_id)
    if record.state is RunState.PLANNING:
        raise RunNotActive(message("run.no_plan_to_resume", run_id=run_id, input=record.input_name))
    name, path = record.input_name, record.input_path
    source = None if is_address(path) or path == STDIN else Path(path)

    def build(args: argparse.Namespace) -> Job:
        return build_kept_job(args, record)

    with monitored_job(args, input_name=name, source=source, build=build) as (job, monitor):
        async with entered(job_lock(job_name(args), ledger)):
            token = token_of(job)
            asks = not job.output.yes and console.is_terminal()
            session = RunSession(job=job, token=token, monitor=monitor, asks=asks)
            return await session.run(
                name,
                lambda callbacks: retry_async(
                    job,
                    run_id,
                    status,
                    token=token,
                    ledger=ledger,
                    emit=callbacks.emit,
                    confirm=callbacks.confirm,
                    look=callbacks.look,
                    control=callbacks.control,
                    clock=callbacks.clock,
                ),
            )
