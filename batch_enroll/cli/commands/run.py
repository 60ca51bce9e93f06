"""`batch-enroll run`: plan, preflight, confirm, send, report."""

from __future__ import annotations

import argparse
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from batch_enroll.cli import console
from batch_enroll.cli.exit_codes import exit_codes_text
from batch_enroll.cli.options import add_job_flags, settings_help
from batch_enroll.messages import message

if TYPE_CHECKING:
    from batch_enroll.cli.run_session import RunCallbacks
    from batch_enroll.reporting.summary import RunSummary
    from batch_enroll.run.input_source import Source

_DESCRIPTION = f"""\
Enroll every row of a spreadsheet: plan it, ask the platform about the scenario,
show both and ask you, send, and write what became of each row. The same command
resumes a run that stopped before its end.

examples:
  batch-enroll run leads.xlsx --job leads.toml
  batch-enroll run leads.xlsx --job leads.toml --canary 10 --rate 5
  batch-enroll run /in --pick new --if-changed --job nightly.toml --yes --json

`batch-enroll init leads.xlsx` proposes the job file. {settings_help("stop.max_errors")}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add INPUT and every flag of a job."""
    parser.description = _DESCRIPTION
    what = parser.add_argument_group("the input")
    what.add_argument(
        "input", metavar="INPUT", help="CSV or Excel file, an address, a folder, a pattern like 'in/*.csv', or -"
    )
    what.add_argument(
        "--plan",
        metavar="FILE",
        type=Path,
        help="send what `check --save FILE` showed and nothing else, without asking; refuse if it has changed",
    )
    add_job_flags(parser)
    parser.usage = "batch-enroll run INPUT [--job FILE] [flags]"
    parser.epilog = exit_codes_text()


def execute(args: argparse.Namespace) -> int:
    """Run to the end; give the exit code."""
    import anyio  # --help does without all of these

    return anyio.run(_run, args)


async def _run(args: argparse.Namespace) -> int:
    from batch_enroll.cli.job_options import (
        STDIN,
        input_name,
        job_name,
        ledger_of,
        sources_of,
        token_of,
    )
    from batch_enroll.cli.multi_input import (
        archive_done,
        report_nothing_new,
        require_single_input,
        run_each,
    )
    from batch_enroll.cli.run_monitor import monitored_job
    from batch_enroll.cli.run_session import RunSession
    from batch_enroll.clock import SystemClock
    from batch_enroll.daemon_threads import entered, run_in_thread
    from batch_enroll.errors import RunStopped
    from batch_enroll.run.api import enroll_async
    from batch_enroll.run.approved_plan import read_approved
    from batch_enroll.run.context import job_lock
    from batch_enroll.run.input_source import local_copy

    clock = SystemClock()
    with monitored_job(args, input_name=input_name(args)) as (job, monitor):
        approved = read_approved(args.plan) if args.plan is not None else None
        ledger = ledger_of(job)
        async with entered(job_lock(job_name(args), ledger)):
            picked = await sources_of(args, job, ledger=ledger, clock=clock)
            await run_in_thread(archive_done, job, picked.enrolled_before)
            if not picked.files:
                return report_nothing_new(
                    job, input_name(args), monitor=monitor, clock=clock, passed_over=picked.skipped_text
                )
            if picked.skipped_text and not job.output.quiet:
                console.print_message(picked.skipped_text)
            if approved is not None:
                require_single_input(picked.files, "--plan")
            token = token_of(job)

            async def enroll(source: Source, callbacks: RunCallbacks) -> RunSummary:
                async with AsyncExitStack() as stack:
                    with callbacks.control.stoppable():
                        here = await stack.enter_async_context(local_copy(source, job, ledger))
                    if callbacks.control.reason:
                        raise RunStopped(message("run.stopped_before_sending", reason=callbacks.control.reason))
                    return await enroll_async(
                        job,
                        here,
                        token=token,
                        ledger=ledger,
                        emit=callbacks.emit,
                        confirm=callbacks.confirm,
                        look=callbacks.look,
                        control=callbacks.control,
                        approved=approved,
                        clock=callbacks.clock,
                    )

            session = RunSession(
                job=job,
                token=token,
                monitor=monitor,
                asks=not job.output.yes and console.is_terminal() and args.input != STDIN,
                approved=approved is not None,
            )
            return await run_each(session, picked.files, enroll, clock=clock)
