"""`batch-enroll runs`: list earlier runs with their totals."""

from __future__ import annotations

import argparse
import json

from batch_enroll.cli import console
from batch_enroll.cli.ledger_options import add_json_flag, add_ledger_flags, ledger_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the ledger and the form."""
    add_ledger_flags(parser, run=False)
    add_json_flag(parser)


def execute(args: argparse.Namespace) -> int:
    """List them, the newest first."""
    import anyio

    from batch_enroll.maintenance.run_history import run_as_dict, run_totals

    ledger = ledger_from(args)
    runs = anyio.run(run_totals, ledger)
    if args.json:
        console.print_output(json.dumps([run_as_dict(total) for total in runs], ensure_ascii=False))
    elif not runs:
        console.print_message("No runs yet.")
    else:
        from batch_enroll.reporting.runs_table import print_runs

        print_runs(runs, console.data_stream())
    return 0
