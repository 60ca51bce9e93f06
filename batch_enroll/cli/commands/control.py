"""`batch-enroll set`, `pause` and `stop`: control the active run of another process."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from batch_enroll.cli import console
from batch_enroll.cli.options import (
    add_json_flag,
    add_ledger_flag,
    add_run_argument,
    add_setting_flags,
    ledger_from,
    run_of,
    unless_seen,
)
from batch_enroll.cli.parser import CommandParser
from batch_enroll.errors import JobError
from batch_enroll.messages import message

if TYPE_CHECKING:
    from batch_enroll.control.control_files import ControlReply
    from batch_enroll.ledger.interface import Ledger

_EXIT_CODES = "exit codes: 0 done, 2 no process works on the run or the value is wrong, 5 the process did not answer"


def add_set(parser: CommandParser) -> None:
    """Declare the command."""
    _add_flags(
        parser,
        "send.rate",
        "send.concurrency",
        description="Change the rate or concurrency of an active run, also before it begins to send.",
        note="The change holds until the run ends or stops; the job file is not changed.",
    )


def add_pause(parser: CommandParser) -> None:
    """Declare the command."""
    _add_flags(
        parser,
        description="Send nothing until the run is resumed. Requests in flight are finished; the process stays.",
    )


def add_stop(parser: CommandParser) -> None:
    """Declare the command."""
    _add_flags(
        parser,
        description="Take no more rows, wait for the requests in flight, and end.",
        note="The run ends with exit code 3; the command that started it resumes it.",
    )
    parser.set_defaults(execute=_stop)


def _add_flags(parser: CommandParser, *settings: str, description: str, note: str = "") -> None:
    parser.description = description
    parser.epilog = f"{note}\n\n{_EXIT_CODES}".lstrip()
    add_run_argument(parser, active=True)
    add_ledger_flag(parser)
    add_json_flag(parser)
    add_setting_flags(parser, *settings)
    parser.set_defaults(execute=_send, settings=settings)


async def _send(args: argparse.Namespace) -> int:
    """Send the command to the run's process and print its reply."""
    from batch_enroll.config.load import build_rate_settings

    names = [key.rpartition(".")[2] for key in args.settings]
    pace = {name: value for name in names if (value := getattr(args, name)) is not None}
    if names and not pace:
        raise JobError(message("control.nothing_to_set"))
    build_rate_settings(pace)  # an invalid rate is refused before the run is looked up
    ledger = ledger_from(args)
    reply = await _reply(args, ledger, await _find_run(args, ledger), pace)
    print_reply(reply, as_json=args.json)
    return 0 if reply.done else 2


async def _stop(args: argparse.Namespace) -> int:
    """Send the command and wait until the run has ended; Ctrl-C ends only the waiting."""
    from batch_enroll.clock import SystemClock
    from batch_enroll.control.control_client import wait_until_released

    ledger = ledger_from(args)
    run_id = await _find_run(args, ledger)
    reply = await _reply(args, ledger, run_id)
    if not args.json:
        console.print_message(reply.said)
    counts = await wait_until_released(ledger, run_id, clock=SystemClock())
    if counts is None:
        said = message("control.plan_discarded", run_id=run_id)
    elif counts.not_sent:
        said = message("control.has_stopped", run_id=run_id, left=counts.not_sent)
    else:
        said = message("control.has_ended", run_id=run_id)
    print_reply(replace(reply, said=str(said), in_flight=0), as_json=args.json, counts=counts and counts.as_dict())
    return 0


async def _reply(
    args: argparse.Namespace, ledger: Ledger, run_id: str, pace: Mapping[str, Any] | None = None
) -> ControlReply:
    from batch_enroll.clock import SystemClock
    from batch_enroll.control.control_client import send_control_command
    from batch_enroll.control.control_files import ControlCommand

    return await send_control_command(ledger, run_id, ControlCommand(args.command), clock=SystemClock(), pace=pace)


async def _find_run(args: argparse.Namespace, ledger: Ledger) -> str:
    return await run_of(args, ledger, active=True, why_not_last=unless_seen())


def print_reply(reply: ControlReply, *, as_json: bool, **more: object) -> None:
    """Print a reply as a sentence or as a JSON object."""
    if as_json:
        console.print_json({**asdict(reply), **more})
    else:
        console.print_message(reply.said)
