"""`batch-enroll run`: show the plan, ask, send, report."""

from __future__ import annotations

import argparse
from pathlib import Path

from batch_enroll.cli import screen
from batch_enroll.cli.flags import add_job_flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add INPUT and every flag of a job."""
    parser.add_argument("input", metavar="INPUT", help="CSV or Excel file; - for standard input")
    parser.add_argument(
        "--plan",
        metavar="FILE",
        type=Path,
        help="send what `check --save FILE` showed and nothing else: no question, and no run when anything changed since",
    )
    add_job_flags(parser)
    parser.epilog = (
        "The same command on the same input carries on a run that stopped before its end.\n"
        "exit codes: 0 all done, 1 some rows refused, 2 nothing sent, 3 stopped, 4 some rows unknown, 5 run is locked"
    )


def execute(args: argparse.Namespace) -> int:
    """Run to the end; the exit code tells how it went."""
    import anyio  # --help does without all of these

    return anyio.run(_run, args)


async def _run(args: argparse.Namespace) -> int:
    from batch_enroll.cli.faces import run_and_tell
    from batch_enroll.cli.settings import STDIN, job_of, ledger_of, source_of, token_of
    from batch_enroll.run import enroll_async
    from batch_enroll.run_plan_file import read_approved

    approved = read_approved(args.plan) if args.plan is not None else None
    job = job_of(args)
    source = source_of(args.input)
    token = token_of(job)
    ledger = ledger_of(job)
    return await run_and_tell(
        job,
        token,
        asks=not job.output.yes and screen.is_terminal() and args.input != STDIN,
        approved=approved is not None,
        begin=lambda hands: enroll_async(
            job,
            source,
            token=token,
            ledger=ledger,
            emit=hands.emit,
            confirm=hands.confirm,
            look=hands.look,
            control=hands.control,
            approved=approved,
            clock=hands.clock,
        ),
    )
