"""`batch-enroll set RUN`: change the rate or concurrency of an active run."""

from __future__ import annotations

import argparse

from batch_enroll.cli.control_requests import add_control_flags, send_command
from batch_enroll.cli.options import add_setting_flags
from batch_enroll.errors import JobError
from batch_enroll.messages import message


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add RUN and what can be changed."""
    add_control_flags(parser)
    add_setting_flags(parser, "send.rate", "send.concurrency")
    parser.description = "Change the rate or concurrency of an active run, also before it begins to send."
    parser.epilog = f"The change holds until the run ends or stops; the job file is not changed.\n\n{parser.epilog}"


def execute(args: argparse.Namespace) -> int:
    """Send the command to the run's process."""
    pace = {name: value for name in ("rate", "concurrency") if (value := getattr(args, name)) is not None}
    if not pace:
        raise JobError(message("control.nothing_to_set"))
    return send_command(args, "set", pace=pace)
