"""`batch-enroll resume RUN`: let a paused run go on."""

from __future__ import annotations

import argparse

from batch_enroll.cli.steering import add_steering_flags, ask_and_tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add RUN, the ledger and the form."""
    add_steering_flags(parser)
    parser.description = "Let a paused run go on at its pace, without making up for the pause."


def execute(args: argparse.Namespace) -> int:
    """Ask the process that works on the run."""
    return ask_and_tell(args, "resume")
