"""`batch-enroll pause RUN`: let a run send nothing more until it is resumed; the process stays."""

from __future__ import annotations

import argparse

from batch_enroll.cli.control_requests import add_steering_flags, send_command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add RUN, the ledger and the form."""
    add_steering_flags(parser)
    parser.description = (
        "Let a run send nothing more until it is resumed; answers in flight come in, the process stays."
    )


def execute(args: argparse.Namespace) -> int:
    """Ask the process that works on the run."""
    return send_command(args, "pause")
