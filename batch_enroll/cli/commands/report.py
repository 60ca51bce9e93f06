"""`batch-enroll report RUN`: write a run's files again, at any time."""

from __future__ import annotations

import argparse
from pathlib import Path

from batch_enroll.cli import console
from batch_enroll.cli.ledger_options import add_ledger_flags, ledger_from, run_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add RUN, `--ledger` and the results file."""
    add_ledger_flags(parser)
    parser.add_argument("--results", metavar="FILE", type=Path, help="results file, .csv or .xlsx (default: as before)")


def execute(args: argparse.Namespace) -> int:
    """Write the files and print their paths."""
    import anyio

    return anyio.run(_report, args)


async def _report(args: argparse.Namespace) -> int:
    from batch_enroll.atomic_file import require_writable
    from batch_enroll.run.result_files import report_again

    if args.results is not None:
        require_writable(args.results)
    ledger = ledger_from(args)
    run = await ledger.open(await run_of(args, ledger), read_only=True)
    try:
        summary = await report_again(run, args.results)
    finally:
        await run.close_unchanged()
    for path in summary.files.values():
        console.print_output(str(path))
    totals = ", ".join(f"{count:,} {name}" for name, count in summary.counts.as_dict().items() if count)
    console.print_message(f"Run {run.record.run_id}: {totals}.")
    return 0
