"""`batch-enroll resume RUN`: resume a paused run."""

from __future__ import annotations

import argparse

from batch_enroll.cli.control_requests import add_control_flags, send_command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add RUN, `--ledger` and `--json`."""
    add_control_flags(parser)
    parser.description = "Resume a paused run at its rate; it does not catch up for the pause."


def execute(args: argparse.Namespace) -> int:
    """Send the command to the run's process."""
    return send_command(args, "resume")
