"""The flags that commands about earlier runs share: RUN, `--ledger`, `--json`."""

from __future__ import annotations

import argparse
import os

from batch_enroll.cli import console
from batch_enroll.config.settings import get_setting
from batch_enroll.ledger.interface import Ledger
from batch_enroll.messages import Message, message

_LEDGER = get_setting("output.ledger")


def add_ledger_flags(parser: argparse.ArgumentParser, *, run: bool = True) -> None:
    """Add RUN (unless the command is about all of them) and `--ledger`."""
    if run:
        add_run_argument(parser)
    text = f"{_LEDGER.description} (or {_LEDGER.variable})"
    parser.add_argument(_LEDGER.flag, metavar=_LEDGER.metavar, help=text)


def add_run_argument(parser: argparse.ArgumentParser, *, goes: bool = False) -> None:
    """Add RUN; for commands about a running run it may be left out."""
    named = "the run: its id as `batch-enroll runs` lists it, a beginning of it, or last (the newest)"
    if goes:
        named += "; on a terminal it may be left out while only one run goes"
    parser.add_argument("run", metavar="RUN", nargs="?" if goes else None, help=named)


async def run_of(
    args: argparse.Namespace, ledger: Ledger, *, goes: bool = False, why_not_last: Message | str = ""
) -> str:
    """Give the id of the run that RUN means; arguments and errors as `resolve_run_id`."""
    from batch_enroll.maintenance.run_lookup import resolve_run_id

    return await resolve_run_id(ledger, args.run, active=goes, why_not_last=why_not_last)


def unless_seen() -> Message | str:
    """Say why a command that changes something must name its run; "" on a terminal, where a person sees which it is."""
    return "" if console.is_terminal() else message("job.run_must_be_named")


def add_json_flag(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON on standard output")


def ledger_from(args: argparse.Namespace) -> Ledger:
    """Open the ledger that the flag or the variable names, or the default one."""
    from batch_enroll.ledger.location import open_ledger

    return open_ledger(ledger_place(args))


def ledger_place(args: argparse.Namespace) -> str | None:
    """Give what the flag or the variable says, None when neither says anything."""
    return args.ledger or os.environ.get(_LEDGER.variable) or None
