"""`batch-enroll stop RUN`: make a run take no more rows, and wait until it has ended."""

from __future__ import annotations

import argparse
from dataclasses import replace

from batch_enroll.cli import console
from batch_enroll.cli.control_requests import add_control_flags, find_active_run, print_reply
from batch_enroll.cli.ledger_options import ledger_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add RUN, `--ledger` and `--json`."""
    add_control_flags(parser)
    parser.description = "Take no more rows, wait for the requests in flight, and end."
    parser.epilog = f"The run ends with exit code 3; the command that started it resumes it.\n\n{parser.epilog}"


def execute(args: argparse.Namespace) -> int:
    """Send the command and wait until the run has ended; Ctrl-C ends only the waiting."""
    import anyio

    return anyio.run(_stop, args)


async def _stop(args: argparse.Namespace) -> int:
    from batch_enroll.clock import SystemClock
    from batch_enroll.control.control_client import send_control_command, wait_until_released
    from batch_enroll.control.request_files import ControlCommand
    from batch_enroll.reporting.formatting import rows_text

    ledger, clock = ledger_from(args), SystemClock()
    run_id = await find_active_run(args, ledger)
    reply = await send_control_command(ledger, run_id, ControlCommand.STOP, clock=clock)
    if not args.json:
        console.print_message(reply.said)
    counts = await wait_until_released(ledger, run_id, clock=clock)
    if counts is None:
        said = f"Run {run_id} has ended: its plan was discarded, nothing was sent. The same command starts it again."
    elif counts.not_sent:
        said = f"Run {run_id} has stopped with {rows_text(counts.not_sent)} not sent; the same command resumes it."
    else:
        said = f"Run {run_id} has ended: no row is left to send."
    print_reply(replace(reply, said=said, in_flight=0), as_json=args.json, counts=counts and counts.as_dict())
    return 0
