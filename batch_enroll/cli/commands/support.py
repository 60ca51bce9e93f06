"""`batch-enroll support RUN`: write a support bundle without personal data."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from batch_enroll.cli import console
from batch_enroll.cli.ledger_options import add_ledger_flags, ledger_from, run_of
from batch_enroll.messages import message


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add RUN, `--ledger`, the log and the bundle's path."""
    add_ledger_flags(parser)
    parser.add_argument("--log-file", metavar="FILE", type=Path, help="the run's log (default: the one its job named)")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="the bundle (default: batch-enroll-support-RUN.zip in this folder)"
    )
    parser.epilog = (
        "The bundle holds versions, settings, counts, reasons, statistics, the doctor's findings and the last log\n"
        "lines about the run. It does not hold the token, rows, identities or cell contents."
    )


def execute(args: argparse.Namespace) -> int:
    """Write the bundle and print its path."""
    import anyio

    return anyio.run(_support, args)


async def _support(args: argparse.Namespace) -> int:
    from batch_enroll.atomic_file import require_writable
    from batch_enroll.cli.ledger_options import ledger_place
    from batch_enroll.clock import SystemClock
    from batch_enroll.config.secrets import TOKEN_VARIABLE
    from batch_enroll.errors import JobError
    from batch_enroll.maintenance.doctor import DoctorTarget, examine
    from batch_enroll.maintenance.support_bundle import collect, write_bundle

    if args.log_file is not None and not args.log_file.is_file():
        raise JobError(message("maintenance.no_log_file", path=str(args.log_file)))
    if args.out is not None:
        require_writable(args.out)
    ledger = ledger_from(args)
    run_id = await run_of(args, ledger)
    target = DoctorTarget(job=None, environment={}, ledger=ledger_place(args), ask_platform=False)
    texts = await collect(
        ledger,
        run_id,
        findings=await examine(target, clock=SystemClock()),
        log_file=args.log_file,
        token=os.environ.get(TOKEN_VARIABLE, "").strip(),
        home=Path.home(),
    )
    name = f"batch-enroll-support-{run_id}"
    out = args.out or Path(f"{name}.zip")
    write_bundle(out, texts, folder=name)
    console.print_output(str(out))
    console.print_message(
        f"{len(texts)} files about run {run_id}; README.txt inside describes them. Read them before sending it."
    )
    return 0
