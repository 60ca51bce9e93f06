"""`batch-enroll pause RUN`: make a run send nothing until it is resumed."""

from __future__ import annotations

import argparse

from batch_enroll.cli.control_requests import add_control_flags, send_command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add RUN, `--ledger` and `--json`."""
    add_control_flags(parser)
    parser.description = "Send nothing until the run is resumed. Requests in flight are finished; the process stays."


def execute(args: argparse.Namespace) -> int:
    """Send the command to the run's process."""
    return send_command(args, "pause")
