"""`batch-enroll check`: the dry run, which does everything that `run` does before the first request."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from batch_enroll.cli import console
from batch_enroll.cli.options import add_job_flags, settings_help

if TYPE_CHECKING:
    from batch_enroll.config.job import Job
    from batch_enroll.ledger.interface import Ledger
    from batch_enroll.run.input_source import Source

_DESCRIPTION = f"""\
The dry run: all that `run` does before the first request, with the same flags.
Shows what would be sent, which rows would not be and why; sends nothing.

examples:
  batch-enroll check leads.xlsx --job leads.toml
  batch-enroll check leads.xlsx --job leads.toml --problems problems.csv
  batch-enroll check leads.xlsx --job leads.toml --save plan.json

`batch-enroll init leads.xlsx` proposes the job file. {settings_help("stop.max_errors")}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add INPUT, every flag of a job, and where the problems go."""
    parser.description = _DESCRIPTION
    what = parser.add_argument_group("the input")
    what.add_argument(
        "input", metavar="INPUT", help="CSV or Excel file, an address, a folder, a pattern like 'in/*.csv', or -"
    )
    what.add_argument("--problems", metavar="FILE", type=Path, help="write every problem as a CSV to work through")
    what.add_argument(
        "--save", metavar="FILE", type=Path, help="save the plan, for `run --plan FILE` to send this and nothing else"
    )
    add_job_flags(parser)
    parser.usage = "batch-enroll check INPUT [--job FILE] [flags]"
    parser.epilog = (
        "Without a token the platform is not asked.\n\n"
        "exit codes:\n"
        "  0 no problem   1 some rows are invalid   2 something is wrong, or beyond a limit of the job"
    )


def execute(args: argparse.Namespace) -> int:
    """Check; 0 when every row can be sent or is skipped, 1 when some are invalid, 2 when a limit forbids it."""
    import anyio

    return anyio.run(_check, args)


async def _check(args: argparse.Namespace) -> int:
    from batch_enroll.atomic_file import require_writable
    from batch_enroll.cli.job_options import (
        build_job_from_args,
        input_name,
        ledger_of,
        sources_of,
        token_of,
    )
    from batch_enroll.cli.multi_input import report_nothing_new, require_single_input
    from batch_enroll.cli.run_monitor import check_notifications
    from batch_enroll.clock import SystemClock
    from batch_enroll.errors import JobError
    from batch_enroll.run.approved_plan import check_plan_writable

    if args.save is not None:
        check_plan_writable(args.save)
    job, clock = build_job_from_args(args), SystemClock()
    check_notifications(job)
    if args.problems is not None:
        require_writable(args.problems)
    ledger = ledger_of(job)
    picked = await sources_of(args, job, ledger=ledger, clock=clock)
    if not picked.files:
        return report_nothing_new(job, input_name(args), clock=clock, passed_over=picked.skipped_text)
    if picked.skipped_text and not job.output.quiet:
        console.print_message(picked.skipped_text)
    for flag, file in (("--problems", args.problems), ("--save", args.save)):
        if file is not None:
            require_single_input(picked.files, flag)
    try:
        token = None if job.send.skip_preflight else token_of(job)
    except JobError:
        token = None
        console.print_message("No token was given, so the platform is not asked about the scenario.")
    found = [await _check_one(job, source, args, token=token, ledger=ledger) for source in picked.files]
    exit_code = max(code for code, _ in found)
    if job.output.json_:
        several = {"checks": [told for _, told in found], "exit_code": exit_code}
        console.print_json(found[0][1] if len(found) == 1 else several)
    return exit_code


async def _check_one(
    job: Job, source: Source, args: argparse.Namespace, *, token: str | None, ledger: Ledger
) -> tuple[int, dict[str, object]]:
    """Check one input and show what was found; give the exit code and the JSON object."""
    from batch_enroll.clock import SystemClock
    from batch_enroll.messages import advice_for
    from batch_enroll.reporting.plan_table import plan_to_json, print_plan
    from batch_enroll.reporting.progress import progress_on
    from batch_enroll.reporting.results_writer import write_problems
    from batch_enroll.reporting.run_state import RunStateTracker
    from batch_enroll.run.api import check_async
    from batch_enroll.run.approved_plan import approve, save_approved
    from batch_enroll.run.input_source import local_copy

    clock = SystemClock()
    state = RunStateTracker(job=job.name, scenario=job.scenario, clock=clock)
    with progress_on(sys.stderr, state=state, clock=clock, quiet=job.output.quiet) as progress:
        async with local_copy(source, job, ledger) as here:
            checked = await check_async(job, here, token=token, ledger=ledger, emit=progress)
    exit_code = 2 if checked.refused else 1 if checked.plan.invalid else 0
    if args.problems is not None:
        write_problems(args.problems, checked.invalid_rows, columns=checked.columns, advice=advice_for)
        console.print_message(f"Problems: {args.problems}")
    if not job.output.quiet:
        print_plan(checked.plan, sys.stderr)
        console.print_message("\nNothing was sent.")
    if args.save is not None and not checked.refused:
        now = clock.now()
        save_approved(args.save, approve(job, checked.plan, sha256=checked.input_sha256, now=now))
        console.print_message(f"Plan: {args.save}; to send this and nothing else, give `run` with --plan {args.save}")
    if args.save is not None and checked.refused:
        console.print_message("The plan was not saved.")
    for refusal in checked.refused:
        console.print_error(f"`run` would refuse this: {refusal.message}", hint=refusal.hint)
    refused = [refusal.as_dict() for refusal in checked.refused]
    return exit_code, {**plan_to_json(checked.plan), "refused": refused, "exit_code": exit_code}
