"""`batch-enroll show RUN`: totals, reasons and files of one run."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from batch_enroll.cli import console
from batch_enroll.cli.ledger_options import (
    add_json_flag,
    add_ledger_flags,
    ledger_from,
    run_of,
)

if TYPE_CHECKING:
    from batch_enroll.reporting.runs_table import RunTotal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add RUN, the ledger and the form."""
    add_ledger_flags(parser)
    add_json_flag(parser)


def execute(args: argparse.Namespace) -> int:
    """Show it."""
    import anyio

    from batch_enroll.maintenance.run_history import run_as_dict, run_total
    from batch_enroll.monitoring.status_file import read_status

    async def total_of_run() -> RunTotal:
        ledger = ledger_from(args)
        return await run_total(ledger, await run_of(args, ledger))

    total = anyio.run(total_of_run)
    if args.json:
        status = read_status(total.folder) if total.folder else None
        console.print_output(json.dumps({**run_as_dict(total), "status": status}, ensure_ascii=False))
    else:
        from batch_enroll.reporting.runs_table import print_run

        print_run(total, console.data_stream())
    return 0
