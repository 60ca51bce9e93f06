"""What the commands about earlier runs have in common: which ledger, which run, JSON or a table."""

from __future__ import annotations

import argparse
import os

from batch_enroll.ledger.interface import Ledger

_VARIABLE = "BATCH_ENROLL_LEDGER"


def add_ledger_flags(parser: argparse.ArgumentParser, *, run: bool = True) -> None:
    """Add RUN (unless the command is about all of them) and `--ledger`."""
    if run:
        parser.add_argument("run", metavar="RUN", help="the run's id, as `batch-enroll runs` lists it")
    parser.add_argument("--ledger", metavar="FILE", help=f"the file that remembers the runs (or {_VARIABLE})")


def add_json_flag(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON on standard output")


def ledger_from(args: argparse.Namespace) -> Ledger:
    """Open the ledger that the flag or the variable names, or the default one."""
    from batch_enroll.ledger.default import open_ledger

    return open_ledger(ledger_place(args))


def ledger_place(args: argparse.Namespace) -> str | None:
    """Give what the flag or the variable says, None when neither says anything."""
    return args.ledger or os.environ.get(_VARIABLE) or None
