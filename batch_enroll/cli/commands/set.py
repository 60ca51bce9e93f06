"""`batch-enroll set RUN`: change how fast a run sends while it goes."""

from __future__ import annotations

import argparse

from batch_enroll.cli.control_requests import add_steering_flags, send_command
from batch_enroll.cli.options import add_setting_flags
from batch_enroll.errors import JobError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add RUN and what can be changed."""
    add_steering_flags(parser)
    add_setting_flags(parser, "send.rate", "send.concurrency")
    parser.description = "Change how fast a run sends, while it goes or before it begins to send."
    parser.epilog = f"It holds until this run ends or stops; the job file is left alone.\n\n{parser.epilog}"


def execute(args: argparse.Namespace) -> int:
    """Ask the process that works on the run."""
    pace = {name: value for name in ("rate", "concurrency") if (value := getattr(args, name)) is not None}
    if not pace:
        raise JobError("There is nothing to set.", hint="Give --rate, --concurrency or both.")
    return send_command(args, "set", pace=pace)
