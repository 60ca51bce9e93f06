"""`batch-enroll doctor`, `support` and `prune`: check this machine, write a support bundle, remove stored rows."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_enroll.cli import console
from batch_enroll.cli.options import (
    add_job_flags,
    add_json_flag,
    add_ledger_flag,
    add_run_argument,
    add_setting_flags,
    given_settings,
    ledger_from,
    ledger_place,
    output_path,
    run_of,
)
from batch_enroll.cli.parser import CommandParser, FileArgument
from batch_enroll.config.settings import JOB_VARIABLE
from batch_enroll.errors import JobError
from batch_enroll.messages import counted, message

if TYPE_CHECKING:
    from batch_enroll.ledger.interface import Ledger
    from batch_enroll.maintenance.doctor import DoctorTarget

_ABOUT_A_JOB = ("url", "scenario", "match")
_CONFIRMATION = "forget"


def add_doctor(parser: CommandParser) -> None:
    """Declare the command; none of a job's flags is required."""
    add_job_flags(parser)
    parser.add_argument(
        "--rebuild-index",
        action="store_true",
        help="make a lost ledger anew from the folders of its runs, and do nothing else",
    )
    parser.usage = "batch-enroll doctor [--job FILE] [flags]"
    parser.epilog = (
        "Sends nothing and, without --rebuild-index, changes nothing. With a job (--job FILE) the platform\n"
        "is asked about the token and the scenario; without one only this machine is checked.\n\n"
        "exit codes: 0 no problem, 2 a problem was found"
    )
    parser.set_defaults(execute=_doctor)


def add_support(parser: CommandParser) -> None:
    """Declare the command."""
    add_run_argument(parser)
    add_ledger_flag(parser)
    parser.add_argument(
        "--log-file",
        metavar="FILE",
        type=Path,
        action=FileArgument,
        help="the run's log (default: the one its job named)",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        action=FileArgument,
        help="the bundle, or a folder for it (default: batch-enroll-support-RUN.zip in this folder)",
    )
    add_setting_flags(parser, "output.overwrite")
    parser.epilog = (
        "The bundle holds versions, settings, counts, reasons, statistics, the doctor's findings and the last log\n"
        "lines about the run. It does not hold the token, rows, identities or cell contents."
    )
    parser.set_defaults(execute=_support)


def add_prune(parser: CommandParser) -> None:
    """Declare the command."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--older-than", metavar="AGE", help="runs that ended longer ago than this, for example 90d")
    what.add_argument(
        "--forget-who",
        metavar="VALUE",
        help="erase one person, by address, phone, profile id or custom value, from all runs: "
        "the next file may start this person again",
    )
    parser.add_argument(
        "--forget",
        action="store_true",
        help="remove whole runs with the record of whom they enrolled: the same people could be enrolled again",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--yes", action="store_true", help="do not ask")
    which.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    add_ledger_flag(parser)
    add_json_flag(parser)
    parser.epilog = (
        "Removes the rows (personal data) of finished runs and what happened to each of them. Their totals stay, and\n"
        "so does the record of whom they enrolled: nobody is enrolled twice because of it. Unfinished runs and runs\n"
        "with unknown rows are kept.\n\n"
        "--forget-who shows what is stored about one person, asks, and erases it. Results files are yours and stay.\n\n"
        "exit codes: 0 done, or nothing to do; 2 not done; 5 a run was in use"
    )
    parser.set_defaults(execute=_prune)


async def _doctor(args: argparse.Namespace) -> int:
    """Run the checks and print what they found."""
    from batch_enroll.clock import SystemClock
    from batch_enroll.maintenance.doctor import examine
    from batch_enroll.reporting.health_findings import exit_code_for_findings, findings_to_json, print_findings

    if args.rebuild_index:
        return await _rebuild_index(ledger_from(args))
    findings = await examine(_build_target(args), clock=SystemClock())
    if args.json:
        console.print_json(findings_to_json(findings))
    else:
        print_findings(findings, console.data_stream())
    return exit_code_for_findings(findings)


async def _rebuild_index(ledger: Ledger) -> int:
    """Make a lost ledger anew, and tell what is lost for ever."""
    made = await ledger.rebuild_index()
    console.print_message(str(message("ledger.index_rebuilt", runs=made.runs)))
    if made.lost:
        console.print_message(str(message("ledger.index_rebuilt_lost", lost=made.lost)))
    for run_id in made.damaged:
        console.print_message(str(message("ledger.index_rebuilt_damaged", run_id=run_id)))
    return 2 if made.damaged else 0


def _build_target(args: argparse.Namespace) -> DoctorTarget:
    from batch_enroll.cli.job_options import build_job_from_args
    from batch_enroll.cli.run_monitor import check_notifications
    from batch_enroll.maintenance.doctor import DoctorTarget

    given: dict[tuple[str, ...], Any] = {}
    job, trouble = None, ""
    try:
        given = {item.path: item.value for item in given_settings(args, os.environ)}
        if args.job or os.environ.get(JOB_VARIABLE) or any(path[0] in _ABOUT_A_JOB for path in given):
            named = build_job_from_args(args)
            check_notifications(named)
            job = named
    except JobError as error:
        trouble = str(error)
    token_file = given.get(("token_file",))
    return DoctorTarget(
        job=job,
        job_trouble=trouble,
        environment=os.environ,
        token_file=Path(token_file) if token_file else None,
        ledger=given.get(("output", "ledger")),
    )


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # the user's id has neither an entry nor HOME
        return Path("~")


async def _support(args: argparse.Namespace) -> int:
    """Write the bundle and print its path."""
    from batch_enroll.atomic_file import require_writable
    from batch_enroll.clock import SystemClock
    from batch_enroll.config.secrets import TOKEN_VARIABLE
    from batch_enroll.maintenance.doctor import DoctorTarget, examine
    from batch_enroll.maintenance.support_bundle import BUNDLE_BEGINS, BUNDLE_NAME, collect, write_bundle
    from batch_enroll.overwrite_guard import ReadFiles, flag_output

    if args.log_file is not None and not args.log_file.is_file():
        raise JobError(message("maintenance.no_log_file", path=str(args.log_file)))
    ledger = ledger_from(args)
    run_id = await run_of(args, ledger)
    name = f"{BUNDLE_NAME}{run_id}"
    out = output_path(args.out, f"{name}.zip")
    log = () if args.log_file is None else ((message("report.read_log"), args.log_file),)
    index, state = ledger.place
    reads = ReadFiles(files=log, ledger=index, ledger_state=state, overwrite=bool(args.overwrite))
    reads.check(flag_output(out, message("report.the_support"), "--out", begins=BUNDLE_BEGINS))
    require_writable(out)
    target = DoctorTarget(job=None, environment={}, ledger=ledger_place(args), ask_platform=False)
    texts = await collect(
        ledger,
        run_id,
        findings=await examine(target, clock=SystemClock()),
        log_file=args.log_file,
        token=os.environ.get(TOKEN_VARIABLE, "").strip(),
        home=_home(),
    )
    write_bundle(out, texts, folder=name)
    console.print_output(str(out))
    console.print_message(
        f"{counted(len(texts), 'file')} about run {run_id}; README.txt inside describes them. "
        "Read them before sending it."
    )
    return 0


async def _prune(args: argparse.Namespace) -> int:
    """Show, ask, remove."""
    from batch_enroll.cli.person_search import forget_person
    from batch_enroll.clock import SystemClock
    from batch_enroll.maintenance.prune import plan_prune, prune
    from batch_enroll.reporting.prune_table import print_prune_plan, prune_to_json, size_text

    ledger = ledger_from(args)
    if args.forget_who is not None:
        if args.forget:
            raise JobError(message("maintenance.forget_both"))
        return await forget_person(args, ledger)
    before = SystemClock().now() - timedelta(seconds=_age_s(args.older_than))
    plan = await plan_prune(ledger, before=before, forget=args.forget)
    print_prune_plan(plan, sys.stderr)
    if args.dry_run or not plan.prunable:
        if plan.prunable:
            console.print_message("\nNothing was removed: this was a dry run.")
        if args.json:
            console.print_json(prune_to_json(plan, done=False))
        return 0
    if not args.yes:
        if not console.is_terminal():
            raise JobError(message("maintenance.prune_needs_yes"))
        if not _agreed(len(plan.prunable), forget=args.forget):
            console.print_message("Nothing was removed.")
            return 2
    busy = tuple(await prune(ledger, plan))
    for one in busy:
        console.print_error(one.why, hint=one.what_now)
    freed = sum(one.size for one in plan.prunable) - sum(
        one.size for one in plan.prunable if one.run_id in {left.run_id for left in busy}
    )
    console.print_message(f"\nPruned {_runs(len(plan.prunable) - len(busy))}; freed {size_text(freed)}.")
    if args.json:
        console.print_json(prune_to_json(plan, done=True, busy=busy))
    return 5 if busy else 0


def _agreed(runs: int, *, forget: bool) -> bool:
    if forget:
        return (
            console.prompt(f"To forget {_runs(runs)} and whom they enrolled, type {_CONFIRMATION}:").lower()
            == _CONFIRMATION
        )
    return console.prompt(f"Prune {_runs(runs)}? [y/N]").lower() in ("y", "yes", "д", "да", "j", "ja")


def _runs(many: int) -> str:
    return counted(many, "run")


def _age_s(text: str) -> float:
    from batch_enroll.config.value_parsers import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise JobError(message("job.problem_at", place="--older-than", problem=error.args[0])) from None
