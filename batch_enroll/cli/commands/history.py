"""`batch-enroll runs`, `show` and `report`: earlier runs and their files."""

from __future__ import annotations

import argparse
from pathlib import Path

from batch_enroll.cli import console
from batch_enroll.cli.options import (
    add_json_flag,
    add_ledger_flag,
    add_run_argument,
    add_setting_flags,
    ledger_from,
    run_of,
)
from batch_enroll.cli.parser import CommandParser


def add_runs(parser: CommandParser) -> None:
    """Declare the command."""
    parser.add_argument(
        "--who",
        metavar="VALUE",
        help="list only the rows about one person: an address, phone, profile id or custom value; it is stored nowhere",
    )
    add_ledger_flag(parser)
    add_json_flag(parser)
    parser.set_defaults(execute=_list_runs)


def add_show(parser: CommandParser) -> None:
    """Declare the command."""
    add_run_argument(parser)
    add_ledger_flag(parser)
    add_json_flag(parser)
    parser.set_defaults(execute=_show)


def add_report(parser: CommandParser) -> None:
    """Declare the command."""
    add_run_argument(parser)
    add_ledger_flag(parser)
    add_setting_flags(parser, "output.results", "output.overwrite")
    parser.set_defaults(execute=_report)


async def _list_runs(args: argparse.Namespace) -> int:
    """List the runs, the newest first."""
    from batch_enroll.cli.person_search import list_person_rows
    from batch_enroll.maintenance.run_history import run_as_dict, run_totals

    ledger = ledger_from(args)
    if args.who is not None:
        return await list_person_rows(args, ledger)
    runs = await run_totals(ledger)
    if args.json:
        console.print_json([run_as_dict(total) for total in runs])
    elif not runs:
        console.print_message("No runs yet.")
    else:
        from batch_enroll.reporting.runs_table import print_runs

        print_runs(runs, console.data_stream())
    return 0


async def _show(args: argparse.Namespace) -> int:
    """Show one run."""
    from batch_enroll.maintenance.run_history import run_as_dict, run_total
    from batch_enroll.monitoring.status_file import read_status

    ledger = ledger_from(args)
    total = await run_total(ledger, await run_of(args, ledger))
    if args.json:
        status = read_status(total.folder) if total.folder else None
        console.print_json({**run_as_dict(total), "status": status})
    else:
        from batch_enroll.reporting.runs_table import print_run

        print_run(total, console.data_stream())
    return 0


async def _report(args: argparse.Namespace) -> int:
    """Write the files and print their paths."""
    from batch_enroll.run.result_files import report_again

    ledger, results = ledger_from(args), _parse_results(args.results)
    run = await ledger.open(await run_of(args, ledger), read_only=True)
    try:
        active = bool(await ledger.lock_owner(run.record.run_id))
        summary = await report_again(run, results, ledger=ledger.place, overwrite=bool(args.overwrite), active=active)
    finally:
        await run.close_unchanged()
    for notice in summary.notices:
        console.print_message(str(notice.message))
    for path in summary.files.values():
        console.print_output(str(path))
    totals = ", ".join(f"{count:,} {name}" for name, count in summary.counts.as_dict().items() if count)
    console.print_message(f"Run {run.record.run_id}: {totals}.")
    return 0


def _parse_results(text: str | None) -> Path | None:
    from batch_enroll.config.load import build_output_section

    return build_output_section({"results": text}).results
