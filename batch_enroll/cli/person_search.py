"""The parts of `runs` and `prune` that are about one person."""

from __future__ import annotations

import argparse
import sys

from batch_enroll.cli import console
from batch_enroll.errors import JobError
from batch_enroll.ledger.interface import Ledger
from batch_enroll.messages import message

_CONFIRMATION = "forget"


async def list_person_rows(args: argparse.Namespace, ledger: Ledger) -> int:
    """List what the runs have of the person that `--who` names."""
    from batch_enroll.maintenance.person_lookup import find_person
    from batch_enroll.reporting.person_table import person_rows_to_json, print_person_rows

    rows = await find_person(ledger, args.who)
    if args.json:
        console.print_json(person_rows_to_json(rows))
    elif rows:
        print_person_rows(rows, console.data_stream())
    else:
        console.print_message(str(message("maintenance.nobody_found")))
    return 0


async def forget_person(args: argparse.Namespace, ledger: Ledger) -> int:
    """Show what the ledger has of the person that `--forget-who` names, ask, and erase it."""
    from batch_enroll.maintenance.person_erasure import ErasurePlan, erase_person, erasure_to_json, plan_erasure
    from batch_enroll.reporting.person_table import print_person_rows

    def finish(plan: ErasurePlan, *, done: bool) -> int:
        if args.json:
            console.print_json(erasure_to_json(plan, done=done))
        return 0

    plan = await plan_erasure(ledger, args.forget_who)
    if not plan.rows:
        console.print_message(str(message("maintenance.nobody_found")))
    if not plan.rows and not plan.unused_plans:
        return finish(plan, done=False)
    if plan.rows:
        print_person_rows(plan.rows, sys.stderr)
        console.print_message(f"\n{message('maintenance.forget_what')}")
    if plan.unused_plans:
        console.print_message(str(message("maintenance.forget_unused_plans", plans=", ".join(plan.unused_plans))))
    if args.dry_run:
        console.print_message("\nNothing was changed: this was a dry run.")
        return finish(plan, done=False)
    if not args.yes:
        if not console.is_terminal():
            raise JobError(message("maintenance.prune_needs_yes"))
        if console.prompt(f"To forget this person, type {_CONFIRMATION}:").lower() != _CONFIRMATION:
            console.print_message("Nothing was changed.")
            return 2
    await erase_person(ledger, plan, args.forget_who)
    console.print_message(f"\n{message('maintenance.forgotten', rows=len(plan.rows), runs=len(plan.runs))}")
    if plan.results:
        console.print_message(str(message("maintenance.forgotten_files")))
        for path in plan.results:
            console.print_message(f"  {path}")
    console.print_message(str(message("maintenance.forgotten_rest")))
    if plan.elsewhere:
        console.print_message(str(message("maintenance.forgotten_elsewhere", runs=plan.elsewhere)))
    return finish(plan, done=True)
