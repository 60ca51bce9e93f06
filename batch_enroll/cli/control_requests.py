"""Shared code of `set`, `pause`, `resume` and `stop`: send a control command to the process of a run."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from batch_enroll.cli import console
from batch_enroll.cli.ledger_options import (
    add_json_flag,
    add_ledger_flags,
    add_run_argument,
    ledger_from,
    run_of,
    unless_seen,
)

if TYPE_CHECKING:
    from batch_enroll.control.request_files import ControlCommand, ControlReply
    from batch_enroll.ledger.interface import Ledger

EPILOG = "exit codes: 0 done, 2 no process works on the run or the value is wrong, 5 the process did not answer"


def add_control_flags(parser: argparse.ArgumentParser) -> None:
    """Add RUN, `--ledger` and `--json`."""
    add_run_argument(parser, goes=True)
    add_ledger_flags(parser, run=False)
    add_json_flag(parser)
    parser.epilog = EPILOG


def send_command(args: argparse.Namespace, name: str, *, pace: Mapping[str, Any] | None = None) -> int:
    """Send a command to the run's process, print its reply and give the exit code.

    Raises:
        RunStopped: no process works on the run, or it did not reply.
    """
    import anyio

    from batch_enroll.control.request_files import ControlCommand

    reply = anyio.run(_send, args, ControlCommand(name), pace)
    print_reply(reply, as_json=args.json)
    return 0 if reply.done else 2


async def _send(args: argparse.Namespace, command: ControlCommand, pace: Mapping[str, Any] | None) -> ControlReply:
    from batch_enroll.clock import SystemClock
    from batch_enroll.config.load import build_rate_settings
    from batch_enroll.control.control_client import send_control_command

    build_rate_settings(pace or {})  # an invalid rate is refused before the run is looked up
    ledger = ledger_from(args)
    return await send_control_command(
        ledger, await find_active_run(args, ledger), command, clock=SystemClock(), pace=pace
    )


async def find_active_run(args: argparse.Namespace, ledger: Ledger) -> str:
    """Give the id of the run that RUN names."""
    return await run_of(args, ledger, goes=True, why_not_last=unless_seen())


def print_reply(reply: ControlReply, *, as_json: bool, **more: object) -> None:
    """Print a reply as a sentence or as a JSON object."""
    from dataclasses import asdict

    if as_json:
        console.print_output(json.dumps({**asdict(reply), **more}, ensure_ascii=False))
    else:
        console.print_message(reply.said)
