"""`batch-enroll run`: show the plan, ask, send, report."""

from __future__ import annotations

import argparse
import sys

from batch_enroll.cli import screen
from batch_enroll.cli.flags import add_job_flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add INPUT and every flag of a job."""
    parser.add_argument("input", metavar="INPUT", help="CSV or Excel file; - for standard input")
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
    import json

    from batch_enroll.cli.logs import log_to
    from batch_enroll.cli.questions import Questions
    from batch_enroll.cli.settings import STDIN, job_of, ledger_of, source_of, token_of
    from batch_enroll.cli.signals import signals_stop
    from batch_enroll.clock import SystemClock
    from batch_enroll.reporting.progress import progress_on
    from batch_enroll.reporting.summary import summary_of
    from batch_enroll.run import Declined, enroll_async
    from batch_enroll.run_send import Control

    job = job_of(args)
    source = source_of(args.input)
    token = token_of(job)
    control = Control()
    clock = SystemClock()
    with (
        log_to(job, token) as log,
        progress_on(sys.stderr, clock=clock, quiet=job.output.quiet) as progress,
        signals_stop(control),
    ):
        asks = not job.output.yes and screen.is_terminal() and args.input != STDIN
        questions = Questions(asks=asks, quiet=job.output.quiet, before=progress.close)

        def emit(event: object) -> None:
            progress(event)  # type: ignore[arg-type]
            log(event)  # type: ignore[arg-type]

        try:
            summary = await enroll_async(
                job,
                source,
                token=token,
                ledger=ledger_of(job),
                emit=emit,
                confirm=questions.confirm,
                look=questions.look if asks else None,
                control=control,
                clock=clock,
            )
        except Declined as no:
            screen.say(no.message)
            return 2
    if not job.output.quiet:
        from batch_enroll.reporting.closing import print_closing

        screen.say("")
        print_closing(summary, sys.stderr)
    if job.output.json_:
        screen.put(json.dumps(summary_of(summary), ensure_ascii=False))
    return summary.exit_code
