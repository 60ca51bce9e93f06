"""What `set`, `pause`, `resume` and `stop` have in common: ask the process that works on the run, say what it said.

In: RUN, the ledger and a wish. Out: one sentence on standard error, or one JSON object on standard output; the exit
code. Never: a row, a change of the ledger.
"""

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
    from batch_enroll.control.mailbox import ControlCommand, ControlReply
    from batch_enroll.ledger.interface import Ledger

EPILOG = "exit codes: 0 done, 2 no process works on the run or the value is wrong, 5 the process did not answer"


def add_steering_flags(parser: argparse.ArgumentParser) -> None:
    """Add RUN, the ledger and the form."""
    add_run_argument(parser, goes=True)
    add_ledger_flags(parser, run=False)
    add_json_flag(parser)
    parser.epilog = EPILOG


def send_command(args: argparse.Namespace, wish: str, *, pace: Mapping[str, Any] | None = None) -> int:
    """Ask, wait for the answer, tell it.

    Raises:
        RunStopped: nobody works on the run, or nobody answered; the message says so.
    """
    import anyio

    from batch_enroll.control.mailbox import ControlCommand

    answer = anyio.run(_asked, args, ControlCommand(wish), pace)
    tell(answer, as_json=args.json)
    return 0 if answer.done else 2


async def _asked(args: argparse.Namespace, wish: ControlCommand, pace: Mapping[str, Any] | None) -> ControlReply:
    from batch_enroll.clock import SystemClock
    from batch_enroll.config.load import build_rate_settings
    from batch_enroll.control.control_client import send_control_command

    build_rate_settings(pace or {})  # a pace that no run may have is said whatever run is meant
    ledger = ledger_from(args)
    return await send_control_command(ledger, await find_active_run(args, ledger), wish, clock=SystemClock(), pace=pace)


async def find_active_run(args: argparse.Namespace, ledger: Ledger) -> str:
    """Give the id of the run that is meant."""
    return await run_of(args, ledger, goes=True, why_not_last=unless_seen())


def tell(answer: ControlReply, *, as_json: bool, **more: object) -> None:
    """Say what came of it."""
    from dataclasses import asdict

    if as_json:
        console.print_output(json.dumps({**asdict(answer), **more}, ensure_ascii=False))
    else:
        console.print_message(answer.said)
