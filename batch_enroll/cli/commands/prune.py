"""`batch-enroll prune`: remove the stored rows of runs that finished long ago."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import timedelta

from batch_enroll.cli import console
from batch_enroll.cli.ledger_options import add_json_flag, add_ledger_flags, ledger_from
from batch_enroll.messages import message

_CONFIRMATION = "forget"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the age, what to remove, and whether to ask."""
    parser.add_argument(
        "--older-than", metavar="AGE", required=True, help="runs that ended longer ago than this, for example 90d"
    )
    parser.add_argument(
        "--forget",
        action="store_true",
        help="remove whole runs with the record of whom they enrolled: the same people could be enrolled again",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--yes", action="store_true", help="do not ask")
    which.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    add_ledger_flags(parser, run=False)
    add_json_flag(parser)
    parser.epilog = (
        "Removes the rows (personal data) of finished runs and what happened to each of them. Their totals stay, and\n"
        "so does the record of whom they enrolled: nobody is enrolled twice because of it. Unfinished runs and runs\n"
        "with unknown rows are kept.\n\nexit codes: 0 done, or nothing to do; 2 not done; 5 a run was in use"
    )


def execute(args: argparse.Namespace) -> int:
    """Show, ask, remove."""
    import anyio

    return anyio.run(_prune, args)


async def _prune(args: argparse.Namespace) -> int:
    from batch_enroll.clock import SystemClock
    from batch_enroll.errors import JobError
    from batch_enroll.maintenance.prune import plan_prune, prune
    from batch_enroll.reporting.prune_table import print_prune_plan, prune_to_json, size_text

    ledger = ledger_from(args)
    before = SystemClock().now() - timedelta(seconds=_age_s(args.older_than))
    plan = await plan_prune(ledger, before=before, forget=args.forget)
    print_prune_plan(plan, sys.stderr)
    if args.dry_run or not plan.prunable:
        if plan.prunable:
            console.print_message("\nNothing was removed: this was a dry run.")
        if args.json:
            console.print_output(json.dumps(prune_to_json(plan, done=False), ensure_ascii=False))
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
        console.print_output(json.dumps(prune_to_json(plan, done=True, busy=busy), ensure_ascii=False))
    return 5 if busy else 0


def _agreed(runs: int, *, forget: bool) -> bool:
    if forget:
        return (
            console.prompt(f"To forget {_runs(runs)} and whom they enrolled, type {_CONFIRMATION}:").lower()
            == _CONFIRMATION
        )
    return console.prompt(f"Prune {_runs(runs)}? [y/N]").lower() in ("y", "yes", "д", "да", "j", "ja")


def _runs(many: int) -> str:
    return "1 run" if many == 1 else f"{many:,} runs"


def _age_s(text: str) -> float:
    from batch_enroll.config.value_parsers import parse_duration
    from batch_enroll.errors import JobError

    try:
        return parse_duration(text)
    except ValueError as error:
        raise JobError(message("job.problem_at", place="--older-than", problem=error.args[0])) from None
