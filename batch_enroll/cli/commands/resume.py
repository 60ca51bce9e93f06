"""`batch-enroll resume RUN`: let a paused run go on."""

from __future__ import annotations

import argparse

from batch_enroll.cli.control_requests import add_steering_flags, send_command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add RUN, the ledger and the form."""
    add_steering_flags(parser)
    parser.description = "Let a paused run go on at its pace, without making up for the pause."


def execute(args: argparse.Namespace) -> int:
    """Ask the process that works on the run."""
    return send_command(args, "resume")
