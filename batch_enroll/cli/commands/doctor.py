"""`batch-enroll doctor`: check that everything a run needs is available."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_enroll.cli import console
from batch_enroll.cli.options import add_job_flags
from batch_enroll.config.settings import JOB_VARIABLE

if TYPE_CHECKING:
    from batch_enroll.maintenance.doctor import DoctorTarget

_ABOUT_A_JOB = ("url", "scenario", "match")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add every flag of a job; none of them is required."""
    add_job_flags(parser)
    parser.usage = "batch-enroll doctor [--job FILE] [flags]"
    parser.epilog = (
        "Sends nothing and changes nothing. With a job (--job FILE) the platform is asked about the token and the\n"
        "scenario; without one only this machine is checked.\n\nexit codes: 0 no problem, 2 a problem was found"
    )


def execute(args: argparse.Namespace) -> int:
    """Run the checks and print what they found."""
    import anyio

    return anyio.run(_doctor, args)


async def _doctor(args: argparse.Namespace) -> int:
    from batch_enroll.clock import SystemClock
    from batch_enroll.maintenance.doctor import examine
    from batch_enroll.reporting.health_findings import exit_code_for_findings, findings_to_json, print_findings

    findings = await examine(_build_target(args), clock=SystemClock())
    if args.json:
        console.print_output(json.dumps(findings_to_json(findings), ensure_ascii=False))
    else:
        print_findings(findings, console.data_stream())
    return exit_code_for_findings(findings)


def _build_target(args: argparse.Namespace) -> DoctorTarget:
    from batch_enroll.cli.job_options import build_job_from_args
    from batch_enroll.cli.options import given_settings
    from batch_enroll.cli.run_monitor import check_notifications
    from batch_enroll.errors import JobError
    from batch_enroll.maintenance.doctor import DoctorTarget

    given: dict[tuple[str, ...], Any] = {}
    job, trouble = None, ""
    try:
        given = {item.path: item.value for item in given_settings(args, os.environ)}
        if args.job or os.environ.get(JOB_VARIABLE) or any(path[0] in _ABOUT_A_JOB for path in given):
            named = build_job_from_args(args)
            check_notifications(named)
            job = named
    except JobError as error:
        trouble = str(error)
    token_file = given.get(("token_file",))
    return DoctorTarget(
        job=job,
        job_trouble=trouble,
        environment=os.environ,
        token_file=Path(token_file) if token_file else None,
        ledger=given.get(("output", "ledger")),
    )
