"""`batch-enroll run` and `check`: send an input, or show what would be sent."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from batch_enroll.cli import console
from batch_enroll.cli.exit_codes import exit_codes_text
from batch_enroll.cli.options import add_job_flags, settings_help
from batch_enroll.cli.parser import CommandParser, FileArgument

if TYPE_CHECKING:
    from batch_enroll.cli.run_session import RunCallbacks
    from batch_enroll.config.job import Job
    from batch_enroll.ledger.interface import Ledger
    from batch_enroll.overwrite_guard import Output
    from batch_enroll.reporting.summary import RunSummary
    from batch_enroll.run.input_source import Source

_RUN = """\
Enroll every row of a spreadsheet: plan it, ask the platform about the scenario,
show both and ask you, send, and write what became of each row. The same command
resumes a run that stopped before its end.

examples:
  batch-enroll run leads.xlsx --job leads.toml
  batch-enroll run leads.xlsx --job leads.toml --canary 10 --rate 5
  batch-enroll run /in --pick new --if-changed --job nightly.toml --yes --json
"""
_CHECK = """\
The dry run: all that `run` does before the first request, with the same flags.
Shows what would be sent, which rows would not be and why; sends nothing.
The plan goes to standard output; with --json the JSON object does instead.

examples:
  batch-enroll check leads.xlsx --job leads.toml
  batch-enroll check leads.xlsx --job leads.toml --problems problems.csv
  batch-enroll check leads.xlsx --job leads.toml --save plan.json
"""


def add_run(parser: CommandParser) -> None:
    """Declare the command."""
    plan = "send what `check --save FILE` showed and nothing else, without asking; refuse if it has changed"
    _add_input_flags(parser, {"--plan": plan})
    parser.usage = "batch-enroll run INPUT [--job FILE] [flags]"
    parser.description = _with_settings_help(_RUN)
    parser.epilog = exit_codes_text()
    parser.set_defaults(execute=_run)


def add_check(parser: CommandParser) -> None:
    """Declare the command."""
    _add_input_flags(
        parser,
        {
            "--problems": "write every problem as a CSV to work through",
            "--save": "save the plan, for `run --plan FILE` to send this and nothing else",
        },
    )
    parser.usage = "batch-enroll check INPUT [--job FILE] [flags]"
    parser.description = _with_settings_help(_CHECK)
    parser.epilog = (
        "Without a token the platform is not asked.\n\n"
        "exit codes:\n"
        "  0 no problem   1 some rows are invalid   2 something is wrong, or beyond a limit of the job"
    )
    parser.set_defaults(execute=_check)


def _add_input_flags(parser: CommandParser, files: dict[str, str]) -> None:
    """Add INPUT, flags that name a file, and every flag of a job."""
    group = parser.add_argument_group("the input")
    group.add_argument(
        "input",
        metavar="INPUT",
        action=FileArgument,
        help="CSV or Excel file, an address, a folder, a pattern like 'in/*.csv', or -",
    )
    for flag, text in files.items():
        group.add_argument(flag, metavar="FILE", type=Path, action=FileArgument, help=text)
    group.add_argument(
        "--samples",
        action="store_true",
        help="show the first requests and the cells of invalid rows, which are people's data, also off a terminal",
    )
    add_job_flags(parser)


def _with_settings_help(text: str) -> str:
    return f"{text}\n`batch-enroll init leads.xlsx` proposes the job file. {settings_help('stop.max_errors')}"


async def _run(args: argparse.Namespace) -> int:
    """Run to the end; give the exit code."""
    from batch_enroll.cli.job_options import STDIN, input_name, job_name, ledger_of, local_input, token_of
    from batch_enroll.cli.multi_input import run_each, select_or_report
    from batch_enroll.cli.run_monitor import check_outputs, monitored_job
    from batch_enroll.cli.run_session import RunSession
    from batch_enroll.daemon_threads import entered
    from batch_enroll.errors import RunStopped
    from batch_enroll.messages import message
    from batch_enroll.run.api import enroll_async
    from batch_enroll.run.approved_plan import read_approved
    from batch_enroll.run.context import job_lock
    from batch_enroll.run.input_source import local_copy
    from batch_enroll.run.unfinished_runs import unfinished_named

    with monitored_job(args, input_name=input_name(args), source=local_input(args)) as (job, monitor):
        approved = read_approved(args.plan) if args.plan is not None else None
        ledger = ledger_of(job)
        async with entered(job_lock(job_name(args), ledger)), unfinished_named(ledger, job):
            sources = await select_or_report(args, job, ledger, "--plan", monitor=monitor)
            if not sources:
                return 0
            for source in sources:
                check_outputs(args, job, source=source if isinstance(source, Path) else None)
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
                samples=args.samples,
            )
            return await run_each(session, sources, enroll)


def _flag_outputs(args: argparse.Namespace) -> Iterator[Output]:
    """Yield the files that `check` writes besides those of the job."""
    from batch_enroll.messages import message
    from batch_enroll.overwrite_guard import flag_output
    from batch_enroll.reporting.results_writer import PROBLEMS_BEGIN
    from batch_enroll.run.approved_plan import PLAN_BEGINS

    if args.problems is not None:
        yield flag_output(args.problems, message("report.the_problems"), "--problems", begins=PROBLEMS_BEGIN)
    if args.save is not None:
        yield flag_output(args.save, message("report.the_plan"), "--save", begins=PLAN_BEGINS)


async def _check(args: argparse.Namespace) -> int:
    """Check; 0 when every row can be sent or is skipped, 1 when some are invalid, 2 when a limit forbids it."""
    from batch_enroll.atomic_file import require_writable
    from batch_enroll.cli.job_options import build_job_from_args, input_name, ledger_of, local_input, token_of
    from batch_enroll.cli.multi_input import report_nothing_new, select_or_report
    from batch_enroll.cli.run_monitor import check_notifications, check_outputs
    from batch_enroll.cli.run_session import is_nothing_to_do
    from batch_enroll.errors import EmptyInput, JobError

    job = build_job_from_args(args)
    others = list(_flag_outputs(args))
    check_outputs(args, job, *others, source=local_input(args))
    for output in others:
        require_writable(output.path)
    check_notifications(job)
    ledger = ledger_of(job)
    sources = await select_or_report(args, job, ledger, "--problems", "--save")
    if not sources:
        return 0
    for source in sources:
        check_outputs(args, job, *others, source=source if isinstance(source, Path) else None)
    try:
        token = None if job.send.skip_preflight else token_of(job)
    except JobError:
        token = None
        console.print_message("No token was given, so the platform is not asked about the scenario.")
    codes: list[int] = []
    checks: list[dict[str, object]] = []
    for source in sources:
        try:
            code, told = await _check_one(job, source, args, token=token, ledger=ledger)
        except EmptyInput as empty:
            if not is_nothing_to_do(empty, job):
                raise
            name = source.name if isinstance(source, Path) else input_name(args)
            codes.append(report_nothing_new(job, name, is_empty=True, emit_json=checks.append))
        else:
            codes.append(code)
            checks.append(told)
    if job.output.json_:
        console.print_json(checks[0] if len(checks) == 1 else {"checks": checks, "exit_code": max(codes)})
    return max(codes)


async def _check_one(
    job: Job, source: Source, args: argparse.Namespace, *, token: str | None, ledger: Ledger
) -> tuple[int, dict[str, object]]:
    """Check one input and show what was found; give the exit code and the JSON object."""
    from batch_enroll.cli.run_session import is_nothing_to_do
    from batch_enroll.clock import SystemClock
    from batch_enroll.messages import advice_for
    from batch_enroll.reporting.multi_summary import nothing_new_line
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
    nothing_new = checked.finished if checked.finished and is_nothing_to_do(checked.finished, job) else None
    refused = () if nothing_new else checked.refused
    exit_code = 2 if refused else 1 if checked.plan.invalid and not nothing_new else 0
    if args.problems is not None:
        write_problems(args.problems, checked.invalid_rows, columns=checked.columns, advice=advice_for)
        console.print_message(f"Problems: {args.problems}")
    if not job.output.quiet and not job.output.json_:
        print_plan(checked.plan, console.data_stream(), samples=args.samples)
        console.data_stream().flush()  # before the next line of standard error
        console.print_message("\nNothing was sent.")
    if args.save is not None and not checked.refused:
        now = clock.now()
        save_approved(args.save, approve(job, checked.plan, sha256=checked.input_sha256, now=now))
        console.print_message(f"Plan: {args.save}; to send this and nothing else, give `run` with --plan {args.save}")
    if args.save is not None and checked.refused:
        console.print_message("The plan was not saved.")
    if nothing_new and not job.output.quiet:
        console.print_message(nothing_new_line(checked.plan.input_name, earlier=nothing_new))
    for refusal in refused:
        console.print_error(f"`run` would refuse this: {refusal.message}", hint=refusal.hint)
    told = [refusal.as_dict() for refusal in refused]
    return exit_code, {**plan_to_json(checked.plan), "refused": told, "exit_code": exit_code}
